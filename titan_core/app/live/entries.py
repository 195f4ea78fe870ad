"""What a session writes into its journal, and how it is read back.

One entry is one *moment*: an input that reached the engine, everything that was decided because of it, everything that is to be sent, and the state
afterwards. A moment is on disk before anything of it is sent, so what the venue has was always journalled; and it is whole or not there at all, so the
newest state in the journal is one that the engine was in.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from titan_core.engine.heard import Heard
from titan_core.engine.memory import Memory
from titan_core.errors import TitanError
from titan_core.journal.codec import EntryCodec
from titan_core.model.enums import OrderType, TimeInForce
from titan_core.model.fill import Booking
from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Check, Intent


class Submit(Struct, frozen=True, gc=False, kw_only=True, tag="submit"):
    """An approved order that is to be sent."""

    client_order_id: ClientOrderId
    phase: PhaseId
    strategy: StrategyId
    instrument: InstrumentId
    signed_lots: int
    asked_lots: int
    order_type: OrderType
    limit: int | None
    trigger: int | None
    stop: int | None
    target: int | None
    reduce_only: bool
    post_only: bool
    time_in_force: TimeInForce
    label: str
    pair: str
    checks: tuple[Check, ...]
    is_leaving: bool

    @classmethod
    def of(cls, approved: Approved, is_leaving: bool) -> "Submit":
        """Write down an approved order."""
        i = approved.intent
        return cls(
            client_order_id=i.client_order_id, phase=i.phase, strategy=i.strategy, instrument=i.instrument.id, signed_lots=approved.signed_lots,
            asked_lots=i.signed_lots, order_type=i.order_type, limit=i.limit, trigger=i.trigger, stop=i.stop, target=i.target, reduce_only=i.reduce_only,
            post_only=i.post_only, time_in_force=i.time_in_force, label=i.tag, pair=i.pair, checks=approved.checks, is_leaving=is_leaving,
        )  # fmt: skip

    def approved(self, known: Mapping[InstrumentId, Instrument]) -> Approved:
        """Read it back. Raises TitanError where the instrument is not known any more."""
        if self.instrument not in known:
            raise TitanError(f"the journal has an order in {self.instrument}, which this run does not trade; add it to the configuration until it is closed")
        intent = Intent(
            client_order_id=self.client_order_id, phase=self.phase, strategy=self.strategy, instrument=known[self.instrument], signed_lots=self.asked_lots,
            order_type=self.order_type, limit=self.limit, trigger=self.trigger, stop=self.stop, target=self.target, reduce_only=self.reduce_only,
            post_only=self.post_only, time_in_force=self.time_in_force, tag=self.label, pair=self.pair,
        )  # fmt: skip
        return Approved(intent, self.signed_lots, self.checks)


class Withdraw(Struct, frozen=True, gc=False, tag="withdraw"):
    """A cancel that is to be sent."""

    client_order_id: ClientOrderId


class Protect(Struct, frozen=True, gc=False, tag="protect"):
    """What is to rest at the venue for a position."""

    instrument: InstrumentId
    stop: int | None
    target: int | None


class Leave(Struct, frozen=True, gc=False, tag="leave"):
    """The venue is to be left out of band."""


class Verify(Struct, frozen=True, gc=False, tag="verify"):
    """All positions are to be read at the venue, twice."""


Sent = Submit | Withdraw | Protect | Leave | Verify


class Started(Struct, kw_only=True, tag="started"):
    """A process has begun: what runs, and the state that it begins with."""

    boot: int
    """1 for the first process of this journal."""
    ts_ns: int
    """The market's time at which the engine started."""
    wall_ns: int
    name: str
    mode: str
    feed: str
    speed: float
    seed: int | None
    config_digest: str
    code_digest: str
    settings: dict[str, str]
    """The configuration keys that are not at their default, so that a replay runs on the same."""
    phases: tuple[str, ...]
    instruments: tuple[str, ...]
    equity_start: int
    """Cash of the journal's first boot (1e-8 USDT)."""
    memory: Memory | None
    """What the engine was put on, recovered and reconciled; None on a first boot."""
    bookings: tuple[Booking, ...] = ()
    """What was booked while recovering."""
    notes: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    """The newest executions that are booked."""
    last_execution_ns: int = 0
    recording: str = ""
    """Name of the folder that the market was recorded into; empty where it was not."""
    order_venues: tuple[str, ...] = ()
    terms: tuple[dict[str, Any], ...] = ()
    """Grid, limits and fees of `instruments`, in their order, as a tape's manifest has them."""


class Moment(Struct, kw_only=True, tag="moment"):
    """One input and what came of it. `decisions` are the entries of the engine's record."""

    ts_ns: int
    word: Heard | None = None
    """None where the market or a timer was the input."""
    decisions: tuple[tuple[Any, ...], ...] = ()
    bookings: tuple[Booking, ...] = ()
    sent: tuple[Sent, ...] = ()
    memory: Memory | None = None
    """The state afterwards; None where it has not changed since the last moment that has one."""


class Ended(Struct, kw_only=True, tag="ended"):
    """The process has ended in order."""

    ts_ns: int
    reason: str


Entry = Started | Moment | Ended


class Kept(Struct, kw_only=True):
    """A snapshot: everything that the entries up to here have led to."""

    boot: int
    equity_start: int
    memory: Memory | None = None
    bookings: list[Booking] = []
    open_orders: dict[str, Submit] = {}
    """Orders that were to be sent and of whose end nothing has been heard."""
    seen: list[str] = []
    last_execution_ns: int = 0
    orderly: bool = False
    """Whether the last process ended in order."""


def entry_codec() -> EntryCodec[Entry]:
    """Return the codec of a session's journal."""
    return EntryCodec(Entry)
