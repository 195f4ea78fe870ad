"""One governed run of a phase plugin on a small market, watched from all sides: what the contract judges.

The run is a real one: plugin host, configuration, Brain, engine and simulated venue are those of `titan replay`. The governor and the venue are
subclasses that look on, and in the trials of refusal and of leaving the governor does what the Brain may do at any time.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from math import isqrt
from time import perf_counter_ns
from typing import Any, ClassVar, NamedTuple

from attrs import define, evolve, field, frozen

from titan_core.app.compose import bind, on_terms
from titan_core.app.watchdog import Watchdog
from titan_core.brain.vocabulary import PhaseState, Trigger
from titan_core.config.load import Config
from titan_core.engine.core import Engine
from titan_core.engine.desk import Desk
from titan_core.engine.forms import Form, make_engine
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.matching import SimVenue
from titan_core.engine.phases import PhaseBook, ServiceDesk
from titan_core.engine.record import Entry, Record
from titan_core.engine.venue import WorkingOrder
from titan_core.errors import PluginError
from titan_core.model.enums import RefusalCode
from titan_core.model.fill import Fill
from titan_core.model.order import Approved, Intent, Refused
from titan_core.model.phase import CapitalBand, PhaseDeclaration
from titan_core.model.units import MONEY_PER_USDT, MS, H, Money, S
from titan_core.plugin_host import LoadedPhase
from titan_core.ports import Strategy
from titan_core.tape.tape import Tape

REFUSALS_PER_CALLBACK = 100
"""A callback that is refused so often does nothing else any more."""
RETURN_AFTER_S = 1_800
"""How long after its time to leave a phase is activated again, in the trial of leaving."""


class BusyLoop(PluginError):
    """A callback asks again and again for what is refused; the run was aborted."""

    aborts = True


@frozen(kw_only=True)
class Timing:
    """How long the callbacks of a run took, in ns of wall time."""

    calls: int
    median_ns: int
    slowest_ns: int
    slowest: str
    """The name of the slowest callback."""


@define(kw_only=True)
class Findings:
    """What the watching parts of a run noticed; every line names the strategy and the moment."""

    faults: list[str] = field(factory=list)
    """Tracebacks of what callbacks raised."""
    unprotected: list[str] = field(factory=list)
    unapproved: list[str] = field(factory=list)
    refusals: Counter[int] = field(factory=Counter)
    """Refused intents by hour of the run."""
    times: dict[str, list[int]] = field(factory=dict)
    """Wall time of each call in ns, by the callback's name."""
    left_ns: int = 0
    """When the phase was asked to leave; 0: it was not."""


class SentOrder(NamedTuple):
    """An order that was approved and sent. Prices in ticks, `signed_lots` is what was sent, which may be less than what was asked for."""

    ts_ns: int
    client_order_id: str
    instrument: str
    signed_lots: int
    order_type: str
    limit: int | None
    trigger: int | None
    stop: int | None
    target: int | None
    tag: str


@frozen(kw_only=True)
class Trial:
    """A finished run."""

    record: Record
    findings: Findings
    activations: int
    quarantine: str
    """Why the phase was put in quarantine; empty where it was not."""
    positions: dict[str, int]
    """Signed lots still held at the end, by instrument."""
    made: tuple[Strategy, ...]
    """Every strategy that the phase made, in order of its activations."""

    @property
    def entries(self) -> list[Entry]:
        """Every decision in order."""
        return self.record.entries

    @property
    def orders(self) -> list[SentOrder]:
        """Every order that was sent, in order; those of the Brain too, not the protective ones."""
        return [SentOrder(*entry[1:]) for entry in self.entries if entry[0] == "approved"]

    @property
    def fills(self) -> list[Fill]:
        """Every execution in order, those of protective orders included."""
        return self.record.fills

    @property
    def notes(self) -> list[str]:
        """What the phase's strategies noted, in order."""
        return [str(entry[3]) for entry in self.entries if entry[0] == "note" and str(entry[2]) not in ("brain", "venue")]

    @property
    def refusals(self) -> list[str]:
        """The codes of the intents that were refused, in order."""
        return [str(entry[5]) for entry in self.entries if entry[0] == "refused"]

    @property
    def timing(self) -> Timing:
        """How fast the callbacks were."""
        every = sorted(ns for times in self.findings.times.values() for ns in times)
        if not every:
            return Timing(calls=0, median_ns=0, slowest_ns=0, slowest="")
        slowest = max(self.findings.times, key=lambda name: max(self.findings.times[name]))
        return Timing(calls=len(every), median_ns=every[len(every) // 2], slowest_ns=every[-1], slowest=slowest)


class WatchedVenue(SimVenue):
    """Notices orders that no approval stands behind, and positions whose stop is taken away."""

    governor: "WatchedGovernor"

    def submit(self, approved: Approved, desk: Any, k: int) -> WorkingOrder:
        """Send an order, noting it where the Brain has not approved it."""
        if not isinstance(desk, ServiceDesk) and id(approved) not in self.governor.given:
            self.governor.findings.unapproved.append(f"{approved.intent.client_order_id} at {self.engine.now} ns")
        return super().submit(approved, desk, k)

    def protect(self, k: int, desk: Any, stop: int | None, target: int | None) -> None:
        """Replace the protection of a position, noting it where nothing protects it any more."""
        super().protect(k, desk, stop, target)
        self.governor.look_for_stops()


class WatchedGovernor(BrainGovernor):
    """The Brain, looking on."""

    findings: Findings
    given: dict[int, Approved]
    """Every approval, by identity."""

    def begin(self, engine: Engine) -> None:
        """Begin to watch, then boot."""
        self.findings = Findings()
        self.given = {}
        assert isinstance(engine.venue, SimVenue)
        venue = WatchedVenue(engine, engine.venue.latency_ns, engine.venue.slippage_ticks)
        venue.governor = self
        engine.venue = venue
        super().begin(engine)

    def approve(self, intents: tuple[Intent, ...]) -> tuple[Approved, ...] | Refused:
        """Approve or refuse, and remember it."""
        decision = super().approve(intents)
        if isinstance(decision, Refused):
            self._refused()
        else:
            self.given |= {id(approved): approved for approved in decision}
        return decision

    def _refused(self) -> None:
        self.findings.refusals[self.engine.now // H] += 1

    def settle(self) -> None:
        """Settle, then look at the protection of every position."""
        super().settle()
        self.look_for_stops()

    def look_for_stops(self) -> None:
        """Note every position of an unhedged phase that no stop protects; in an emergency all positions are being closed anyway."""
        engine = self.engine
        if self.machine.configuration.is_in("emergency"):
            return
        for k in engine.account.held():
            slot = engine.account.owner[k]
            if not 0 <= slot < len(self.books) or self.books[slot].binding.declaration.hedged:
                continue
            protection = engine.venue.protection.get(k)
            if (protection is None or protection.stop is None) and len(self.findings.unprotected) < 10:
                lots, name = engine.account.lots[k], engine.layout.instruments[k].id
                self.findings.unprotected.append(f"{lots} lots of {name} at {engine.now} ns, in {_active(engine)}")

    def fault(self, desk: Any, error: BaseException) -> None:
        """Keep the traceback of what a callback raised."""
        if len(self.findings.faults) < 3:
            self.findings.faults.append("".join(traceback.format_exception(error)))
        super().fault(desk, error)

    def start_phase(self, book: PhaseBook | None) -> None:
        """Start a phase and time its callbacks."""
        super().start_phase(book)
        for desk in book.desks if book else ():
            desk.call = self._timed(desk, desk.call)  # type: ignore[method-assign]

    def _timed(self, desk: Desk, call: Callable[..., None]) -> Callable[..., None]:
        times = self.findings.times

        def timed(callback: Any, *arguments: Any) -> None:
            started = perf_counter_ns()
            call(callback, *arguments)
            name = getattr(callback, "__qualname__", repr(callback))
            times.setdefault(name, []).append(perf_counter_ns() - started)

        return timed


class RefusingGovernor(WatchedGovernor):
    """A Brain that refuses every entry."""

    _call = -1
    _asked = 0

    def approve(self, intents: tuple[Intent, ...]) -> tuple[Approved, ...] | Refused:
        """Let reducing orders through and refuse all others. Raises BusyLoop where one callback never stops asking."""
        if all(intent.reduce_only for intent in intents):
            return super().approve(intents)
        self._asked = self._asked + 1 if self._call == self.engine.calls else 1
        self._call = self.engine.calls
        if self._asked > REFUSALS_PER_CALLBACK:
            raise BusyLoop(intents[0].phase, f"one callback of strategy {intents[0].strategy!r} was refused {REFUSALS_PER_CALLBACK} times and asked again")
        self._refused()
        return Refused(intents[0], RefusalCode.PHASE_MAY_NOT_ENTER, 0, 1, "this trial refuses every entry")


class HalvingGovernor(WatchedGovernor):
    """A Brain that keeps the phase reduced: sizes are halved."""

    def settle(self) -> None:
        """Settle; reduce the phase whenever it is active."""
        super().settle()
        for book in self.books:
            if self.state_of(book) is PhaseState.ACTIVE:
                self.fire(Trigger.REDUCE, book)


class LeavingGovernor(WatchedGovernor):
    """A Brain that tells the phase to leave a second after it first holds a position, and activates it again later."""

    def settle(self) -> None:
        """Settle; schedule the leaving when there is something to leave."""
        super().settle()
        book = self.books[0]
        if not self.findings.left_ns and self.closing.holds(book):
            self.findings.left_ns = self.engine.now + S
            self.engine.at_system(self.findings.left_ns, self._leave, book)

    def _leave(self, timer: Any) -> None:
        self.fire(Trigger.DRAIN, timer.payload)
        self.settle()


@frozen(kw_only=True)
class Examination:
    """A plugin with its configuration, ready to be tried."""

    phase: LoadedPhase
    config: Config
    equity: Money
    timeout_s: float = 10.0

    GOVERNORS: ClassVar[dict[str, type[WatchedGovernor]]] = {
        "free": WatchedGovernor,
        "refused": RefusingGovernor,
        "halved": HalvingGovernor,
        "leaving": LeavingGovernor,
    }

    @property
    def declaration(self) -> PhaseDeclaration:
        """The phase's declaration with the limits in force."""
        return self.config.declaration(self.phase.id)

    def run(self, tape: Tape, *, form: Form = Form.REPLAY, brain: str = "free") -> Trial:
        """Run the phase on a market under a Brain that leaves it free, refuses every entry, halves it, or makes it leave.

        Raises CallbackHung where a callback hangs and BusyLoop where one asks for ever.
        """
        tape = on_terms(tape, self.config)
        limits = self.config.brain
        if brain == "leaving":
            limits = evolve(limits, dwell_s=min(86_400, self.declaration.drain_s + RETURN_AFTER_S))
        made: list[Strategy] = []
        binding = bind(self.phase, self.config)
        governor = self.GOVERNORS[brain]([evolve(binding, create=lambda: _remembered(binding.create(), made))], limits)
        engine = make_engine(
            form,
            tape,
            governor,
            cash=self.equity,
            slots=governor.slots,
            latency_ns=self.config.replay.order_latency_ms * MS,
            slippage_ticks=self.config.replay.slippage_ticks,
            say=lambda text: None,
        )
        with Watchdog(engine, self.timeout_s):
            engine.run()
        held = {str(engine.layout.instruments[k].id): engine.account.lots[k] for k in engine.account.held()}
        book = governor.books[0]
        return Trial(record=engine.record, findings=governor.findings, activations=book.activations, quarantine=book.broken, positions=held, made=tuple(made))


def equity_inside(band: CapitalBand) -> Money:
    """Return an equity well inside a band: the geometric middle of its bounds, or twice the lower bound where there is no upper."""
    low = max(band.lower, 10 * MONEY_PER_USDT)
    return Money(2 * low if band.upper is None else isqrt(low * band.upper))


def _remembered(strategies: Sequence[Strategy], made: list[Strategy]) -> Sequence[Strategy]:
    made.extend(strategies)
    return strategies


def _active(engine: Engine) -> str:
    return f"a callback of strategy {engine.active.strategy_id!r}" if engine.active is not None else "no callback"
