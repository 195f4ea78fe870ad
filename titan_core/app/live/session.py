"""A session: feed, engine, Brain, journal and a venue's account, joined, from the first look at the journal to the last entry in it.

Starting and recovering are one path. Load what the journal has kept, ask the venue what became of everything, bring the books in line with it, and only then
let the engine start. Afterwards three things reach the engine, in one order of time: market rows, words of the venue, wishes of the operator. What it decides
is journalled before it is sent.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from titan_core.app.live.agreeing import Agreement
from titan_core.app.live.asking import VenueReader
from titan_core.app.live.entries import Ended, Kept, Moment, Sent, Started, Submit
from titan_core.app.live.folding import add, empty, fold
from titan_core.app.live.journalling import Journalling
from titan_core.app.live.market import history_rows, kinds_of, layout_of, router, warm
from titan_core.app.live.outbox import CollectingOutbox
from titan_core.app.live.relay import Relay
from titan_core.app.live.settling import Settled, VenueView, settle
from titan_core.app.live.setup import Account, Setup
from titan_core.app.live.status import NoteLine
from titan_core.app.live.trading import Trading
from titan_core.app.live.watching import SET_S, SILENT_S, Watching
from titan_core.brain.table import LOCKED
from titan_core.engine.governor import ALERT, BrainGovernor
from titan_core.engine.heard import Asked, Doubted, Heard, OrderMoved, Wish
from titan_core.engine.live import PerEvent
from titan_core.engine.memory import remember
from titan_core.engine.mirror import MirrorVenue
from titan_core.errors import ClockRefused, TitanError, Unreadable, VenueUnavailable
from titan_core.feed.events import FeedEvent, FeedEventKind
from titan_core.feed.manager import FeedManager
from titan_core.feed.recorder import Recorder
from titan_core.feed.tasks import Tasks
from titan_core.journal.failures import JournalError
from titan_core.journal.port import JournalStatus
from titan_core.ledger.ledger import Ledger
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.order import OrderStatus
from titan_core.model.units import NEVER, D, Money, S
from titan_core.tape.manifest import GridSource, InstrumentEntry, to_json

NOTES = 60
STOP_PATIENCE_S = 30.0
CLOCK_TRIES = 5
STANDSTILL_NS = 2 * S
"""Timers are looked at ten times a second; after so long without that the process has not run."""
WATCHED_PATIENCE_S = 2.0
"""How long a start waits for the price of something that is only watched: positions must not go unattended because of it."""
QUICK_S = 0.25
"""An answer within this is good enough to tell the venue's clock by."""


class Session:
    """One process's life on a journal. `run` returns when it has stopped; everything else is called on its loop."""

    def __init__(self, setup: Setup, say: Callable[[str], None] = lambda text: None) -> None:
        self.setup = setup
        self.stage = "starting"
        self.started_ns = setup.wall()
        self.notes: deque[NoteLine] = deque(maxlen=NOTES)
        self.known = {instrument.id: instrument for instrument in setup.instruments}
        self.rows: dict[str, int] = {}
        self.journal_status = JournalStatus.OK
        self.kept: Kept = empty()
        self.offset_ns = 0
        self._measuring = asyncio.Lock()
        self._say = say
        self._relay = Relay()
        self._trading: Trading | None = None
        self.outbox = CollectingOutbox()
        self.tasks = Tasks("the session")
        self._stopped = asyncio.Event()
        self._failed: list[Exception | None] = [None]
        self._stop_reason = ""
        self.is_ready = asyncio.Event()
        self._midnight_ns = NEVER
        """The next one: the Brain allots anew and the losses of the day begin at nothing, without a decision that would be written down."""
        self._alive_ns, self._alive_s = NEVER, 0.0
        """When the timers were last looked at, by the session's clock and by the loop's, which nobody sets."""
        self.agreement = Agreement(self)

    # -- the whole of it --------------------------------------------------------------------------------------------
    async def run(self) -> str:
        """Start, trade until stopped, end in order; returns why it has stopped. Raises TitanError where it could not start."""
        loop = asyncio.get_running_loop()
        self.stage = "recovering"
        self.journal, recovery = self.setup.open_journal(loop, self._on_journal)
        try:
            for note in (*recovery.notes, *(str(each) for each in recovery.damage)):
                self.note("journal", note)
            self.kept = fold(recovery.snapshot.state if recovery.snapshot else empty(), (record.entry for record in recovery.tail))
            if self.kept.boot and not self.kept.orderly:
                self.note("journal", f"process {self.kept.boot} did not end in order; recovering")
            if self.setup.on_kept is not None:
                self.setup.on_kept(self.kept)
            self.account: Account = self.setup.join(self._relay, self.venue_now_ns)
            running = loop.create_task(self.account.run(), name="the account's connections")
            try:
                await self._live(self.account)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        finally:
            self.journal.close()
        return self._stop_reason

    async def _live(self, account: Account) -> None:
        settled = await self._recover(account)
        async with FeedManager(
            self.setup.instruments,
            self.setup.transport,
            self.setup.endpoints,
            clock=self.setup.clock,
            steady=self.setup.steady,
            jitter=self.setup.jitter,
            rests=self.setup.rests,
            on_event=self._on_feed,
            patience=self.setup.patience,
        ) as self.feeds:
            recorder = Recorder(self.setup.recording, self.setup.clock) if self.setup.recording is not None else None
            try:
                await self._start(account, settled, recorder)
                self.stage = "running"
                self.is_ready.set()
                await self._stopped.wait()
            finally:
                self.stage = "stopping"
                await self._wind_up()
                if recorder is not None:
                    recorder.close()
        if self._failed[0] is not None:
            raise self._failed[0]
        self.flush()
        self.journalling.pay(urgent=True)
        self.journal.append(Ended(ts_ns=self.engine.now, reason=self._stop_reason), urgent=True)  # what was due later has not run
        self.stage = "stopped"

    async def _wind_up(self) -> None:
        await self.tasks.close()
        if self._trading is not None:
            await self._trading.close()

    @property
    def has_journal(self) -> bool:
        """Whether the journal is open by now."""
        return hasattr(self, "journal")

    @property
    def trading(self) -> Trading:
        """The account's side; there from the moment that the venue has been asked what it knows."""
        assert self._trading is not None
        return self._trading

    # -- recovering -------------------------------------------------------------------------------------------------
    async def _recover(self, account: Account) -> Settled:
        """Ask the venue what became of everything, and bring the books in line."""
        client = account.client
        self.reader = VenueReader(client, self.known, lambda text: self.note("venue", text), self.measure_clock)
        leverage: dict[Any, int] = {}
        for binding in self.setup.bindings:
            for instrument in self.setup.instruments:
                if instrument.is_perp and instrument.venue in self.setup.order_venues:
                    leverage[instrument.id] = max(leverage.get(instrument.id, 1), min(binding.declaration.leverage[1], instrument.max_leverage))
        await self._until_answered(self.measure_clock)
        finding = asyncio.get_running_loop().create_task(self.reader.find(self.kept.open_orders, self.kept.last_execution_ns))
        try:
            await self._until_answered(lambda: client.prepare(leverage))
            found = await finding
        finally:
            finding.cancel()
        traded = {name: i for name, i in self.known.items() if i.venue in self.setup.order_venues}
        settled = settle(self.kept, traded, found.executions, found.positions, found.wallet, self.setup.clock())
        for text in settled.notes:
            self.note("recovery", text)
        return settled

    async def measure_clock(self) -> int:
        """Measure how far the venue's clock is from what we took it for, correct that, and return it. A slow answer proves little: the quickest counts.

        Raises VenueUnavailable, Unreadable.
        """
        loop, found = asyncio.get_running_loop(), []
        async with self._measuring:  # what another has corrected meanwhile would be corrected again
            for _ in range(CLOCK_TRIES):
                asked_s = loop.time()
                offset_ns = await self.account.client.clock_offset_ns()
                found.append((loop.time() - asked_s, offset_ns))
                if found[-1][0] <= QUICK_S:
                    break
            correction = min(found)[1]
            self.offset_ns += correction
        return correction

    def venue_now_ns(self) -> int:
        """Return the venue's clock as well as we know it."""
        return self.setup.clock() + self.offset_ns

    async def _until_answered(self, ask: Callable[[], Any]) -> Any:
        wait_s = 0.25
        while True:
            try:
                return await ask()
            except ClockRefused as error:
                self.note("venue", str(error))
                await self._until_answered(self.measure_clock)  # the computer's clock may be set while a start goes on
            except (VenueUnavailable, Unreadable) as error:
                self.note("venue", str(error))
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, 5.0)

    # -- starting ---------------------------------------------------------------------------------------------------
    async def _start(self, account: Account, settled: Settled, recorder: Recorder | None) -> None:
        setup, memory = self.setup, settled.memory
        is_first = self.kept.memory is None
        equity_start = self.kept.equity_start or memory.cash
        self.ledger = Ledger(setup.instruments, Money(equity_start))
        booked = (*self.kept.bookings, *settled.bookings)
        for booking in booked:
            self.ledger.book(booking)
        self.view = VenueView(self.known, booked)
        if setup.latched:
            self.note("guard", f"latched: {setup.latched}; the Brain is locked until `titan resume`")
            memory.leaves = (LOCKED,)
        bands = [binding for binding in setup.bindings if binding.declaration.band is not None]
        begins_anew = is_first and not memory.holdings and not setup.latched
        self.governor = BrainGovernor(bands, setup.limits, memory=None if begins_anew else memory, order_venues=setup.order_venues)
        self.layout = layout_of(setup.instruments)
        self.engine = PerEvent(self.layout, self.governor, cash=memory.cash, slots=self.governor.slots, venue=lambda e: MirrorVenue(e, self.outbox))
        self._trading = Trading(self, account, self.kept.boot + 1, settled.seen, settled.last_execution_ns)
        self.journalling = Journalling(self.journal, self.kept, self.ledger, self.view, self.outbox, self.trading.release, self._lost, self._on_decision)
        handlers = {i.id: recorder.handler(i) for i in setup.instruments} if recorder is not None else {}
        await self._warm(handlers)
        for instrument in setup.instruments:
            if setup.exchange is not None:  # before ours: an exchange sees a row first
                kinds = kinds_of(instrument, depth=True) | {StreamKind.GAP}
                self.feeds.subscribe(instrument.venue, instrument.symbol, kinds, setup.exchange(instrument))
            self._subscribe(instrument, handlers.get(instrument.id))
        await self._quotes()
        begun_ns = self.stamp()
        self._write_start(settled, equity_start, recorder, begun_ns)
        if recorder is not None:
            self.tasks.start(recorder.run())
        self.engine.start(begun_ns)
        self.flush()
        self._relay.to = self.trading.service
        self.trading.service.is_streaming = True
        self.trading.service.refresh()
        for name in settled.unprotected:
            held = memory.holdings[name]
            self.trading.service.protect(self.known[name], held.stop, held.target)
        self.watching = Watching(self)
        self._alive_ns = self.stamp()
        self._midnight_ns = _midnight_after(self._alive_ns)
        self.tasks.start(self.watching.run())

    def _write_start(self, settled: Settled, equity_start: int, recorder: Recorder | None, begun_ns: int) -> None:
        setup, who = self.setup, self.setup.identity
        started = Started(
            boot=self.kept.boot + 1, ts_ns=begun_ns, wall_ns=setup.wall(), name=who.name, mode=who.mode, feed=who.feed, speed=setup.speed(), seed=who.seed,
            config_digest=who.config_digest, code_digest=who.code_digest, settings=dict(who.settings),
            phases=tuple(str(b.declaration.id) for b in setup.bindings),
            instruments=tuple(str(i.id) for i in setup.instruments), equity_start=equity_start, memory=settled.memory, bookings=tuple(settled.bookings),
            notes=tuple(settled.notes), seen=tuple(settled.seen[-2_000:]), last_execution_ns=settled.last_execution_ns,
            order_venues=tuple(sorted(setup.order_venues)),
            terms=tuple(to_json(InstrumentEntry.of(i, GridSource.GIVEN)) for i in setup.instruments),
            recording=str(setup.recording.name) if recorder is not None and setup.recording is not None else "",
        )  # fmt: skip
        self.journal.append(started)
        add(self.kept, started)

    async def _warm(self, handlers: dict[Any, Any]) -> None:
        """Feed bars from before the start, so that look-ups have a past; an instrument whose bars are not to be had has none."""
        setup, histories = self.setup, []
        now = setup.clock()
        for instrument in setup.instruments:
            rest = setup.rests.get(instrument.venue)
            if rest is None:
                continue
            try:
                klines = await rest.klines(instrument, setup.history_minutes, setup.history_bars)
            except VenueUnavailable as error:
                self.note("history", f"{instrument.id} begins without a past: {error}")
                continue
            histories.append((instrument, history_rows(instrument, klines, setup.history_minutes, now)))
        for instrument, ts, values in warm(self.engine, self.layout, histories):
            if instrument.id in handlers:
                handlers[instrument.id](ts, StreamKind.TRADE, values, ts)

    def _subscribe(self, instrument: Instrument, record: Any) -> None:
        take = router(self.engine, self.layout, instrument, self._after_row)
        rows, name = self.rows, str(instrument.id)
        rows[name] = 0

        def both(ts_ns: int, kind: StreamKind, values: Any, event_ns: int) -> None:
            rows[name] += 1
            if record is not None:
                record(ts_ns, kind, values, event_ns)
            if failed[0] is not None:
                return
            try:
                if ts_ns - self._alive_ns > STANDSTILL_NS:
                    self._stood_still(ts_ns)
                take(ts_ns, kind, values, event_ns)
            except Exception as error:  # the engine is in doubt from here on: nothing more may reach it
                self.fail(error)

        failed = self._failed
        self.feeds.subscribe(instrument.venue, instrument.symbol, kinds_of(instrument) | {StreamKind.GAP}, both)

    async def _quotes(self) -> None:
        """Wait until every instrument that we trade has a price; without one nothing can be valued. What is only watched is waited for a while."""
        traded, began_s = self.setup.order_venues, asyncio.get_running_loop().time()
        told = False
        while missing := [i for k, i in enumerate(self.setup.instruments) if not self.engine.value2(k)]:
            waited_s = asyncio.get_running_loop().time() - began_s
            is_enough = waited_s >= WATCHED_PATIENCE_S and not any(i.venue in traded for i in missing)
            if (is_enough or waited_s >= 5.0) and not told:
                told = True
                self.note("feed", f"no price yet of {', '.join(i.id for i in missing)}: is the venue reachable?")
            if is_enough:
                return
            await asyncio.sleep(0.05)

    # -- what reaches the engine --------------------------------------------------------------------------------------
    def stamp(self) -> int:
        """Return a time for something that is no market row: later than every row so far."""
        self.feeds.time.frame()
        return self.feeds.time.next()

    def _after_row(self, ts_ns: int) -> None:
        if self.engine.record.entries or self.outbox.pending:
            self.flush(ts_ns)
        if ts_ns >= self._midnight_ns:
            self._day_began(ts_ns)

    def tick(self) -> None:
        """Let timers run while the market is silent."""
        if self._failed[0] is not None:
            return
        try:
            ts_ns = self.stamp()
            if ts_ns - self._alive_ns > STANDSTILL_NS:
                self._stood_still(ts_ns)
            self._alive_ns, self._alive_s = ts_ns, asyncio.get_running_loop().time()
            self.engine.advance(ts_ns)
            self.flush(ts_ns)
            if ts_ns >= self._midnight_ns:
                self._day_began(ts_ns)
        except Exception as error:  # as in `_subscribe`
            self.fail(error)

    def _day_began(self, ts_ns: int) -> None:
        self._midnight_ns = _midnight_after(ts_ns)
        self._remember()

    def hear(self, word: Heard) -> None:
        """Let a word of the venue or of the operator reach the engine."""
        if self._failed[0] is not None:
            return
        try:
            self._hear(word)
        except Exception as error:  # as in `_subscribe`
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """End the process: its engine cannot be trusted any more. Positions stay under their stops; a new process recovers from the journal."""
        if self._failed[0] is None:
            self._failed[0] = error
            self.note("session", f"{type(error).__name__}: {error}; ending, positions stay under their stops at the venue")
            self._stopped.set()

    def _hear(self, word: Heard) -> None:
        ts_ns = self.stamp()
        if ts_ns - self._alive_ns > STANDSTILL_NS:
            self._stood_still(ts_ns)
        self._hear_at(ts_ns, word)

    def _hear_at(self, ts_ns: int, word: Heard) -> None:
        self.engine.advance(ts_ns)
        venue = self.engine.venue
        assert isinstance(venue, MirrorVenue)
        venue.hear(word)
        self.flush(ts_ns, word)

    def _stood_still(self, ts_ns: int) -> None:
        """Doubt every market before anything runs that was due meanwhile: prices are old, or, where only the clock was set, may be."""
        stood_s, gap_s, self._alive_ns = asyncio.get_running_loop().time() - self._alive_s, (ts_ns - self._alive_ns) / S, ts_ns
        is_set = stood_s * S < STANDSTILL_NS
        reason = f"the clock was set forward by {gap_s:.1f} s" if is_set else f"this process stood still for {gap_s:.1f} s"
        self.note("session", reason)
        for name in self.known:
            self.watching.doubt_until_heard(name, reason, SET_S if is_set else SILENT_S)
            self._hear_at(self.engine.now + 1, Doubted(instrument=name, reason=reason))

    def flush(self, ts_ns: int | None = None, word: Heard | None = None) -> None:
        """Journal what has been decided and let go what is to be sent."""
        self.journalling.flush(self.engine, self.governor, self.engine.now if ts_ns is None else ts_ns, word)
        if self.governor.machine.configuration.is_in("stopped"):
            self._stopped.set()

    def remember_peak(self) -> None:
        """Write a peak of equity down that only the market has made."""
        known, governor = self.kept.memory, self.governor
        if known is not None and max(governor.peak2, governor.watch.peak2()) > known.peak2:
            self._remember()

    def _remember(self) -> None:
        self.journalling.write(Moment(ts_ns=self.engine.now, memory=remember(self.governor, self.engine)), ())

    def _lost(self, sent: tuple[Sent, ...], reason: str) -> None:
        """Orders that could not be journalled, or are too late by now, were not sent: whoever waits for them is told."""
        self.note("session", reason)
        for each in sent:
            if isinstance(each, Submit):
                self.give_up(each, reason)

    def give_up(self, order: Submit, reason: str) -> None:
        """Tell soon that an order was not sent and will not be."""
        self.outbox.approved.pop(order.client_order_id, None)
        word = OrderMoved(client_order_id=order.client_order_id, status=OrderStatus.REJECTED, reason=f"not sent: {reason}")
        asyncio.get_running_loop().call_soon(self.hear, word)

    async def agree(self) -> None:
        """Compare our books with the venue's."""
        await self.agreement.agree()

    # -- what is told ---------------------------------------------------------------------------------------------
    def note(self, author: str, text: str) -> None:
        """Remember a line for whoever looks."""
        self.notes.append(NoteLine(ts_ns=self.setup.clock(), author=author, text=text))
        self._say(f"{author}: {text}")

    def _on_decision(self, decision: tuple[Any, ...]) -> None:
        if decision[0] == "note":
            if decision[3] == ALERT:  # the step of the chart before it says what it is about
                return
            self.note(str(decision[2]), str(decision[3]))
        elif decision[0] == "chart":
            self.note("brain", f"{decision[2]}: {decision[3]} → {decision[4]}")
        elif decision[0] == "refused":
            self.note("brain", f"refused {decision[2]}: {decision[5]} (observed {decision[6]}, limit {decision[7]})")

    def _on_feed(self, event: FeedEvent) -> None:
        if event.kind is FeedEventKind.CLOCK_STEP and self.is_ready.is_set():
            self.watching.clock_stepped()
        self.note("feed", f"{event.venue}: {event.text}")

    def _on_journal(self, status: JournalStatus, reason: str) -> None:
        self.journal_status = status
        if status is JournalStatus.OK and self.is_ready.is_set():
            asyncio.get_running_loop().call_soon(self._pay)
        self.note("journal", f"{status}: {reason}")

    def _pay(self) -> None:
        """There is room again: what could not be written comes first, whether or not anything happens soon."""
        with contextlib.suppress(JournalError):
            self.journalling.pay()

    # -- the operator -------------------------------------------------------------------------------------------------
    def ask(self, wish: Wish, reason: str) -> str:
        """Pass on a wish; returns why it was refused, empty where it was not."""
        if wish is Wish.RESUME:
            try:
                self.setup.before_resume()
            except TitanError as error:
                return str(error)
        self.hear(Asked(wish=wish, reason=reason))
        return self.governor.steering.refusal

    def begin_stop(self, reason: str, *, flatten: bool = False) -> None:
        """Begin to stop; `run` returns soon after. Before the engine runs there is nothing to wait for."""
        self._stop_reason = self._stop_reason or reason
        if self.stage != "running":
            if self.stage != "stopping":
                raise TitanError(f"the session is {self.stage}; interrupt it, nothing is under way yet")
            return
        if self.governor.machine.configuration.is_in("emergency.locked"):
            self._stopped.set()  # nothing is held and nothing will be: the process may end, and the next one finds the lock in the journal
            return
        refusal = self.ask(Wish.STOP_FLAT if flatten else Wish.STOP, reason)
        if refusal:
            self._stop_reason = ""
            raise TitanError(refusal)
        if not flatten:
            asyncio.get_running_loop().call_later(STOP_PATIENCE_S, self._stopped.set)


def _midnight_after(ts_ns: int) -> int:
    return (ts_ns // D + 1) * D
