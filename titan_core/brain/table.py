"""The Brain's chart in two tables: its states and its transitions.

Two habits of the table. What tightens is never guarded, so it cannot be refused by a fact that is missing or late; what loosens says what must be true.
And what may be fired twice is internal the second time, so that repeating a command does no harm.

Some choices, with their reasons:

* `operational` is entered with `link.down`: the gate stays shut until a venue is known to be tradable, and until levels that the journal remembers
  (a halted account, a reduced phase) have been fired again.
* `emergency.locked` has no `stop`: a locked process may simply end, for `loaded` brings the next one back to `locked`. Only the operator's resume unlocks.
* A phase that comes back on the same day comes back to the level that its losses of the day have earned.
"""

from collections.abc import Iterable, Sequence

from titan_core.brain.statechart import SEPARATOR, State, StateKind, Transition
from titan_core.brain.vocabulary import Booting, Command, Control, Direction, Emergency, Guard, Link, PhaseState, Risk, Trigger
from titan_core.model.ids import PhaseId
from titan_core.model.units import BPS

OPERATIONAL = "operational"
BOOTING = "booting"
EMERGENCY = "emergency"
STOPPING = "stopping"
STOPPED = "stopped"
RISK = f"{OPERATIONAL}.risk"
LINK = f"{OPERATIONAL}.link"
CONTROL = f"{OPERATIONAL}.control"
PHASES = f"{OPERATIONAL}.phases"
LOCKED = f"{EMERGENCY}.{Emergency.LOCKED}"

SIZE_BY_RISK = {Risk.NORMAL: BPS, Risk.WARNING: BPS, Risk.REDUCED: BPS // 2, Risk.HALTED: 0}
"""Size multiplier in basis points that each risk level of the account admits."""
LEVERAGE_BY_RISK = {Risk.NORMAL: BPS, Risk.WARNING: BPS, Risk.REDUCED: BPS, Risk.HALTED: 0}
"""Share in basis points of the leverage cap up to which each risk level admits entries; what is held already is not forced down."""
SIZE_BY_PHASE = {state: {PhaseState.ACTIVE: BPS, PhaseState.REDUCED: BPS // 2}.get(state, 0) for state in PhaseState}
"""Size multiplier in basis points that each state of a phase admits."""
LEVERAGE_BY_PHASE = {state: BPS if state in (PhaseState.ACTIVE, PhaseState.REDUCED) else 0 for state in PhaseState}
"""Share in basis points of the leverage cap up to which each state of a phase admits entries."""

LEVELS = (PhaseState.ACTIVE, PhaseState.REDUCED, PhaseState.HALTED, PhaseState.ESCALATED)
"""The states of a phase in which it may hold positions under its own strategies, calmest first."""

_MORE, _LESS, _EQUAL = Direction.MORE_RISK, Direction.LESS_RISK, Direction.EQUAL

_PHASE_SUMMARY = {
    PhaseState.DORMANT: "equity lies outside the band; the phase holds nothing",
    PhaseState.ARMING: "its health is being checked",
    PhaseState.ACTIVE: "it trades at full size",
    PhaseState.REDUCED: "it trades at half size: daily loss L1, or correlated with an earlier phase",
    PhaseState.HALTED: "exits only: daily loss L2",
    PhaseState.ESCALATED: "daily loss L3: reported to the Brain and being flattened",
    PhaseState.DRAINING: "it leaves: exits only, stops and targets stay, flattened when its time is up",
    PhaseState.DISABLED: "switched off by the operator, or in quarantine",
}
_EMERGENCY_SUMMARY = {
    Emergency.CLOSING_GATE: "step 1: no entry is approved any more",
    Emergency.CANCELLING_ENTRIES: "step 2: entry orders are cancelled",
    Emergency.FLATTENING: "step 3: every position is closed at market, reduce-only",
    Emergency.VERIFYING: "step 4: positions are read twice before the remaining stops are cancelled",
    Emergency.DISABLING: "step 5: stops are cancelled, phases disabled",
    Emergency.LOCKED: "step 6: flat, recorded, latched until the operator resumes",
}


def states(phases: Sequence[PhaseId]) -> tuple[State, ...]:
    """Return the table of states for the given phases, parents before children."""
    return (
        _compound(BOOTING, Booting.LOADING, "a start: nothing may enter", closes_gate=True),
        State(path=f"{BOOTING}.{Booting.LOADING}", summary="journal and configuration are read"),
        State(path=f"{BOOTING}.{Booting.RECONCILING}", summary="orders and positions are compared with every venue"),
        State(path=OPERATIONAL, kind=StateKind.PARALLEL, summary="trading, as far as every region below allows it"),
        *_risk_states(),
        _compound(LINK, Link.DOWN, "whether venues can be traded"),
        State(path=f"{LINK}.{Link.UP}", severity=0, summary="every venue is tradable"),
        State(path=f"{LINK}.{Link.DEGRADED}", severity=1, summary="a venue is down; entries are refused there"),
        State(path=f"{LINK}.{Link.DOWN}", severity=2, summary="no venue is tradable", closes_gate=True),
        _compound(CONTROL, Control.RUNNING, "what the operator wants"),
        State(path=f"{CONTROL}.{Control.RUNNING}", severity=0, summary="entries wanted"),
        State(path=f"{CONTROL}.{Control.PAUSED}", severity=1, summary="entries not wanted; exits go on", closes_gate=True),
        *((State(path=PHASES, kind=StateKind.PARALLEL, summary="one region per installed phase"),) if phases else ()),
        *(state for phase in phases for state in _phase_states(phase)),
        _compound(EMERGENCY, Emergency.CLOSING_GATE, "leave the market, step by verified step", closes_gate=True),
        *(State(path=f"{EMERGENCY}.{name}", summary=_EMERGENCY_SUMMARY[name]) for name in Emergency),
        State(path=STOPPING, summary="entries are cancelled, protective stops rest at the venue", closes_gate=True),
        State(path=STOPPED, kind=StateKind.FINAL, summary="the process may end", closes_gate=True),
    )


def transitions(phases: Sequence[PhaseId]) -> tuple[Transition, ...]:
    """Return the table of transitions for the given phases; rows of one trigger and source are tried in this order."""
    return (*_process_rows(), *_emergency_rows(), *_risk_rows(), *_link_and_control_rows(), *(row for phase in phases for row in _phase_rows(phase)))


def _compound(path: str, initial: str, summary: str, *, closes_gate: bool = False, phase: PhaseId | None = None) -> State:
    entered = f"{path}{SEPARATOR}{initial}"
    return State(path=path, kind=StateKind.COMPOUND, initial=entered, summary=summary, closes_gate=closes_gate, phase=phase)


def _risk_states() -> Iterable[State]:
    yield _compound(RISK, Risk.NORMAL, "risk level of the whole account")
    summary = {
        Risk.NORMAL: "full size",
        Risk.WARNING: "drawdown of 10 % or more: the operator is told",
        Risk.REDUCED: "drawdown of 12.5 % or more: half size",
        Risk.HALTED: "exits only until the operator lifts it: two phases escalated on one day",
    }
    for rank, name in enumerate(Risk):
        size, leverage = SIZE_BY_RISK[name], LEVERAGE_BY_RISK[name]
        halted = name is Risk.HALTED
        yield State(path=f"{RISK}.{name}", severity=rank, size_bps=size, leverage_bps=leverage, closes_gate=halted, summary=summary[name])


def _phase_states(phase: PhaseId) -> Iterable[State]:
    root = f"{PHASES}.{phase}"
    yield _compound(root, PhaseState.DORMANT, "where this phase stands", phase=phase)
    for name in PhaseState:
        yield State(
            path=f"{root}.{name}",
            phase=phase,
            size_bps=SIZE_BY_PHASE[name],
            leverage_bps=LEVERAGE_BY_PHASE[name],
            severity=LEVELS.index(name) if name in LEVELS else None,
            summary=_PHASE_SUMMARY[name],
        )


class _Rows:
    """Writes rows below one root, so that the table reads as words and not as paths."""

    def __init__(self, root: str = "", phase: PhaseId | None = None) -> None:
        self._prefix = root + SEPARATOR if root else ""
        self._phase = phase
        self.rows: list[Transition] = []

    def add(
        self,
        trigger: Trigger,
        sources: str | Iterable[str],
        dest: str | None,
        direction: Direction,
        summary: str,
        *,
        guards: tuple[Guard, ...] = (),
        commands: tuple[Command, ...] = (),
    ) -> None:
        """Write one row per source."""
        for source in (sources,) if isinstance(sources, str) else sources:
            self.rows.append(
                Transition(
                    trigger=trigger,
                    source=self._prefix + source,
                    dest=None if dest is None else self._prefix + dest,
                    direction=direction,
                    guards=guards,
                    commands=commands,
                    phase=self._phase,
                    summary=summary,
                )
            )


def _process_rows() -> list[Transition]:
    table = _Rows()
    add = table.add
    loading, reconciling = f"{BOOTING}.{Booting.LOADING}", f"{BOOTING}.{Booting.RECONCILING}"
    closing = f"{EMERGENCY}.{Emergency.CLOSING_GATE}"
    alert = (Command.CLOSE_GATE, Command.SEND_ALERT)
    add(Trigger.LOADED, loading, LOCKED, _EQUAL, "a locked emergency survives the process", guards=(Guard.EMERGENCY_LOCKED,), commands=alert)
    add(Trigger.LOADED, loading, closing, _EQUAL, "an interrupted emergency begins again", guards=(Guard.EMERGENCY_UNFINISHED,), commands=alert)
    add(Trigger.LOADED, loading, reconciling, _EQUAL, "the journal is read", commands=(Command.RECONCILE,))
    ready = (Command.ADOPT_UNKNOWN, Command.SELECT_PHASES)
    add(Trigger.RECONCILED, reconciling, OPERATIONAL, _EQUAL, "every venue agrees with the books", commands=ready)
    leave = (Command.CLOSE_GATE, Command.CANCEL_ENTRIES)
    add(Trigger.STOP, (BOOTING, OPERATIONAL), STOPPING, _MORE, "the operator or the system ends the process", commands=leave)
    add(Trigger.STOP_COMPLETED, STOPPING, STOPPED, _EQUAL, "no entry order is left", commands=(Command.WRITE_RECORD,))
    return table.rows


def _emergency_rows() -> list[Transition]:
    table = _Rows()
    add = table.add
    step = {name: f"{EMERGENCY}.{name}" for name in Emergency}
    closing, cancelling, flattening, verifying, disabling, locked = step.values()
    alert = (Command.CLOSE_GATE, Command.SEND_ALERT)
    add(Trigger.PANIC, (BOOTING, OPERATIONAL, STOPPING), closing, _MORE, "drawdown beyond 15 %, a venue with positions lost, or the operator", commands=alert)
    add(Trigger.PANIC, (closing, cancelling, flattening, verifying, disabling), None, _MORE, "the steps go on", commands=(Command.CLOSE_GATE,))
    add(Trigger.PANIC, locked, None, _MORE, "locked stays locked; positions are read again", commands=(Command.CLOSE_GATE, Command.VERIFY_FLAT))
    add(Trigger.GATE_CLOSED, closing, cancelling, _EQUAL, "step 1 is verified", commands=(Command.CANCEL_ENTRIES,))
    add(Trigger.ENTRIES_CANCELLED, cancelling, flattening, _EQUAL, "step 2 is verified", commands=(Command.FLATTEN_ALL,))
    add(Trigger.FLAT, flattening, verifying, _EQUAL, "step 3 is done, to be verified", commands=(Command.VERIFY_FLAT,))
    done = (Command.CANCEL_STOPS, Command.DISABLE_PHASES)
    add(Trigger.VERIFIED, verifying, disabling, _EQUAL, "step 4 is verified", guards=(Guard.READS_AGREE,), commands=done)
    add(Trigger.NOT_FLAT, (verifying, disabling), flattening, _MORE, "a position is left, or a late fill has come", commands=(Command.FLATTEN_ALL,))
    add(Trigger.NOT_FLAT, locked, None, _MORE, "a late fill: closed again under the lock", commands=(Command.FLATTEN_ALL, Command.SEND_ALERT))
    record = (Command.WRITE_RECORD, Command.SEND_ALERT)
    add(Trigger.ALL_DISABLED, disabling, locked, _EQUAL, "step 5 is verified", commands=record)
    resumed = (Command.WRITE_RECORD, Command.LOAD_JOURNAL)
    add(Trigger.RESUME, locked, BOOTING, _LESS, "the operator's resume, and nothing else", guards=(Guard.RESUME_ALLOWED,), commands=resumed)
    return table.rows


def _risk_rows() -> list[Transition]:
    table = _Rows(RISK)
    add = table.add
    alert = (Command.SEND_ALERT,)
    add(Trigger.WARN, Risk.NORMAL, Risk.WARNING, _MORE, "drawdown has reached 10 %", commands=alert)
    add(Trigger.REDUCE, (Risk.NORMAL, Risk.WARNING), Risk.REDUCED, _MORE, "drawdown has reached 12.5 %", commands=alert)
    barred = (Command.CANCEL_ENTRIES, Command.SEND_ALERT)
    add(Trigger.HALT, (Risk.NORMAL, Risk.WARNING, Risk.REDUCED), Risk.HALTED, _MORE, "two phases escalated on one day, or the operator", commands=barred)
    add(Trigger.RELAX, (Risk.WARNING, Risk.REDUCED), Risk.NORMAL, _LESS, "drawdown has receded", guards=(Guard.BELOW_WARNING,), commands=alert)
    add(Trigger.RELAX, Risk.REDUCED, Risk.WARNING, _LESS, "drawdown has receded", guards=(Guard.BELOW_REDUCED,), commands=alert)
    lifted = "the operator lifts the halt, to what drawdown allows"
    add(Trigger.LIFT_HALT, Risk.HALTED, Risk.NORMAL, _LESS, lifted, guards=(Guard.BELOW_WARNING,), commands=alert)
    add(Trigger.LIFT_HALT, Risk.HALTED, Risk.WARNING, _LESS, lifted, guards=(Guard.BELOW_REDUCED,), commands=alert)
    add(Trigger.LIFT_HALT, Risk.HALTED, Risk.REDUCED, _LESS, lifted, guards=(Guard.BELOW_EMERGENCY,), commands=alert)
    return table.rows


def _link_and_control_rows() -> list[Transition]:
    link, control = _Rows(LINK), _Rows(CONTROL)
    alert = (Command.SEND_ALERT,)
    lost = (Command.CANCEL_ENTRIES, Command.SEND_ALERT)
    link.add(Trigger.LINK_DEGRADED, Link.UP, Link.DEGRADED, _MORE, "a venue is down", commands=alert)
    link.add(Trigger.LINK_DOWN, (Link.UP, Link.DEGRADED), Link.DOWN, _MORE, "no venue is tradable", commands=lost)
    back = "a venue is tradable again"
    link.add(Trigger.LINK_DEGRADED, Link.DOWN, Link.DEGRADED, _LESS, back, guards=(Guard.SOME_VENUE_TRADABLE,), commands=alert)
    link.add(Trigger.LINK_UP, (Link.DEGRADED, Link.DOWN), Link.UP, _LESS, "every venue is tradable", guards=(Guard.ALL_VENUES_TRADABLE,), commands=alert)
    control.add(Trigger.PAUSE, Control.RUNNING, Control.PAUSED, _MORE, "the operator pauses", commands=(Command.CANCEL_ENTRIES,))
    control.add(Trigger.UNPAUSE, Control.PAUSED, Control.RUNNING, _LESS, "the operator goes on")
    return [*link.rows, *control.rows]


def _phase_rows(phase: PhaseId) -> list[Transition]:
    table = _Rows(f"{PHASES}.{phase}", phase)
    _phase_entry(table)
    _phase_levels(table)
    _phase_exit(table)
    return table.rows


def _phase_entry(table: _Rows) -> None:
    add = table.add
    dormant, arming, draining, disabled = PhaseState.DORMANT, PhaseState.ARMING, PhaseState.DRAINING, PhaseState.DISABLED
    add(Trigger.ARM, dormant, arming, _EQUAL, "equity lies in the band", guards=(Guard.EQUITY_FITS,), commands=(Command.CHECK_HEALTH,))
    healthy = "the health check passed; the day's losses set the level"
    for level, guards in ((PhaseState.HALTED, (Guard.DAY_HALTED,)), (PhaseState.REDUCED, (Guard.DAY_REDUCED,)), (PhaseState.ACTIVE, ())):
        add(Trigger.ACTIVATE, arming, level, _LESS, healthy, guards=guards, commands=(Command.SET_ALLOCATIONS, Command.START_PHASE))
    add(Trigger.REJECT, arming, dormant, _EQUAL, "the health check failed", commands=(Command.SEND_ALERT,))
    back = "equity came back while the phase was leaving"
    for level, guards in ((PhaseState.HALTED, (Guard.DAY_HALTED,)), (PhaseState.REDUCED, (Guard.DAY_REDUCED,)), (PhaseState.ACTIVE, ())):
        add(Trigger.REACTIVATE, draining, level, _LESS, back, guards=(Guard.MAY_RETURN, *guards), commands=(Command.SET_ALLOCATIONS,))
    add(Trigger.ENABLE, disabled, dormant, _EQUAL, "the operator enables the phase", guards=(Guard.HEALTHY,))


def _phase_levels(table: _Rows) -> None:
    add = table.add
    active, reduced, halted, escalated = LEVELS
    flatten = (Command.STOP_ENTRIES, Command.FLATTEN_PHASE, Command.REPORT_ESCALATION, Command.SEND_ALERT)
    add(Trigger.REDUCE, active, reduced, _MORE, "daily loss L1, or correlated with an earlier phase", commands=(Command.SEND_ALERT,))
    add(Trigger.HALT, (active, reduced), halted, _MORE, "daily loss L2", commands=(Command.STOP_ENTRIES, Command.SEND_ALERT))
    add(Trigger.ESCALATE, (active, reduced, halted), escalated, _MORE, "daily loss L3", commands=flatten)
    day = "a new day (00:00 UTC), or correlation has gone"
    add(Trigger.RECOVER, (reduced, halted, escalated), active, _LESS, day, guards=(Guard.UNCORRELATED,))
    add(Trigger.RECOVER, (halted, escalated), reduced, _LESS, "a new day (00:00 UTC), still correlated")


def _phase_exit(table: _Rows) -> None:
    add = table.add
    active, reduced, halted, escalated = LEVELS
    dormant, arming, draining, disabled = PhaseState.DORMANT, PhaseState.ARMING, PhaseState.DRAINING, PhaseState.DISABLED
    leave, flatten = (Command.STOP_ENTRIES, Command.OFFER_HANDOVER), (Command.STOP_ENTRIES, Command.FLATTEN_PHASE)
    broken = (Command.QUARANTINE_PHASE, Command.STOP_ENTRIES, Command.FLATTEN_PHASE, Command.SEND_ALERT)
    quarantine = (Command.QUARANTINE_PHASE, Command.SEND_ALERT)
    out = "equity has left the band"
    add(Trigger.DRAIN, (active, reduced, halted), draining, _MORE, out, commands=leave)
    add(Trigger.DRAIN, escalated, draining, _MORE, out, commands=flatten)
    add(Trigger.DRAIN, arming, dormant, _EQUAL, out)
    add(Trigger.DISABLE, (active, reduced, halted), draining, _MORE, "the operator disables the phase, or its plugin is exchanged", commands=leave)
    add(Trigger.DISABLE, escalated, draining, _MORE, "the operator disables the phase", commands=flatten)
    add(Trigger.DISABLE, draining, None, _MORE, "it will be disabled once flat", commands=(Command.STOP_ENTRIES,))
    add(Trigger.DISABLE, (dormant, arming), disabled, _MORE, "the operator disables the phase")
    add(Trigger.FAULT, LEVELS, draining, _MORE, "the plugin raised or hung: it is called no more, its positions are flattened", commands=broken)
    add(Trigger.FAULT, draining, None, _MORE, "the plugin failed while leaving", commands=broken)
    add(Trigger.FAULT, (dormant, arming), disabled, _MORE, "the plugin failed", commands=quarantine)
    late = (*flatten, Command.REPORT_ESCALATION, Command.SEND_ALERT)
    add(Trigger.ESCALATE, draining, None, _MORE, "daily loss L3 while leaving", commands=late)
    add(Trigger.DRAIN_TIMEOUT, draining, None, _MORE, "its time to leave is up", commands=(Command.FLATTEN_PHASE, Command.SEND_ALERT))
    gone = (Command.STOP_PHASE, Command.SET_ALLOCATIONS)
    add(Trigger.DRAINED, draining, disabled, _EQUAL, "flat, or handed over", guards=(Guard.PHASE_FLAT, Guard.TO_BE_DISABLED), commands=gone)
    add(Trigger.DRAINED, draining, dormant, _EQUAL, "flat, or handed over", guards=(Guard.PHASE_FLAT,), commands=gone)
