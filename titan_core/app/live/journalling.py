"""Decide, then journal, then act: turns what an engine has done into a moment on disk, and lets its orders go once it is there."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import structs

from titan_core.app.live.entries import Entry, Kept, Leave, Moment, Protect, Sent, Submit, Verify, Withdraw
from titan_core.app.live.folding import add
from titan_core.app.live.outbox import CollectingOutbox
from titan_core.app.live.settling import VenueView
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.heard import Heard
from titan_core.engine.live import PerEvent
from titan_core.engine.memory import remember
from titan_core.journal.failures import JournalError
from titan_core.journal.port import Journal
from titan_core.ledger.ledger import Ledger
from titan_core.model.fill import Fill
from titan_core.model.units import S

Release = Callable[[tuple[Sent, ...]], None]
LAST = 40
LATE_NS = 5 * S
"""An entry that was decided for a moment so long ago is not sent: the process stood still, and what it was decided on is gone."""


class Journalling:
    """Writes the moments of one engine. `release` sends; `lost` is told of orders that could not be journalled and hence were not sent."""

    def __init__(
        self,
        journal: Journal[Entry],
        kept: Kept,
        ledger: Ledger,
        view: VenueView,
        outbox: CollectingOutbox,
        release: Release,
        lost: Callable[[tuple[Sent, ...], str], None],
        on_decision: Callable[[tuple[Any, ...]], None],
    ) -> None:
        self.journal, self.kept, self.ledger, self.view, self.outbox = journal, kept, ledger, view, outbox
        self._release, self._lost, self._on_decision = release, lost, on_decision
        self.fills: deque[Fill] = deque(maxlen=LAST)
        self._owed: list[Moment] = []
        """Moments that the journal would not take; they come first once it does."""
        self.failure = ""
        """Why the last moment is not in the journal; empty where it is."""

    def flush(self, engine: PerEvent, governor: BrainGovernor, ts_ns: int, word: Heard | None = None) -> None:
        """Write down what has happened since the last call, if anything has, and send what is to be sent once that is on disk."""
        decisions, bookings = engine.record.take()
        sent = self.outbox.take()
        if word is None and not decisions and not sent and not bookings:
            return
        for booking in bookings:
            self.ledger.book(booking)
            self.view.take(booking)
            if isinstance(booking, Fill):
                self.fills.append(booking)
        for decision in decisions:
            self._on_decision(decision)
        changed = bool(bookings or sent or word is not None or any(d[0] in ("chart", "handed_over") for d in decisions))
        moment = Moment(
            ts_ns=ts_ns,
            word=word,
            decisions=tuple(decisions),
            bookings=tuple(bookings),
            sent=sent,
            memory=remember(governor, engine) if changed or self.failure else None,
        )
        late = _decided_late(decisions, sent, ts_ns)
        self.write(moment, tuple(each for each in sent if each not in late) if late else sent)
        if late:
            self._lost(late, "it was decided for a moment that has passed")

    def write(self, moment: Moment, sent: tuple[Sent, ...]) -> None:
        """Append a moment; what it sends goes out once it is durable. What only gets out goes out in any case."""
        urgent = any(_gets_out(each) for each in sent)
        try:
            self.pay(urgent=urgent)
            seq = self.journal.append(moment, urgent=urgent)
        except JournalError as error:
            out = self._failed(sent, str(error))
            self._owed.append(structs.replace(moment, sent=out))
            return
        add(self.kept, moment)
        if sent:
            self.journal.when_durable(seq, lambda: self._release(sent), lambda error: self._gave_up(sent, str(error)))
        if self.journal.snapshot_due:
            self.journal.write_snapshot(self.kept, seq)

    def pay(self, *, urgent: bool = False) -> None:
        """Append the moments that the journal would not take. Raises JournalError where it still does not."""
        while self._owed:
            self.journal.append(self._owed[0], urgent=urgent)
            add(self.kept, self._owed.pop(0))
        self.failure = ""

    def _gave_up(self, sent: tuple[Sent, ...], reason: str) -> None:
        self._failed(sent, reason)

    def _failed(self, sent: tuple[Sent, ...], reason: str) -> tuple[Sent, ...]:
        """Send what gets out, give the rest up; returns what was sent."""
        self.failure = reason
        out = tuple(each for each in sent if _gets_out(each))
        kept_in = tuple(each for each in sent if not _gets_out(each))
        if out:
            self._release(out)
        if kept_in:
            self._lost(kept_in, reason)
        return out


def _gets_out(sent: Sent) -> bool:
    """Whether something only ever reduces what may be lost: it is never held back, not even by a full disk."""
    return isinstance(sent, Withdraw | Leave | Verify | Protect) or (isinstance(sent, Submit) and sent.is_leaving)


def _decided_late(decisions: Sequence[tuple[Any, ...]], sent: tuple[Sent, ...], now_ns: int) -> tuple[Sent, ...]:
    """Return the entries among what is to be sent that belong to a moment long past."""
    past = {decision[2] for decision in decisions if decision[0] == "approved" and now_ns - decision[1] > LATE_NS}
    return tuple(each for each in sent if isinstance(each, Submit) and not each.is_leaving and each.client_order_id in past) if past else ()
