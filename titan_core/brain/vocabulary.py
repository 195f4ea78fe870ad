"""The words of the Brain's chart: region states, triggers, guards and commands, each with the sentence that documents it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Booting(StrEnum):
    """Where a start stands."""

    LOADING = "loading"
    RECONCILING = "reconciling"


class Risk(StrEnum):
    """Risk level of the whole account, from calm to barred."""

    NORMAL = "normal"
    WARNING = "warning"
    REDUCED = "reduced"
    HALTED = "halted"


class Link(StrEnum):
    """Whether venues can be traded: all of them, some, none."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


class Control(StrEnum):
    """What the operator wants."""

    RUNNING = "running"
    PAUSED = "paused"


class PhaseState(StrEnum):
    """Where one phase stands."""

    DORMANT = "dormant"
    ARMING = "arming"
    ACTIVE = "active"
    REDUCED = "reduced"
    HALTED = "halted"
    ESCALATED = "escalated"
    DRAINING = "draining"
    DISABLED = "disabled"


class Emergency(StrEnum):
    """The steps of an emergency, in their order."""

    CLOSING_GATE = "closing_gate"
    CANCELLING_ENTRIES = "cancelling_entries"
    FLATTENING = "flattening"
    VERIFYING = "verifying"
    DISABLING = "disabling"
    LOCKED = "locked"


class Direction(StrEnum):
    """What a transition answers to: a situation that has become riskier (Titan tightens), one that allows more (Titan loosens), or neither.

    Only a transition towards less risk may raise a size multiplier or a leverage cap.
    """

    MORE_RISK = "more risk"
    LESS_RISK = "less risk"
    EQUAL = "equal"


class Trigger(StrEnum):
    """What can be fired. A trigger sent with a phase is a different one from the same word sent to the whole account."""

    # the process
    LOADED = "loaded"
    RECONCILED = "reconciled"
    STOP = "stop"
    STOP_COMPLETED = "stop_completed"
    # the emergency
    PANIC = "panic"
    GATE_CLOSED = "gate_closed"
    ENTRIES_CANCELLED = "entries_cancelled"
    FLAT = "flat"
    NOT_FLAT = "not_flat"
    VERIFIED = "verified"
    ALL_DISABLED = "all_disabled"
    RESUME = "resume"
    # risk of the account; `reduce` and `halt` are also sent to a phase
    WARN = "warn"
    REDUCE = "reduce"
    HALT = "halt"
    RELAX = "relax"
    LIFT_HALT = "lift_halt"
    # venues and operator
    LINK_UP = "link_up"
    LINK_DEGRADED = "link_degraded"
    LINK_DOWN = "link_down"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    # one phase
    ARM = "arm"
    ACTIVATE = "activate"
    REJECT = "reject"
    ESCALATE = "escalate"
    RECOVER = "recover"
    DRAIN = "drain"
    DRAIN_TIMEOUT = "drain_timeout"
    DRAINED = "drained"
    REACTIVATE = "reactivate"
    DISABLE = "disable"
    ENABLE = "enable"
    FAULT = "fault"


class Guard(StrEnum):
    """Facts that a transition may ask for. The checker treats each as a free boolean."""

    EMERGENCY_LOCKED = "emergency_locked"
    EMERGENCY_UNFINISHED = "emergency_unfinished"
    RESUME_ALLOWED = "resume_allowed"
    READS_AGREE = "reads_agree"
    BELOW_WARNING = "below_warning"
    BELOW_REDUCED = "below_reduced"
    BELOW_EMERGENCY = "below_emergency"
    ALL_VENUES_TRADABLE = "all_venues_tradable"
    SOME_VENUE_TRADABLE = "some_venue_tradable"
    EQUITY_FITS = "equity_fits"
    MAY_RETURN = "may_return"
    DAY_HALTED = "day_halted"
    DAY_REDUCED = "day_reduced"
    UNCORRELATED = "uncorrelated"
    PHASE_FLAT = "phase_flat"
    TO_BE_DISABLED = "to_be_disabled"
    HEALTHY = "healthy"


class Command(StrEnum):
    """What the caller has to carry out after a step; a command of a phase's transition is about that phase."""

    LOAD_JOURNAL = "load_journal"
    RECONCILE = "reconcile"
    ADOPT_UNKNOWN = "adopt_unknown"
    SELECT_PHASES = "select_phases"
    CLOSE_GATE = "close_gate"
    SEND_ALERT = "send_alert"
    CANCEL_ENTRIES = "cancel_entries"
    FLATTEN_ALL = "flatten_all"
    VERIFY_FLAT = "verify_flat"
    CANCEL_STOPS = "cancel_stops"
    DISABLE_PHASES = "disable_phases"
    WRITE_RECORD = "write_record"
    CHECK_HEALTH = "check_health"
    SET_ALLOCATIONS = "set_allocations"
    START_PHASE = "start_phase"
    STOP_ENTRIES = "stop_entries"
    FLATTEN_PHASE = "flatten_phase"
    OFFER_HANDOVER = "offer_handover"
    REPORT_ESCALATION = "report_escalation"
    STOP_PHASE = "stop_phase"
    QUARANTINE_PHASE = "quarantine_phase"


GUARD_TEXT: Mapping[Guard, str] = MappingProxyType(
    {
        Guard.EMERGENCY_LOCKED: "the journal ends in a locked emergency that no operator has resumed",
        Guard.EMERGENCY_UNFINISHED: "the journal ends inside an emergency that did not reach `locked`",
        Guard.RESUME_ALLOWED: "the operator has confirmed, and drawdown is at most 15 % or the peak is rebased",
        Guard.READS_AGREE: "two agreeing reads of every venue show no position",
        Guard.BELOW_WARNING: "drawdown from the persisted peak is below 10 %, by more than the hysteresis",
        Guard.BELOW_REDUCED: "drawdown is below 12.5 %, by more than the hysteresis",
        Guard.BELOW_EMERGENCY: "drawdown is at most 15 %, or the operator rebased the peak",
        Guard.ALL_VENUES_TRADABLE: "every venue answers and its data is fresh",
        Guard.SOME_VENUE_TRADABLE: "at least one venue answers and its data is fresh",
        Guard.EQUITY_FITS: "equity lies in the phase's band: at once on first boot, later 1.02 × lower … 0.98 × upper for the dwell",
        Guard.MAY_RETURN: "equity has been back in the band for the dwell and nothing wants the phase disabled",
        Guard.DAY_HALTED: "the phase has reached its daily loss L2 since 00:00 UTC",
        Guard.DAY_REDUCED: "the phase has reached its daily loss L1 since 00:00 UTC, or is held down by correlation",
        Guard.UNCORRELATED: "no correlation with an earlier-activated phase holds it down (released below 0.7)",
        Guard.PHASE_FLAT: "the phase has no position, no working order and no lease",
        Guard.TO_BE_DISABLED: "the operator disabled the phase or its plugin failed",
        Guard.HEALTHY: "the phase's plugin is loaded and not in quarantine",
    }
)
"""What each guard means, in numbers where there are some."""

COMMAND_TEXT: Mapping[Command, str] = MappingProxyType(
    {
        Command.LOAD_JOURNAL: "read the journal and the configuration",
        Command.RECONCILE: "compare orders and positions with every venue until they agree",
        Command.ADOPT_UNKNOWN: "take unknown positions under the Brain, each with a stop",
        Command.SELECT_PHASES: "choose the phases whose band holds the equity; apply journalled levels again",
        Command.CLOSE_GATE: "approve no entry from now on",
        Command.SEND_ALERT: "tell the operator, without waiting",
        Command.CANCEL_ENTRIES: "cancel all entry orders; stops and targets stay",
        Command.FLATTEN_ALL: "close everything: perps reduce-only, largest notional first, paired spot alongside",
        Command.VERIFY_FLAT: "read positions from every venue, twice",
        Command.CANCEL_STOPS: "cancel the protective orders that remain",
        Command.DISABLE_PHASES: "stop the strategies of every phase and void its allocation",
        Command.WRITE_RECORD: "write the durable record",
        Command.CHECK_HEALTH: "ask the phase's plugin whether it can work",
        Command.SET_ALLOCATIONS: "weigh the phases that are on duty and set what each may use",
        Command.START_PHASE: "make the phase's strategies and start them",
        Command.STOP_ENTRIES: "cancel the phase's entry orders; exits, stops and targets stay",
        Command.FLATTEN_PHASE: "close the phase's positions, reduce-only, until they are flat",
        Command.OFFER_HANDOVER: "offer the phase's positions to an active phase that accepts them within its limits",
        Command.REPORT_ESCALATION: "count the escalation; the Brain may halt the account or begin an emergency",
        Command.STOP_PHASE: "drop the phase's strategies and tell its plugin",
        Command.QUARANTINE_PHASE: "call nothing of the phase's plugin any more",
    }
)
"""What each command asks for."""
