"""The Brain at work in a run: it looks at the account whenever it changes or crosses a bound, steps the chart, and carries out its commands.

The chart decides (titan_core.brain); this room supplies the facts behind its guards and turns its commands into orders on the simulated venue. No
work is done per tick: after each look the governor arms bounds at exactly the equities at which some guard would flip.
"""

from collections.abc import Callable, Container, Sequence
from typing import Any

from titan_core.brain.chart import build_chart
from titan_core.brain.limits import BrainLimits
from titan_core.brain.machine import BrainMachine, Turn
from titan_core.brain.risk import DayLoss, Drawdown, day_loss, drawdown, drawdown_ppm
from titan_core.brain.selection import Verdict, boot_verdict, judge, weights_bps
from titan_core.brain.vocabulary import Command, Guard, PhaseState, Trigger
from titan_core.engine.booting import Booting
from titan_core.engine.closing import Closing
from titan_core.engine.conditions import Timer
from titan_core.engine.core import Engine
from titan_core.engine.desk import Desk
from titan_core.engine.emergency import EmergencySteps
from titan_core.engine.exposure import ExposureDesk
from titan_core.engine.memory import Memory
from titan_core.engine.pairing import Pairing
from titan_core.engine.phases import ENTERING, OPERATING, PhaseBinding, PhaseBook
from titan_core.engine.steering import Steering
from titan_core.engine.swapping import Swap, Swapping
from titan_core.engine.turns import Turns
from titan_core.engine.venue import WorkingOrder
from titan_core.engine.watch import Watch
from titan_core.model.ids import BRAIN
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent, Refused
from titan_core.model.units import D, S, share

ALERT = "alert"
"""What the record notes where the operator is to be told; the step of the chart before it says of what."""
GRACE_NS = 60 * S
"""An allocation holds until the next midnight, when it is renewed, and this much longer."""


class BrainGovernor:
    """Governs a run with the Brain; implements `titan_core.engine.core.Governor`."""

    def __init__(
        self,
        bindings: Sequence[PhaseBinding],
        limits: BrainLimits,
        *,
        peak: int = 0,
        memory: Memory | None = None,
        order_venues: Container[str] | None = None,
        swaps: Sequence[Swap] = (),
    ) -> None:
        """Prepare for phases in any order; `peak` (1e-8 USDT) is the persisted peak of equity, 0 on a first boot.

        `memory` is what an earlier process has left; `order_venues` names the venues that take orders, all of them by default. Raises UsageError for
        `swaps` of phases that are not there.
        """
        ordered = sorted(bindings, key=lambda b: (b.declaration.band.lower if b.declaration.band else 0, b.declaration.id))
        self.limits = limits
        self.books = [PhaseBook(binding, slot) for slot, binding in enumerate(ordered)]
        self.brain_slot = len(self.books)
        self.chart = build_chart([binding.declaration for binding in ordered])
        self.machine = BrainMachine(self.chart, record=self._note_turn)
        self._about: PhaseBook | None = None
        self.peak2 = 2 * peak
        self.booting = Booting(self, memory)
        self._order_venues = order_venues
        self.drawdown = Drawdown.NONE
        self.worst_drawdown_ppm = 0
        """The worst draw-down that a look has found: exact wherever a fill, a funding or a bound made the governor look."""
        self.escalated_today = 0
        self.by_id = {book.id: book for book in self.books}
        self.swapping = Swapping(self, swaps)
        self._busy = False
        self._again = False
        self._commands: dict[Command, Callable[[PhaseBook | None], None]] = {
            Command.SELECT_PHASES: lambda book: self.booting.select_phases(),
            Command.CLOSE_GATE: self._note_command("gate closed"),
            Command.SEND_ALERT: self._note_command(ALERT),
            Command.CANCEL_ENTRIES: lambda book: self.closing.cancel_entries(None),
            Command.FLATTEN_ALL: lambda book: self.emergency.flatten(),
            Command.VERIFY_FLAT: lambda book: self.emergency.verify_flat(),
            Command.CANCEL_STOPS: lambda book: self.closing.cancel_stops(),
            Command.DISABLE_PHASES: lambda book: self._disable_phases(),
            Command.CHECK_HEALTH: self._check_health,
            Command.SET_ALLOCATIONS: self._set_allocations,
            Command.START_PHASE: self.start_phase,
            Command.STOP_ENTRIES: lambda book: self.closing.cancel_entries(book),
            Command.FLATTEN_PHASE: self._flatten_phase,
            Command.OFFER_HANDOVER: self._offer_handover,
            Command.REPORT_ESCALATION: self._escalation,
            Command.STOP_PHASE: self._stop_phase,
        }

    @property
    def slots(self) -> int:
        """How many slots the account needs: one a phase, one for the Brain."""
        return len(self.books) + 1

    # -- what the engine calls ------------------------------------------------------------------------------------
    def begin(self, engine: Engine) -> None:
        """Boot: load, reconcile, choose the phases."""
        self.engine = engine
        engine.slots = (*(book.id for book in self.books), BRAIN)
        self.closing = Closing(self, engine)
        self.exposure = ExposureDesk(self, engine)
        self.watch = Watch(self, engine)
        self.pairing = Pairing(self, engine)
        self.steering = Steering(self, engine)
        self.booting.recall(engine)
        self.peak2 = max(self.peak2, self.equity2())
        self.emergency = EmergencySteps(self, engine)
        self.turns = Turns(self, engine)
        self.turns.begin()
        self._busy = True
        self.booting.boot()
        self._busy = False
        for k in engine.account.held():
            self.steering.found(k)
        self.swapping.begin()
        self.settle()

    def takes_orders(self, instrument: Instrument) -> bool:
        """Whether orders in this instrument can be sent at all; of some venues only the data is used."""
        return self._order_venues is None or instrument.venue in self._order_venues

    def approve(self, intents: tuple[Intent, ...]) -> tuple[Approved, ...] | Refused:
        """Approve all intents or refuse them whole; an approval reserves its exposure at once."""
        if not self._busy and self.watch.is_crossed():  # by this very event: the callback that asks may run before the bounds that it crosses
            self.settle()
        return self.exposure.approve(intents)

    def budget(self, desk: Desk, instrument: Instrument | None) -> Any:
        """Return what a phase may use now."""
        return self.exposure.budget(self.books[desk.slot], instrument)

    def may_protect(self, desk: Desk, k: int, stop: int | None) -> bool:
        """Whether a phase may protect its position by that stop: no loss that was not approved."""
        return self.exposure.may_protect(self.books[desk.slot], k, stop)

    def settle(self) -> None:
        """Look at the account, step the chart, and watch the next bounds. A call from within a look makes it look again."""
        if self._busy:
            self._again = True
            return
        self._busy = True
        try:
            self._again = True
            while self._again:
                self._again = False
                self._look()
        finally:
            self._busy = False
        self.watch.rearm()

    def order_closed(self, order: WorkingOrder) -> None:
        """Free leases, go on with an emergency."""
        self.exposure.free_leases()
        if self._leaving() or self.pairing.is_needed:
            self.settle()

    def fault(self, desk: Any, error: BaseException) -> None:
        """Quarantine the phase of a strategy that raised: its positions are closed, the other phases go on."""
        self._quarantine(self.books[desk.slot], error)
        self.settle()

    def _quarantine(self, book: PhaseBook, error: BaseException) -> None:
        if getattr(error, "aborts", False):
            raise error
        if book.broken:
            return
        book.broken = f"{type(error).__name__}: {error}"
        for each in book.desks:
            each.open = False
        self.engine.record.note(self.engine.now, BRAIN, f"phase {book.id} is in quarantine: {book.broken}")
        self.fire(Trigger.FAULT, book)
        self._again = True

    def panic(self, reason: str) -> None:
        """Begin the emergency: the gate shuts before anything else is thought about."""
        self.engine.record.note(self.engine.now, BRAIN, f"panic: {reason}")
        self._about = None
        self._carry_out(self.machine.panic(ts_ns=self.engine.now), None)
        self._again = True

    # -- stepping the chart ---------------------------------------------------------------------------------------
    def fire(self, trigger: Trigger, book: PhaseBook | None = None) -> bool:
        """Fire a trigger with the facts of this moment, record the step, carry out its commands. Returns whether the chart took it."""
        self._about = book
        commands = self.machine.fire(trigger, book.id if book else None, facts=lambda guard: self._fact(Guard(guard), book), ts_ns=self.engine.now)
        self._carry_out(commands or (), book)
        return commands is not None

    def _carry_out(self, commands: Sequence[Command], book: PhaseBook | None) -> None:
        for command in commands:
            action = self._commands.get(command)
            if action is not None:
                action(book)

    def _note_turn(self, turn: Turn) -> None:
        """Record a step of the chart with the amounts and guard values behind it."""
        book, row = self._about, turn.step.transition
        values = [("equity2", self.equity2()), ("peak2", self.peak2), *((str(guard), int(value)) for guard, value in turn.step.facts)]
        if book is not None:
            values += [("phase_equity2", self.phase_equity2(book)), ("base2", book.base2)]
        self.booting.leave(turn.step.before, turn.step.configuration)
        self.engine.record.chart(turn.ts_ns, row.event, row.source, row.dest or row.source, tuple(values))

    def _fact(self, guard: Guard, book: PhaseBook | None) -> bool:
        equity2 = self.equity2()
        level = drawdown(equity2, self.peak2, self.limits)
        if book is None:
            facts = {
                Guard.EMERGENCY_LOCKED: self.booting.was_locked,
                Guard.EMERGENCY_UNFINISHED: self.booting.was_in_emergency,
                Guard.RESUME_ALLOWED: self.steering.is_resuming,
                Guard.READS_AGREE: self.emergency.reads_agree,
                Guard.BELOW_WARNING: level < Drawdown.WARNING,
                Guard.BELOW_REDUCED: level < Drawdown.REDUCED,
                Guard.BELOW_EMERGENCY: level < Drawdown.EMERGENCY,
                Guard.ALL_VENUES_TRADABLE: not self.steering.troubles,
                Guard.SOME_VENUE_TRADABLE: self.steering.is_some_venue_tradable,
            }
            return facts[guard]
        band = book.binding.declaration.band
        assert band is not None
        fits = boot_verdict(band, equity2 // 2) if self.booting.is_first else judge(band, equity2 // 2, self.limits)
        facts = {
            Guard.EQUITY_FITS: (fits is Verdict.ENTER and (book.dwelt or self.booting.is_first)) or book.was_operating,
            Guard.MAY_RETURN: fits is Verdict.ENTER and book.dwelt and not book.broken and not book.to_be_disabled,
            Guard.DAY_HALTED: book.level >= DayLoss.HALTED,
            Guard.DAY_REDUCED: book.level >= DayLoss.REDUCED or book.held_down,
            Guard.UNCORRELATED: not book.held_down,
            Guard.PHASE_FLAT: self.closing.is_flat(book),
            Guard.TO_BE_DISABLED: bool(book.broken) or book.to_be_disabled,
            Guard.HEALTHY: not book.broken,
        }
        return facts[guard]

    # -- looking at the account -----------------------------------------------------------------------------------
    def equity2(self) -> int:
        """Twice the account's equity."""
        return self.engine.account.equity2(self.engine.value2)

    def phase_equity2(self, book: PhaseBook) -> int:
        """Twice a phase's equity: its allocation plus its net result since."""
        return book.offset2 + self.engine.account.result2(book.slot, self.engine.value2)

    def state_of(self, book: PhaseBook) -> PhaseState | None:
        """Where a phase stands; None outside `operational`."""
        return self.machine.configuration.phases.get(book.id)

    def _leaving(self) -> bool:
        configuration = self.machine.configuration
        return (
            configuration.is_in("emergency") or configuration.is_in("stopping") or any(state is PhaseState.DRAINING for state in configuration.phases.values())
        )

    def _look(self) -> None:
        self.exposure.free_leases()
        configuration = self.machine.configuration
        equity2 = self.equity2()
        self.peak2 = max(self.peak2, self.watch.peak2(), equity2)
        self.worst_drawdown_ppm = max(self.worst_drawdown_ppm, drawdown_ppm(equity2, self.peak2))
        if configuration.is_in("emergency"):
            self.emergency.go_on()
            return
        if configuration.is_in("stopping"):
            self.steering.go_on_stopping()
            return
        if configuration.risk is None:
            return
        level = drawdown(equity2, self.peak2, self.limits)
        if level is Drawdown.EMERGENCY:
            self.panic("draw-down beyond the emergency level")
            return
        if level > self.drawdown:
            self.drawdown = level
            self.fire(Trigger.WARN if level is Drawdown.WARNING else Trigger.REDUCE)
        for book in self.books:
            self._look_at_phase(book)
            if self.machine.configuration.is_in("emergency"):
                return
        self._judge_bands(self.equity2() // 2)
        self.watch.reduce_drift()
        self.pairing.unwind()

    def _flatten_phase(self, book: PhaseBook | None) -> None:
        assert book is not None
        book.flattening = True
        self.closing.flatten(book)

    def _look_at_phase(self, book: PhaseBook) -> None:
        state = self.state_of(book)
        if book.flattening:
            # an entry that was on its way may have been executed after the closing order was sent
            book.flattening = not self.closing.is_flat(book)
            self.closing.flatten(book)
        if state is PhaseState.DRAINING:
            if book.reducing and not self.closing.is_working(book):
                self._hand_over(book)
            level = day_loss(book.loss_base2 - book.base2 + self.phase_equity2(book), book.loss_base2, book.binding.declaration.daily_loss)
            if level > book.level:
                book.level = level
                if level is DayLoss.ESCALATED:
                    self.fire(Trigger.ESCALATE, book)
            if self.closing.is_flat(book):
                self.fire(Trigger.DRAINED, book)
            return
        if state not in OPERATING:
            return
        level = day_loss(book.loss_base2 - book.base2 + self.phase_equity2(book), book.loss_base2, book.binding.declaration.daily_loss)
        if level > book.level:
            book.level = level
            self.fire({DayLoss.REDUCED: Trigger.REDUCE, DayLoss.HALTED: Trigger.HALT, DayLoss.ESCALATED: Trigger.ESCALATE}[level], book)

    # -- which phases ---------------------------------------------------------------------------------------------
    def _judge_bands(self, equity: int) -> None:
        for book in self.books:
            state, band = self.state_of(book), book.binding.declaration.band
            if band is None or state is None:
                continue
            verdict = judge(band, equity, self.limits)
            if state in (PhaseState.DORMANT, PhaseState.DRAINING):
                self._dwell(book, verdict is Verdict.ENTER)
            elif state in OPERATING and (verdict is Verdict.LEAVE or (verdict is Verdict.OUTGROWN and self._has_successor(book))):
                if self.fire(Trigger.DRAIN, book):
                    self.allocate()

    def _has_successor(self, book: PhaseBook) -> bool:
        states = self.machine.configuration.phases
        return any(states.get(other.id) in ENTERING for other in self.books[book.slot + 1 :])

    def _dwell(self, book: PhaseBook, fits: bool) -> None:
        if not fits:
            if book.dwell is not None:
                self.engine.disarm(book.dwell)
                book.dwell = None
        elif book.dwell is None:
            book.dwell = self.engine.at_system(self.engine.now + self.limits.dwell_s * S, self._dwelt, book)

    def _dwelt(self, timer: Timer) -> None:
        book: PhaseBook = timer.payload
        book.dwell, book.dwelt = None, True
        self.fire(Trigger.REACTIVATE if self.state_of(book) is PhaseState.DRAINING else Trigger.ARM, book)
        book.dwelt = False
        self.settle()

    def _check_health(self, book: PhaseBook | None) -> None:
        assert book is not None
        health = book.binding.health()
        if not health.ok:
            self.engine.record.note(self.engine.now, BRAIN, f"phase {book.id} is not healthy: {health.reason}")
        self.fire(Trigger.ACTIVATE if health.ok else Trigger.REJECT, book)

    def _set_allocations(self, book: PhaseBook | None) -> None:
        if book is not None and book.drain is not None:  # the phase is back, or gone: its time to leave no longer runs
            self.engine.disarm(book.drain)
            book.drain = None
        self.allocate()

    def start_phase(self, book: PhaseBook | None) -> None:
        """Make the strategies of a phase and start them; during a boot once all phases have their allocations."""
        assert book is not None
        if self.booting.puts_off(book):
            return
        book.active_since = self.engine.now
        if not book.day_goes_on:
            book.base2 = book.loss_base2 = self.phase_equity2(book)
            book.level = DayLoss.NONE
        book.activations += 1
        try:
            book.binding.activated()
            strategies = book.binding.create()
        except Exception as error:  # a plugin may raise anything; only this phase pays for it
            self._quarantine(book, error)
            return
        book.desks = [Desk(self.engine, book.id, book.slot, strategy, book.activations) for strategy in strategies]
        for desk in book.desks:
            desk.call(desk.strategy.on_start)

    def _stop_phase(self, book: PhaseBook | None) -> None:
        assert book is not None
        for desk in book.desks:
            desk.retire()
        if not book.broken:
            try:
                book.binding.deactivated()
            except Exception as error:
                self._quarantine(book, error)

    def _disable_phases(self) -> None:
        for book in self.books:
            for desk in book.desks:
                desk.retire()
            for timer in (book.dwell, book.drain):
                if timer is not None:
                    self.engine.disarm(timer)
            book.dwell = book.drain = None

    def allocate(self) -> None:
        """Share equity out among the operating phases. A day base moves with its phase's allocation, as with a deposit."""
        states = self.machine.configuration.phases
        active = [book for book in self.books if states.get(book.id) in OPERATING]
        equity2 = self.equity2()
        weights = weights_bps([book.binding.declaration for book in active], equity2 // 2)
        for book in active:
            before2 = self.phase_equity2(book)
            after2 = share(equity2, weights[book.id])
            book.offset2 += after2 - before2
            book.expires_ns = (self.engine.now // D + 1) * D + GRACE_NS
            book.base2 += after2 - before2
            book.loss_base2 = max(book.loss_base2, book.base2)
            book.shrunk = self.watch.has_drifted(book)
            if after2 < before2 and self.exposure.is_above_cap(book):
                self.closing.cancel_entries(book)
        self._again = True

    # -- leaving --------------------------------------------------------------------------------------------------
    def _offer_handover(self, book: PhaseBook | None) -> None:
        assert book is not None
        seconds = book.binding.declaration.drain_s
        book.drain = self.engine.at_system(self.engine.now + seconds * S, self._drain_timeout, book)
        self.allocate()  # a leaving phase has no share any more
        self._hand_over(book)

    def _hand_over(self, book: PhaseBook) -> None:
        states = self.machine.configuration.phases
        takers = [other for other in self.books if other is not book and states.get(other.id) in ENTERING]
        book.reducing = self.closing.hand_over(book, takers)
        self._again = True

    def _drain_timeout(self, timer: Timer) -> None:
        book: PhaseBook = timer.payload
        book.drain = None
        self.fire(Trigger.DRAIN_TIMEOUT, book)
        self.settle()

    def _escalation(self, book: PhaseBook | None) -> None:
        self.escalated_today += 1
        if drawdown(self.equity2(), self.peak2, self.limits) >= Drawdown.WARNING:
            self.panic(f"phase {book.id if book else '?'} escalated while draw-down is at least {self.limits.drawdown_warning_bps / 100:g} %")
        elif self.escalated_today >= 2:
            self.fire(Trigger.HALT)

    def _note_command(self, text: str) -> Callable[[PhaseBook | None], None]:
        def note(book: PhaseBook | None) -> None:
            self.engine.record.note(self.engine.now, BRAIN, f"{text}: {book.id}" if book else text)

        return note
