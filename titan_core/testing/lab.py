"""Where the contract's trials are made: loads a plugin as Titan does, keeps its markets and finished runs, and looks at its objects and sources."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from inspect import iscoroutinefunction, isfunction, isgeneratorfunction, signature
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

from titan_core.config.load import load_config
from titan_core.engine.forms import Form
from titan_core.errors import TitanError, UsageError
from titan_core.hookspecs import ENTRY_POINT_GROUP
from titan_core.model.phase import PhaseDeclaration
from titan_core.model.units import MONEY_PER_USDT, Money
from titan_core.plugin_host import LoadedPhase, discover
from titan_core.ports import Strategy
from titan_core.tape.tape import Tape
from titan_core.testing.markets import CONTRACT_MARKETS
from titan_core.testing.trial import Examination, Trial, equity_inside

CALLBACKS = ("on_start", "on_fill", "on_flat", "on_order_closed")
OTHER_PROCESS = "import json, sys; from titan_core.testing.lab import digest_elsewhere; print(digest_elsewhere(json.loads(sys.argv[1])))"
OTHER_PROCESS_TIMEOUT_S = 300


class _Installed:
    """Stands for the entry point of a plugin that is at hand as an object."""

    dist = None
    group = ENTRY_POINT_GROUP

    def __init__(self, plugin: Any) -> None:
        self.name = getattr(plugin, "__name__", type(plugin).__name__).split(".")[0]
        self.value = getattr(plugin, "__name__", type(plugin).__qualname__)
        self._plugin = plugin

    def load(self) -> Any:
        """Return the plugin."""
        return self._plugin


def load_phase(plugin: Any) -> LoadedPhase:
    """Load a phase plugin through the plugin host: `"package.module"`, `"package.module:object"`, a module or an object.

    Raises UsageError with the host's reason where it refuses the plugin.
    """
    point = EntryPoint(plugin.split(".")[0], plugin, ENTRY_POINT_GROUP) if isinstance(plugin, str) else _Installed(plugin)
    report = discover(points=[point])  # type: ignore[list-item]
    if report.broken:
        broken = report.broken[0]
        raise UsageError(f"Titan refuses the plugin: {broken.reason}\n{broken.traceback}".rstrip())
    return report.phases[0]


def as_overrides(section: str, config: Mapping[str, Any]) -> list[str]:
    """Write configuration values as `--set` takes them."""
    return [f"{section}.{key}={_as_text(value)}" for key, value in config.items()]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(json.dumps(each) if isinstance(each, str) else _as_text(each) for each in value) + "]"
    return str(value)


class Lab:
    """A plugin under the contract. Markets and runs are made once and kept."""

    def __init__(
        self,
        plugin: Any,
        *,
        config: Mapping[str, Any] | None = None,
        markets: Mapping[str, Callable[[], Tape]] = CONTRACT_MARKETS,
        equity_usdt: int | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Load the plugin and its configuration. Raises UsageError or ConfigError where that fails."""
        self.plugin = plugin
        self.overrides = dict(config or {})
        self.markets = markets
        self.phase = load_phase(plugin)
        declaration = self.phase.declaration
        loaded = load_config(None, [declaration], as_overrides(declaration.id, self.overrides), {})
        equity = Money((equity_usdt or 0) * MONEY_PER_USDT) if equity_usdt or declaration.band is None else equity_inside(declaration.band)
        self.examination = Examination(phase=self.phase, config=loaded, equity=equity, timeout_s=timeout_s)
        self._tapes: dict[str, Tape] = {}
        self._trials: dict[tuple[str, Form, str], Trial] = {}

    @property
    def declaration(self) -> PhaseDeclaration:
        """What the plugin declares."""
        return self.phase.declaration

    def tape(self, market: str) -> Tape:
        """Return one of the markets."""
        if market not in self._tapes:
            self._tapes[market] = self.markets[market]()
        return self._tapes[market]

    def trial(self, market: str, *, form: Form = Form.REPLAY, brain: str = "free") -> Trial:
        """Return the run of the phase on a market; see Examination.run."""
        key = (market, form, brain)
        if key not in self._trials:
            self._trials[key] = self.examination.run(self.tape(market), form=form, brain=brain)
        return self._trials[key]

    def traded(self) -> list[str]:
        """Return the markets on which the phase executed an order, the smallest first."""
        return sorted((name for name in self.markets if self.trial(name).record.fills), key=lambda name: self.tape(name).ticks)

    def strategies(self) -> tuple[Strategy, ...]:
        """Make the strategies of one activation."""
        return self.phase.strategies(self.examination.config.phase(self.phase.id))

    def digest_in_another_process(self, market: str) -> str:
        """Run the phase on one of the contract's own markets in a new process with another hash seed and return the digest of its decisions.

        Raises UsageError where the other process fails.
        """
        task = {"plugin": self.plugin, "config": self.overrides, "market": market, "equity": self.examination.equity}
        environment = {**os.environ, "PYTHONHASHSEED": "20240808", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS, json.dumps(task, default=_as_text)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=OTHER_PROCESS_TIMEOUT_S,
        )
        if done.returncode:
            raise UsageError(f"the other process failed:\n{done.stderr}")
        return done.stdout.split()[-1]

    def sources(self, offline: tuple[str, ...] = ()) -> list[Path]:
        """Return the Python files of the plugin's package, without tests and without the modules named in `offline`."""
        module = self._module()
        top = module.__name__.split(".")[0]
        spec = find_spec(top)
        if spec is None or not spec.submodule_search_locations or top == "titan_core":
            return [Path(module.__file__)] if module.__file__ else []
        left_out = {Path(*name.split(".")[1:]).with_suffix(".py") for name in offline}
        return [
            file
            for root in map(Path, spec.submodule_search_locations)
            for file in sorted(root.rglob("*.py"))
            if file.relative_to(root) not in left_out and "tests" not in file.relative_to(root).parts
        ]

    def _module(self) -> ModuleType:
        if isinstance(self.plugin, str):
            return importlib.import_module(self.plugin.split(":")[0])
        if isinstance(self.plugin, ModuleType):
            return self.plugin
        return sys.modules[type(self.plugin).__module__]


def try_phase(plugin: Any, tape: Tape, *, config: Mapping[str, Any] | None = None, equity_usdt: int | None = None, form: Form = Form.REPLAY) -> Trial:
    """Run a phase plugin on a market under the Brain, as `titan replay` would, and return what happened.

    `plugin` is what `PhaseContract.plugin` takes, `config` holds keys of its section, and the equity lies well inside its band unless given.
    Raises UsageError where Titan refuses the plugin, ConfigError for an impossible configuration and CallbackHung for a callback that hangs.
    """
    return Lab(plugin, config=config, markets={"given": lambda: tape}, equity_usdt=equity_usdt).trial("given", form=form)


def digest_elsewhere(task: Mapping[str, Any]) -> str:
    """Do what `Lab.digest_in_another_process` asks for; called in the other process."""
    lab = Lab(task["plugin"], config=task["config"], equity_usdt=None)
    examination = attrs.evolve(lab.examination, equity=Money(task["equity"]))
    return examination.run(lab.tape(task["market"]), form=Form.REFERENCE).record.digest


# -- looking at objects -----------------------------------------------------------------------------------------------
def shared_state(one: Strategy, other: Strategy) -> list[str]:
    """Name what two strategies of the same kind share and could change: attributes that are one mutable object, and mutable class attributes."""
    mine, theirs = dict(_attributes(one)), dict(_attributes(other))
    shared = [f"self.{name}" for name, value in mine.items() if name in theirs and theirs[name] is value and is_mutable(value)]
    for owner in type(one).__mro__[: type(one).__mro__.index(Strategy)]:
        shared += [f"{owner.__name__}.{name}" for name, value in vars(owner).items() if not name.startswith("__") and _is_container(value)]
    return shared


def _attributes(instance: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(instance, "__dict__", {}).items()
    for owner in type(instance).__mro__:
        slots = vars(owner).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(instance, name):
                yield name, getattr(instance, name)


def _is_container(value: object) -> bool:
    return isinstance(value, list | dict | set | bytearray)


def is_mutable(value: object) -> bool:
    """Whether a value may change under the hands of two who hold it; what cannot be told counts as changeable."""
    if value is None or callable(value) or isinstance(value, int | float | complex | str | bytes | Enum | Path | ModuleType | range):
        return False
    if isinstance(value, tuple | frozenset):
        return any(is_mutable(each) for each in value)
    if attrs.has(type(value)):
        return not is_frozen(value)
    parameters = getattr(type(value), "__dataclass_params__", None)
    if parameters is not None:
        return not parameters.frozen
    return getattr(type(value), "__hash__", None) is None or hasattr(value, "__dict__") or hasattr(value, "__setitem__")


def is_frozen(instance: Any) -> bool:
    """Whether an attrs instance refuses to be changed."""
    for field in attrs.fields(type(instance)):
        try:
            setattr(instance, field.name, getattr(instance, field.name))
        except attrs.exceptions.FrozenInstanceError:
            return True
        except (AttributeError, TypeError, ValueError, TitanError):
            continue
        return False
    return True


def misspelled_callbacks(kind: type[Strategy]) -> list[str]:
    """Say which methods of a strategy look like callbacks and will never be called as such, and which cannot be called."""
    problems = []
    for name in dir(kind):
        near = get_close_matches(name, CALLBACKS, 1, 0.75)
        if name.startswith("on_") and name not in CALLBACKS and near and name not in dir(Strategy):
            problems.append(f"{kind.__name__}.{name} is never called by Titan; did you mean {near[0]}? (what you arm yourself may have any other name)")
    for name in CALLBACKS:
        method, declared = getattr(kind, name), getattr(Strategy, name)
        if iscoroutinefunction(method) or isgeneratorfunction(method):
            problems.append(f"{kind.__name__}.{name} is an async or generator function, and calling it does nothing; make it a plain function")
        elif isfunction(method):
            try:
                signature(method).bind(*signature(declared).parameters)
            except TypeError as error:
                problems.append(f"{kind.__name__}.{name}{signature(method)} cannot be called as {name}{signature(declared)}: {error}")
    return problems
