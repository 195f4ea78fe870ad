"""Finds the phase plugins and keeps them apart: what one of them breaks is reported with its name, and the others go on.

Each entry point of the group `titan.phases` is imported by itself, gets a pluggy manager of its own (in a shared one, one raising implementation
aborts the call for all) and is examined before it counts as a phase. This is one of the two places in Titan that may catch everything.
"""

import inspect
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from time import monotonic
from typing import Any

import pluggy
from attrs import field, fields_dict, frozen

from titan_core.config.load import schema_of
from titan_core.config.schema import CORE_SECTIONS, LIMITS_TABLE
from titan_core.errors import CallbackHung, PluginError
from titan_core.hookspecs import ENTRY_POINT_GROUP, PROJECT, Handover, Health, PhaseHooks
from titan_core.model.ids import BRAIN, MAX_NAME_CHARS, MAX_ORDER_ID_CHARS, PhaseId
from titan_core.model.phase import PhaseDeclaration
from titan_core.ports import Strategy

HOOK_PREFIX = "titan_"
HOOKS = tuple(name for name in vars(PhaseHooks) if name.startswith(HOOK_PREFIX))
IMPORT_TIMEOUT_S = 20.0
HOOK_TIMEOUT_S = 10.0


@frozen
class BrokenPlugin:
    """A plugin that is not used, and why."""

    name: str
    distribution: str
    version: str
    reason: str
    traceback: str = field(default="", repr=False)


@frozen(eq=False)
class LoadedPhase:
    """A phase plugin that passed examination. Every call of a hook is isolated: whatever it raises becomes a PluginError with its name."""

    name: str
    distribution: str
    version: str
    declaration: PhaseDeclaration
    _hooks: Any = field(repr=False)

    @property
    def id(self) -> PhaseId:
        """The phase's id."""
        return self.declaration.id

    def health(self) -> Health:
        """Ask whether the phase can work; a plugin without the hook can. What the hook raises is a bad state of health, not an error."""
        try:
            health = self._call("titan_health")
        except PluginError as error:
            return Health(False, str(error))
        if health is not None and not isinstance(health, Health):
            return Health(False, f"titan_health returned {_described(health)}; it must return titan_core.Health")
        return Health(True) if health is None else health

    def adopt(self, handover: Handover) -> bool:
        """Offer the positions of a leaving phase. Raises PluginError where the hook fails; the positions then stay where they are."""
        accepted = self._call("titan_adopt", handover=handover)
        if accepted is not None and not isinstance(accepted, bool):
            raise PluginError(self.name, f"titan_adopt returned {_described(accepted)}; it must return True or False")
        return bool(accepted)

    def activated(self) -> None:
        """Tell the plugin that its phase has become active."""
        self._call("titan_activated")

    def deactivated(self) -> None:
        """Tell the plugin that its phase sleeps."""
        self._call("titan_deactivated")

    def strategies(self, config: Any) -> tuple[Strategy, ...]:
        """Make the strategies for an activation from an instance of the phase's `config_type`. Raises PluginError where that fails."""
        with isolated(self.name, "create", HOOK_TIMEOUT_S):
            return _made_strategies(self.name, self.declaration, config)

    def _call(self, hook: str, **arguments: Any) -> Any:
        with isolated(self.name, hook, HOOK_TIMEOUT_S):
            return getattr(self._hooks, hook)(**arguments)


@frozen
class PluginReport:
    """What was found: phases by rising capital band (advisers last), and what is broken."""

    phases: tuple[LoadedPhase, ...]
    broken: tuple[BrokenPlugin, ...]

    @property
    def declarations(self) -> tuple[PhaseDeclaration, ...]:
        """The declarations of all phases."""
        return tuple(phase.declaration for phase in self.phases)


def discover(group: str = ENTRY_POINT_GROUP, points: Iterable[EntryPoint] | None = None, *, timeout_s: float = IMPORT_TIMEOUT_S) -> PluginReport:
    """Import and examine every plugin of the group (or the given entry points), each by itself.

    A plugin that does not finish importing within `timeout_s` is reported as broken; that needs the main thread and a POSIX system.
    """
    found = entry_points(group=group) if points is None else points
    phases: dict[PhaseId, LoadedPhase] = {}
    broken: list[BrokenPlugin] = []
    for point in sorted(found, key=lambda point: (point.name, _distribution(point))):
        try:
            phase = _load(point, timeout_s)
            if phase.id in phases:
                taken = phases[phase.id]
                raise PluginError(point.name, f"declares phase {phase.id!r}, which {taken.name!r} of {taken.distribution} has declared already; uninstall one")
            phases[phase.id] = phase
        except PluginError as error:
            cause = error.__cause__
            details = "".join(traceback.format_exception(cause)) if cause else ""
            broken.append(BrokenPlugin(point.name, *_distribution(point), reason=error.args[0].removeprefix(f"plugin {point.name!r}: "), traceback=details))
    return PluginReport(tuple(sorted(phases.values(), key=_band_order)), tuple(broken))


def _band_order(phase: LoadedPhase) -> tuple[float, float, str]:
    band = phase.declaration.band
    if band is None:
        return (float("inf"), float("inf"), phase.id)
    return (band.lower, float("inf") if band.upper is None else band.upper, phase.id)


def _distribution(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("?", "?")


def _load(point: EntryPoint, timeout_s: float) -> LoadedPhase:
    """Import one plugin and examine it. Raises PluginError, and nothing else."""
    with isolated(point.name, f"import of {point.value}", timeout_s):
        plugin = point.load()
    with isolated(point.name, "registration", HOOK_TIMEOUT_S):
        hooks = _register(point.name, plugin)
    with isolated(point.name, "titan_phase", HOOK_TIMEOUT_S):
        declaration = hooks.titan_phase()
    _check_declaration(point.name, declaration)
    return LoadedPhase(point.name, *_distribution(point), declaration, hooks)


# -- examination --------------------------------------------------------------------------------------------------------
def _register(name: str, plugin: Any) -> Any:
    """Register a plugin with a manager of its own and return the hook relay. Raises PluginError where its hooks are not those of the contract."""
    if isinstance(plugin, type):
        raise PluginError(name, f"its entry point names the class {plugin.__name__}; name a module, or an instance of the class")
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(PhaseHooks)
    implemented = {each for each in dir(plugin) if manager.parse_hookimpl_opts(plugin, each) is not None}
    for each in sorted({word for word in dir(plugin) if word.startswith(HOOK_PREFIX)} | implemented):
        hook = getattr(plugin, each)
        if inspect.isroutine(hook):
            _check_hook(name, each, hook, each in implemented)
    if "titan_phase" not in implemented:
        raise PluginError(name, "does not implement titan_phase, which declares the phase")
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(name, " ".join(str(error).split())) from error
    return manager.hook


def _check_hook(name: str, hook_name: str, hook: Any, marked: bool) -> None:
    if hook_name not in HOOKS:
        near = get_close_matches(hook_name, HOOKS, 1)
        raise PluginError(name, f"{hook_name} is not a hook{f'; did you mean {near[0]}?' if near else ''} (hooks: {', '.join(HOOKS)})")
    if not marked:
        raise PluginError(name, f"{hook_name} is not marked as an implementation; decorate it with @titan_core.hookimpl")
    if inspect.iscoroutinefunction(hook) or inspect.isgeneratorfunction(hook):
        raise PluginError(name, f"{hook_name} is an async or generator function; hooks are plain functions, for what they return is used at once")


def _check_declaration(name: str, declaration: Any) -> None:
    """Raise PluginError where a declaration cannot be worked with."""
    if not isinstance(declaration, PhaseDeclaration):
        raise PluginError(name, f"titan_phase returned {_described(declaration)}; it must return a titan_core.PhaseDeclaration")
    if declaration.id in (*CORE_SECTIONS, BRAIN):
        raise PluginError(name, f"phase id {declaration.id!r} is reserved; choose a word other than {', '.join(CORE_SECTIONS)}")
    with isolated(name, "config_type", HOOK_TIMEOUT_S):
        schema_of([declaration])
    if hasattr(declaration.config_type, "__attrs_attrs__") and LIMITS_TABLE in fields_dict(declaration.config_type):
        raise PluginError(name, f"config_type has a key {LIMITS_TABLE!r}, which is the table of the phase's limits; rename it")
    with isolated(name, "create", HOOK_TIMEOUT_S):
        _made_strategies(name, declaration, None if declaration.config_type is object else declaration.config_type())


def _made_strategies(name: str, declaration: PhaseDeclaration, config: Any) -> tuple[Strategy, ...]:
    made = tuple(declaration.create(config))
    for strategy in made:
        if not isinstance(strategy, Strategy):
            raise PluginError(name, f"create returned {_described(strategy)} among the strategies; each must be a titan_core.Strategy")
    ids = [strategy.id for strategy in made]
    if len(set(ids)) < len(ids):
        raise PluginError(name, f"create returned strategies of the same id: {', '.join(ids)}; give each its own")
    for word in ids:
        if not word or "." in word:
            raise PluginError(name, f"strategy id {word!r} cannot be part of an order's id; use letters, digits and underscores")
        together = len(declaration.id) + len(word)
        if together > MAX_NAME_CHARS:
            said = f"phase id {declaration.id!r} and strategy id {word!r} have {together} characters together"
            raise PluginError(name, f"{said}; at most {MAX_NAME_CHARS} fit into a client order id of {MAX_ORDER_ID_CHARS}: shorten one")
    if made and declaration.band is None:
        raise PluginError(name, "declares no capital band (an adviser trades nothing) but create returns strategies")
    return made


def _described(value: Any) -> str:
    return "None" if value is None else f"{type(value).__module__}.{type(value).__qualname__} ({str(value)[:80]!r})"


# -- isolation ----------------------------------------------------------------------------------------------------------
class _TimeUp(BaseException):
    """Raised inside a plugin's code by the clock; no Exception, so that `except Exception` in the plugin does not swallow it."""


@contextmanager
def isolated(plugin: str, doing: str, timeout_s: float) -> Iterator[None]:
    """Turn whatever a plugin's code raises in the block into a PluginError that names it; only the user's interrupt passes.

    What the code prints goes to stderr, for stdout belongs to results. Raises CallbackHung after `timeout_s`.
    """
    try:
        with redirect_stdout(sys.stderr), _time_limit(timeout_s):
            yield
    except (PluginError, KeyboardInterrupt):
        raise
    except _TimeUp as error:
        raise CallbackHung(plugin, f"{doing} did not finish within {timeout_s:g} s") from error
    except BaseException as error:
        raise PluginError(plugin, f"{doing} failed: {type(error).__name__}: {error}") from error


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise _TimeUp in the block after a while. A limit that was running outside goes on with what is left of it."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise _TimeUp

    before: Callable[..., Any] | int | None = signal.signal(signal.SIGALRM, ring)
    started = monotonic()
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before if before is not None else signal.SIG_DFL)
        if left:
            signal.setitimer(signal.ITIMER_REAL, max(left - (monotonic() - started), 1e-6), interval)
