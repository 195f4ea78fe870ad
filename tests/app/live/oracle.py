"""What must hold at every moment of simulated trading, judged from the venue's truth and from what is on the disk, not from what the session believes."""

import hashlib
from collections import deque
from typing import Any

import msgspec
from attrs import define, field

from titan_core.app.live.entries import Ended, Kept, Moment, Started, Submit, Withdraw, entry_codec
from titan_core.app.live.folding import add, empty
from titan_core.app.live.session import Session
from titan_core.engine.heard import Asked, Deposited, Doubted, VenueTroubled, Wish
from titan_core.engine.memory import remember
from titan_core.journal.memory import MemoryDisk
from titan_core.journal.port import JournalStatus
from titan_core.model.fill import Deposit
from titan_core.model.ids import InstrumentId
from titan_core.model.units import MS, S
from titan_core.simulator.account import AccountEvent, EventKind
from titan_core.simulator.box import Box
from titan_core.simulator.orders import Origin

ON_ITS_WAY_NS = 20 * MS
"""What was sent before a moment may arrive so much after it."""
STALE_NS = 11 * S
"""An entry that arrives so long after it was decided is stale: nobody wants it for longer than five seconds, and the computer's clock is set by up to six."""
GRACE_S = 15.0
"""How long a position may be without a stop at the venue while a session runs there and is answered."""
LEVERAGE = 15
PEAK_LOOKS = 35
"""How many looks, one a second of the process's own time, the peak of equity on the disk may be behind the engine's."""
OUT_OF_BAND = "brain.out"
STALE = ("ts_ns", "peak2", "worst_drawdown_ppm")
"""What the memory in the journal may be behind in: it moves with every tick."""


@define
class Paper:
    """Reads the disk as it grows, and holds what it says against the rules."""

    disk: MemoryDisk
    breaks: list[str]
    kept: Kept = field(factory=empty)
    submits: dict[str, Submit] = field(factory=dict)
    decided_ns: dict[str, int] = field(factory=dict)
    counts: dict[str, int] = field(factory=dict)
    panicked_ns: int | None = None
    peak2: int | None = None
    rebased: bool = False
    """Whether the peak has been moved since somebody last looked."""
    _read: int = 0
    _now_ns: int = 0
    """When the entry at hand was written, by the box: the session's own clock may be set."""
    _doubts: dict[str, str] = field(factory=dict)
    _troubles: dict[str, str] = field(factory=dict)
    _digest: Any = field(factory=lambda: hashlib.blake2b(digest_size=16))
    _codec: Any = field(factory=entry_codec)

    def catch_up(self) -> None:
        """Read what is on the disk and has not been read yet."""
        while self._read < len(self.disk.entries):
            self._now_ns, payload = self.disk.entries[self._read]
            self._read += 1
            self._digest.update(payload)
            entry = self._codec.decode(payload)
            self._judge(entry)
            add(self.kept, entry)

    @property
    def is_level(self) -> bool:
        """Whether nothing waits for the disk."""
        writer = self.disk.writer
        return writer is not None and writer.last_seq == self._read and writer.durable_seq == self._read

    def digest(self) -> str:
        """Return the digest of all bytes that were read."""
        return str(self._digest.hexdigest())

    def _judge(self, entry: Any) -> None:
        if isinstance(entry, Started):
            self._doubts.clear()
            self._troubles.clear()
            added = sum(booking.amount for booking in entry.bookings if isinstance(booking, Deposit))
            self._peak(entry.memory.peak2 if entry.memory else None, 2 * added, f"process {entry.boot}")
            self._count("processes")
        elif isinstance(entry, Ended):
            self._count("ended")
        else:
            self._moment(entry)

    def _moment(self, moment: Moment) -> None:
        word, moved = moment.word, 0
        before = self.panicked_ns, dict(self._doubts), dict(self._troubles)
        withdrawn = {sent.client_order_id for sent in moment.sent if isinstance(sent, Withdraw)}
        if isinstance(word, Doubted):
            self._doubts[word.instrument] = word.reason
        elif isinstance(word, VenueTroubled):
            self._troubles[word.venue] = word.reason
        elif isinstance(word, Deposited):
            moved, self.rebased = 2 * word.amount, True
        for decision in moment.decisions:
            self._count(decision[0])
            if decision[0] == "approved":
                self.decided_ns[decision[2]] = self._now_ns - (moment.ts_ns - decision[1])
            if decision[0] == "chart":
                self._count(f"{decision[2]}")
                if str(decision[4]).startswith("emergency") and self.panicked_ns is None:
                    self.panicked_ns = self._now_ns
                    self._count("emergencies")
        resumed = isinstance(word, Asked) and word.wish is Wish.RESUME
        if resumed and self.panicked_ns is not None and moment.memory is not None and not moment.memory.is_in("emergency"):
            self.panicked_ns, self.peak2 = None, None
        if resumed:
            self.peak2, self.rebased = None, True
        for sent in moment.sent:
            if isinstance(sent, Submit):
                self._submit(moment, sent, before, sent.client_order_id in withdrawn)
        self._peak(moment.memory.peak2 if moment.memory else None, moved, f"moment {moment.ts_ns}")

    def _submit(self, moment: Moment, sent: Submit, before: tuple[int | None, dict[str, str], dict[str, str]], is_withdrawn: bool) -> None:
        """Judge an order by the state before its moment and after it: what was decided may lie on either side of the word that the moment heard."""
        ident, venue = sent.client_order_id, sent.instrument.partition(".")[2]
        if ident in self.submits:
            self.breaks.append(f"{ident} was decided twice")
        self.submits[ident] = sent
        if sent.is_leaving:
            return
        self._count("entries")
        panicked_ns, doubts, troubles = before
        if panicked_ns is not None and self.panicked_ns is not None:
            self.breaks.append(f"entry {ident} was approved at {moment.ts_ns}, after the panic at {self.panicked_ns}")
        if self.panicked_ns is not None and not is_withdrawn:
            self.breaks.append(f"entry {ident} was approved in the moment of the panic and is not withdrawn")
        if doubts.get(sent.instrument) and self._doubts.get(sent.instrument):
            self.breaks.append(f"entry {ident} was approved in doubt: {doubts[sent.instrument]}")
        if troubles.get(venue) and self._troubles.get(venue):
            self.breaks.append(f"entry {ident} was approved in trouble: {troubles}")
        if sent.stop is None:
            self.breaks.append(f"entry {ident} has no stop")

    def _peak(self, peak2: int | None, moved: int, where: str) -> None:
        if self.peak2 is not None:
            self.peak2 += moved
        if peak2 is None:
            return
        if self.peak2 is not None and peak2 < self.peak2 - 2:
            self.breaks.append(f"the peak fell from {self.peak2} to {peak2} at {where}")
        self.peak2 = peak2

    def _count(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1


@define(eq=False)
class Oracle:
    """Watches one box and one disk over all processes."""

    box: Box
    disk: MemoryDisk
    breaks: list[str] = field(factory=list)
    paper: Paper = field(init=False)
    filled: dict[str, int] = field(factory=dict)
    excused: set[str] = field(factory=set)
    """Exits that were sent while the disk had no room."""
    running: Session | None = None
    """The process that lives now."""
    session: Session | None = None
    """The one whose peaks are remembered."""
    _bare_s: float = 0.0
    _told_bare: bool = False
    _strange: bool = False
    """Whether somebody else has traded in the position that is open now."""
    _peaks: deque[int] = field(factory=deque)

    def __attrs_post_init__(self) -> None:
        self.paper = Paper(self.disk, self.breaks)
        self.box.exchanges["bybit"].account.listeners.append(self._on_event)

    # -- the venue's truth ----------------------------------------------------------------------------------------
    def _on_event(self, event: AccountEvent) -> None:
        if event.kind is EventKind.ORDER and event.order is not None:
            self._on_order(event.order)
        elif event.kind is EventKind.EXECUTION and event.execution is not None:
            self._on_execution(event.execution)

    def _on_order(self, order: Any) -> None:
        ident, request = order.link_id, order.request
        if not ident or ident.startswith(OUT_OF_BAND):
            return
        self.paper.catch_up()
        known = self.paper.submits.get(ident)
        if request.reduce_only and (self.disk.full or (self.running is not None and self.running.journal_status is not JournalStatus.OK)):
            self.excused.add(ident)  # what gets out is not kept in by a disk without room, nor until the journal has noticed that there is some again
        if ident in self.excused:
            return
        if known is None:
            self.breaks.append(f"the venue has order {ident}, which is not on the disk")
            return
        if order.lots > abs(known.signed_lots) or (order.lots != abs(known.signed_lots) and not request.reduce_only):
            self.breaks.append(f"order {ident} has {order.lots} lots at the venue, {known.signed_lots} were decided")
        began = self.paper.panicked_ns
        opened = order.created_ns == self.box.now_ns() and not request.reduce_only
        waited_ns = order.created_ns - self.paper.decided_ns.get(ident, 0)
        if opened and waited_ns > STALE_NS:
            self.breaks.append(f"entry {ident} reached the venue {waited_ns / S:.3f} s after it was decided")
        if opened and began is not None and order.created_ns > began + ON_ITS_WAY_NS:
            self.breaks.append(f"entry {ident} reached the venue {(order.created_ns - began) / S:.3f} s after the panic")

    def _on_execution(self, execution: Any) -> None:
        order = execution.order
        if order.request.origin is Origin.MANUAL:
            self._strange = True
        if order.link_id and str(execution.kind) not in ("funding",):
            self.filled[order.link_id] = self.filled.get(order.link_id, 0) + execution.lots
            known = self.paper.submits.get(order.link_id)
            if known is not None and self.filled[order.link_id] > abs(known.signed_lots):
                self.breaks.append(f"order {order.link_id} was filled beyond its size")
            if known is not None and not known.is_leaving and not self._strange:
                self._size(order.link_id, execution.instrument)
        position = self.box.exchanges["bybit"].account.positions.get(execution.instrument)
        if position is None or not position.lots:
            self._strange = False

    def _size(self, ident: str, name: InstrumentId) -> None:
        account = self.box.exchanges["bybit"].account
        listing = account.listings[name]
        position = account.positions[name]
        notional = listing.instrument.notional(position.lots, account.depth.marks(listing)[0])
        equity = account.margin().equity
        if notional > equity * LEVERAGE * 11 // 10:
            self.breaks.append(f"after {ident} the position is worth {notional} on {equity} of equity: more than {LEVERAGE}x")

    # -- once a second --------------------------------------------------------------------------------------------
    def look(self, session: Session, passed_s: float) -> None:
        """Judge a running session."""
        self.paper.catch_up()
        self._stops(session, passed_s)
        if session.stage != "running":
            return
        gate = session.governor.machine.gate_open
        if gate and self.paper.panicked_ns is not None and self.paper.is_level:
            self.breaks.append(f"the gate is open at {session.engine.now}, the panic was at {self.paper.panicked_ns}")
        if self.paper.is_level and not session.journalling.failure:
            self._state(session)
        self._persisted_peak(session)

    def _persisted_peak(self, session: Session) -> None:
        """The peak that a kill leaves must not be older than so many looks, unless the disk has no room."""
        governor, known = session.governor, self.paper.kept.memory
        if self.session is not session or known is None or self.paper.rebased or self.disk.full or session.journalling.failure:
            self.session, self.paper.rebased = session, False
            self._peaks.clear()
        self._peaks.append(max(governor.peak2, governor.watch.peak2()))
        if len(self._peaks) > PEAK_LOOKS:
            peak2 = self._peaks.popleft()
            if known is not None and known.peak2 < peak2:
                self.breaks.append(f"at {session.engine.now} the peak on the disk is {known.peak2}, {PEAK_LOOKS} s ago it was {peak2}")

    def _stops(self, session: Session, passed_s: float) -> None:
        account = self.box.exchanges["bybit"].account
        bare = [p.instrument for p in account.positions.values() if p.lots and not p.stop_loss]
        if not bare:
            self._bare_s, self._told_bare = 0.0, False
            return
        if session.stage == "running" and session.watching.is_answering and not session.watching.trouble and not session.trading.client.limiter.is_banned:
            self._bare_s += passed_s
        if self._bare_s > GRACE_S and not self._told_bare:
            self._told_bare = True
            self.breaks.append(f"{bare[0]} has had no stop at the venue for {self._bare_s:.0f} s at {self.box.now_ns()}")

    def _state(self, session: Session) -> None:
        """Hold what the disk adds up to against the engine."""
        kept, own = session.kept, self.paper.kept
        for name in ("boot", "equity_start", "last_execution_ns", "orderly"):
            if getattr(kept, name) != getattr(own, name):
                self.breaks.append(f"the journal folds to {name} {getattr(own, name)}, the session has {getattr(kept, name)}")
        if set(kept.open_orders) != set(own.open_orders) or kept.seen[-20:] != own.seen[-20:] or len(kept.bookings) != len(own.bookings):
            self.breaks.append("the journal folds to other open orders, executions or bookings than the session has")
        if own.memory is None:
            return
        now, then = (msgspec.to_builtins(memory) for memory in (remember(session.governor, session.engine), own.memory))
        differ = [f"{key}: {then[key]} on the disk, {now[key]} in the engine" for key in now if key not in STALE and now[key] != then[key]]
        if differ:
            self.breaks.append(f"at {session.engine.now} the journal does not fold to the engine's state: {'; '.join(differ)}")

    def trace(self) -> str:
        """Return the digest of everything that happened to the account and of everything on the disk."""
        self.paper.catch_up()
        return f"{self.box.trace()[:16]}-{self.paper.digest()[:16]}"
