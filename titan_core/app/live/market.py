"""The market's side of a session: which streams, the history before the first live row, rows into the engine and the recording."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent
from titan_core.feed.channels import Handler
from titan_core.feed.port import Values
from titan_core.feed.rest.port import Kline
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.instrument import Instrument
from titan_core.model.units import MIN
from titan_core.tape.importers.intrabar import Bars, draw_path
from titan_core.tape.tape import StreamKey, default_pairs

_EVERY = frozenset({StreamKind.QUOTE, StreamKind.TRADE})
_OF_PERP = frozenset({StreamKind.MARK, StreamKind.FUNDING, StreamKind.OPEN_INTEREST})


def kinds_of(instrument: Instrument, *, depth: bool = False) -> frozenset[StreamKind]:
    """Return the kinds of row that a session asks for; `depth` where fills are simulated on it."""
    found = _EVERY | ({StreamKind.DEPTH} if depth else set())
    if instrument.kind is InstrumentKind.PERP:
        found |= _OF_PERP
        if instrument.venue.startswith("bybit"):
            found |= {StreamKind.LIQUIDATION}
    return found


def layout_of(instruments: tuple[Instrument, ...], *, depth: bool = False) -> Layout:
    """Return the layout of a session over these instruments."""
    pairs = default_pairs(instruments)
    keys: list[StreamKey] = [(i.id, kind) for i in instruments for kind in (*kinds_of(i, depth=depth), StreamKind.GAP)]
    keys += [(pair.perp, StreamKind.BASIS) for pair in pairs]
    return Layout.of_streams(instruments, pairs, keys)


def router(engine: PerEvent, layout: Layout, instrument: Instrument, after: Callable[[int], None]) -> Handler:
    """Return what takes the rows of one instrument into the engine; `after(ts_ns)` is called behind each row."""
    ranks = {kind: layout.ranks[instrument.id, kind] for kind in StreamKind if (instrument.id, kind) in layout.ranks}

    def take(ts_ns: int, kind: StreamKind, values: Values, event_ns: int) -> None:
        engine.on_event(ts_ns, ranks[kind], values)
        after(ts_ns)

    return take


def history_rows(instrument: Instrument, klines: Sequence[Kline], minutes: int, before_ns: int) -> list[tuple[int, int, int]]:
    """Return trades (ts, price, signed lots) drawn through bars that closed before `before_ns`. The taker's side alternates: bars do not tell it."""
    bar_ns = minutes * MIN
    whole = [k for k in klines if k.open_ns + bar_ns <= before_ns]
    if not whole:
        return []
    columns = [np.array([getattr(k, name) for k in whole], np.int64) for name in ("open_ns", "open", "high", "low", "close", "lots")]
    path = draw_path(Bars(*columns), bar_ns)
    sides = np.where(np.arange(len(path.ts)) % 2 == 0, 1, -1)
    keep = path.lots > 0
    return list(zip(path.ts[keep].tolist(), path.price[keep].tolist(), (path.lots * sides)[keep].tolist(), strict=True))


def warm(engine: PerEvent, layout: Layout, histories: Iterable[tuple[Instrument, list[tuple[int, int, int]]]]) -> list[tuple[Instrument, int, tuple[int, int]]]:
    """Feed the history of all instruments in one order of time; return the rows as they were fed, for the recording."""
    rows = sorted((ts, layout.ranks[instrument.id, StreamKind.TRADE], price, lots, instrument) for instrument, known in histories for ts, price, lots in known)
    last, fed = 0, []
    for ts, rank, price, lots, instrument in rows:
        last = ts if ts > last else last + 1
        engine.warm(last, rank, (price, lots))
        fed.append((instrument, last, (price, lots)))
    return fed
