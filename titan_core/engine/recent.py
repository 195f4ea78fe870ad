"""What the per-event form remembers, and its answers to look-ups: the newest event of each stream, recent trades, bars."""

from typing import Any

from titan_core.engine.bars import BarsAsOf
from titan_core.engine.core import Engine, Governor
from titan_core.engine.history import SEGMENT_ROWS, MinuteBars, TradeBars, TradeHistory
from titan_core.engine.layout import NO_STREAM, Layout
from titan_core.errors import StrategyError
from titan_core.model.enums import StreamKind
from titan_core.model.units import MIN, D, S
from titan_core.tape.columns import SPECS

Values = tuple[Any, ...]
"""The raw columns of an event after its time."""


class Recent(Engine):
    """Look-ups over what has been taken in. Whoever takes events in keeps `_state`, `_seen_at` and `_trades` up to date."""

    def __init__(self, layout: Layout, governor: Governor, *, history_ns: int = 2 * D, segment_rows: int = SEGMENT_ROWS, **settings: Any) -> None:
        """Keep trades for `history_ns`: a look-up that reaches back further raises StrategyError. `segment_rows` is made small by tests."""
        super().__init__(layout, governor, **settings)
        count = len(layout.keys)
        self._history_ns = history_ns
        self._state: list[Values | None] = [None] * count
        self._seen_at: list[int | None] = [None] * count
        self._names = [{name: i for i, name in enumerate(list(SPECS[kind].raw)[1:])} for _, kind in layout.keys]
        self._trades = {rank: TradeHistory(history_ns, segment_rows) for rank, (_, kind) in enumerate(layout.keys) if kind is StreamKind.TRADE}
        self._bars: dict[tuple[int, int], TradeBars | MinuteBars] = {}

    def quote(self, k: int) -> tuple[int, int, int, int] | None:
        """See Engine.quote."""
        rank = self.layout.rank(k, StreamKind.QUOTE)
        return self._state[rank] if rank != NO_STREAM else None

    def depth(self, k: int, asks: bool) -> list[tuple[int, int]]:
        """See Engine.depth."""
        rank = self.layout.rank(k, StreamKind.DEPTH)
        values = self._state[rank] if rank != NO_STREAM else None
        if values is None:
            return []
        bids, bid_lots, ask_prices, ask_lots = values
        return list(zip(ask_prices, ask_lots, strict=True) if asks else zip(bids, bid_lots, strict=True))

    def latest(self, rank: int, column: str) -> int | None:
        """See Engine.latest."""
        values = self._state[rank]
        return None if values is None else values[self._names[rank][column]]

    def latest_ts(self, rank: int) -> int | None:
        """See Engine.latest_ts."""
        return self._seen_at[rank]

    def _history(self, k: int) -> TradeHistory:
        return self._trades[self.layout.require(k, StreamKind.TRADE)]

    def check_window(self, window_ns: int) -> int:
        """Return the time at which a window begins. Raises StrategyError where it reaches back beyond the history that is kept."""
        if window_ns > self._history_ns:
            raise StrategyError(f"a look-back of {window_ns / S:.0f} s exceeds the {self._history_ns / S:.0f} s of trades that are kept; raise history_ns")
        return self.now - window_ns

    def cvd(self, k: int, window_ns: int) -> int:
        """Signed lots over (now - window, now]."""
        return self._history(k).signed_after(self.check_window(window_ns))

    def volume(self, k: int, window_ns: int) -> int:
        """Lots over (now - window, now]."""
        return self._history(k).lots_after(self.check_window(window_ns))

    def vwap(self, k: int, window_ns: int) -> float | None:
        """Volume-weighted price over (now - window, now]."""
        lots = self.volume(k, window_ns)
        return self._history(k).notional_after(self.now - window_ns) / lots if lots else None

    def range_high(self, k: int, from_ns: int) -> int | None:
        """Highest trade price since `from_ns`."""
        self.check_window(self.now - from_ns)
        trades = self._history(k)
        return trades.highest(trades.after(from_ns - 1), trades.end())

    def range_low(self, k: int, from_ns: int) -> int | None:
        """Lowest trade price since `from_ns`."""
        self.check_window(self.now - from_ns)
        trades = self._history(k)
        return trades.lowest(trades.after(from_ns - 1), trades.end())

    def footprint(self, k: int, from_ns: int, low: int, high: int) -> tuple[int, int]:
        """Bought and sold lots at low <= price <= high since `from_ns`."""
        self.check_window(self.now - from_ns)
        return self._history(k).footprint(from_ns - 1, low, high)

    def bars(self, k: int, timeframe_ns: int) -> BarsAsOf:
        """Closed bars as of now. Those of whole minutes go back to the first trade, others to the oldest trade kept when they were first asked for."""
        table = self._bars.get((k, timeframe_ns))
        if table is None:
            table = self._bars[k, timeframe_ns] = self._new_bars(self._history(k), timeframe_ns)
        table.roll(self.now)
        return BarsAsOf(table, self.now, timeframe_ns, table.size > 0)

    def _new_bars(self, trades: TradeHistory, timeframe_ns: int) -> TradeBars | MinuteBars:
        if timeframe_ns == MIN:
            return trades.minutes
        if timeframe_ns % MIN == 0:
            return MinuteBars(trades.minutes, timeframe_ns)
        bars = TradeBars(trades, timeframe_ns)
        trades.builders.append(bars)
        return bars
