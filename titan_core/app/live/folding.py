"""What the entries of a journal add up to: a pure fold, used at start and for snapshots."""

from collections.abc import Iterable

from titan_core.app.live.entries import Ended, Entry, Kept, Moment, Started, Submit
from titan_core.engine.heard import Executed, Funded, OrderMoved

SEEN = 2_000
"""How many executions are remembered by id; older ones are not asked for any more."""


def empty() -> Kept:
    """Return what a journal without entries adds up to."""
    return Kept(boot=0, equity_start=0)


def fold(kept: Kept, entries: Iterable[Entry]) -> Kept:
    """Add entries to what those before them have led to; changes `kept` and returns it."""
    for entry in entries:
        add(kept, entry)
    return kept


def add(kept: Kept, entry: Entry) -> None:
    """Add one entry."""
    if isinstance(entry, Moment):
        _moment(kept, entry)
    elif isinstance(entry, Started):
        _started(kept, entry)
    else:
        assert isinstance(entry, Ended)
        kept.orderly = True


def _started(kept: Kept, entry: Started) -> None:
    kept.boot, kept.orderly = entry.boot, False
    if not kept.equity_start:
        kept.equity_start = entry.equity_start
    kept.memory = entry.memory
    kept.bookings += entry.bookings
    kept.open_orders = {}  # recovery has followed every one of them to its end
    kept.seen = list(entry.seen)
    kept.last_execution_ns = max(kept.last_execution_ns, entry.last_execution_ns)


def _moment(kept: Kept, moment: Moment) -> None:
    if moment.memory is not None:
        kept.memory = moment.memory
    kept.bookings += moment.bookings
    for sent in moment.sent:
        if isinstance(sent, Submit):
            kept.open_orders[sent.client_order_id] = sent
    word = moment.word
    if isinstance(word, Executed | Funded):
        kept.seen.append(word.execution_id)
        if len(kept.seen) > 2 * SEEN:
            del kept.seen[:-SEEN]
        kept.last_execution_ns = max(kept.last_execution_ns, word.ts_event_ns)
    elif isinstance(word, OrderMoved) and word.status.is_final:
        kept.open_orders.pop(word.client_order_id, None)
