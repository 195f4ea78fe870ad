"""What all runs of the replay form over one tape share: descriptors, memory views, bars."""

from typing import Any

from titan_core.engine import scan
from titan_core.engine.bars import BarCache
from titan_core.engine.layout import NO_STREAM, Layout
from titan_core.model.enums import StreamKind
from titan_core.tape.columns import view
from titan_core.tape.tape import Tape


class Prepared:
    """What runs over one tape share: descriptors, memory views, bars. Making it costs milliseconds, using it nothing."""

    def __init__(self, tape: Tape) -> None:
        """Describe every stream."""
        self.tape = tape
        self.layout = Layout.of(tape)
        self.descriptors = [scan.descriptor(stream) for stream in tape.streams]
        self.rows = [stream.rows for stream in tape.streams]
        self.ts = [view(stream.ts) for stream in tape.streams]
        self.columns: list[dict[str, Any]] = [{name: view(column) for name, column in stream.columns.items() if column.ndim == 1} for stream in tape.streams]
        self.bars = BarCache(tape)
        n = len(self.layout.instruments)
        self.quotes: list[tuple[int, tuple[Any, ...]] | None] = []
        self.depths: list[tuple[int, Any] | None] = []
        for k in range(n):
            rank = self.layout.rank(k, StreamKind.QUOTE)
            self.quotes.append(None if rank == NO_STREAM else (rank, tuple(self.columns[rank][c] for c in ("bid", "ask", "bid_lots", "ask_lots"))))
            rank = self.layout.rank(k, StreamKind.DEPTH)
            self.depths.append(None if rank == NO_STREAM else (rank, tape.streams[rank].columns))
        self.dearest2 = [self._dearest2(k) for k in range(n)]

    def _dearest2(self, k: int) -> int:
        """Return twice the highest price that may value instrument k, from the top of the zone maps."""
        found = [0]
        for kind, column, times in ((StreamKind.QUOTE, "mid2", 1), (StreamKind.QUOTE, "bid", 2), (StreamKind.MARK, "price", 2)):
            rank = self.layout.rank(k, kind)
            if rank != NO_STREAM and self.rows[rank]:
                blocks = (((self.rows[rank] + 63) // 64 + 63) // 64 + 63) // 64
                found.append(times * int(self.tape.streams[rank].columns[f"{column}_max"][-blocks:].max()))
        return max(found)
