"""Bars as the reference form has them: rebuilt from trades one by one, looked at by going through them."""

Bar = tuple[int, int, int, int, int, int]


class BarBuilder:
    """Rebuilds bars from trades, going on from where it stopped."""

    def __init__(self, timeframe_ns: int) -> None:
        self._timeframe = timeframe_ns
        self._used = 0
        self._done: list[Bar] = []
        self._slot = 0
        self._open: list[int] | None = None

    def closed(self, trades: tuple[list[int], list[int], list[int]], now: int) -> list[Bar]:
        """Return the bars (open, high, low, close, volume, delta) that have closed by `now`."""
        times, prices, lots = trades
        for i in range(self._used, len(times)):
            slot = times[i] // self._timeframe
            if self._open is None or slot != self._slot:
                self._close_until(slot)
                self._slot = slot
                self._open = [prices[i], prices[i], prices[i], prices[i], 0, 0]
            bar = self._open
            bar[1], bar[2], bar[3] = max(bar[1], prices[i]), min(bar[2], prices[i]), prices[i]
            bar[4] += abs(lots[i])
            bar[5] += lots[i]
        self._used = len(times)
        current = now // self._timeframe
        if self._open is None or current <= self._slot:
            return list(self._done)
        close = self._open[3]
        pending: list[Bar] = [tuple(self._open)]  # type: ignore[list-item]
        return self._done + pending + [(close, close, close, close, 0, 0)] * (current - self._slot - 1)

    def _close_until(self, slot: int) -> None:
        if self._open is not None:
            close = self._open[3]
            self._done.append(tuple(self._open))  # type: ignore[arg-type]
            self._done.extend([(close, close, close, close, 0, 0)] * (slot - self._slot - 1))


class PlainBars:
    """Closed bars; implements `titan_core.ports.Bars` by going through them."""

    def __init__(self, bars: list[Bar]) -> None:
        """Wrap the closed bars, oldest first."""
        self._bars = bars
        self.count = len(bars)

    def _bar(self, ago: int) -> Bar:
        if not 1 <= ago <= self.count:
            raise IndexError(f"bar {ago} back does not exist: {self.count} bars have closed")
        return self._bars[-ago]

    def open(self, ago: int) -> int:
        """Open of the bar `ago` bars back."""
        return self._bar(ago)[0]

    def high(self, ago: int) -> int:
        """High of the bar `ago` bars back."""
        return self._bar(ago)[1]

    def low(self, ago: int) -> int:
        """Low of the bar `ago` bars back."""
        return self._bar(ago)[2]

    def close(self, ago: int) -> int:
        """Close of the bar `ago` bars back."""
        return self._bar(ago)[3]

    def volume(self, ago: int) -> int:
        """Traded lots in the bar `ago` bars back."""
        return self._bar(ago)[4]

    def delta(self, ago: int) -> int:
        """Signed taker lots in the bar `ago` bars back."""
        return self._bar(ago)[5]

    def bollinger(self, length: int, width: float) -> tuple[float, float, float] | None:
        """Lower band, middle, upper band over the last `length` closes."""
        if self.count < length:
            return None
        closes = [bar[3] for bar in self._bars[-length:]]
        total = sum(closes)
        middle = total / length
        deviation = (length * sum(x * x for x in closes) - total * total) ** 0.5 / length
        return middle - width * deviation, middle, middle + width * deviation

    def atr(self, length: int) -> float | None:
        """Wilder's average true range in ticks."""
        average, before = 0.0, 0
        for i, (_, high, low, close, _, _) in enumerate(self._bars):
            true_range = high - low if i == 0 else max(high - low, abs(high - before), abs(low - before))
            average = float(true_range) if i == 0 else (average * (length - 1) + true_range) / length
            before = close
        return average if self._bars else None

    def swing_highs(self, reach: int, last: int) -> list[int]:
        """Confirmed swing highs among the last `last` bars, newest first."""
        return self._swings([bar[1] for bar in self._bars], reach, last)

    def swing_lows(self, reach: int, last: int) -> list[int]:
        """Confirmed swing lows among the last `last` bars, newest first."""
        return [-x for x in self._swings([-bar[2] for bar in self._bars], reach, last)]

    def _swings(self, values: list[int], reach: int, last: int) -> list[int]:
        found = []
        for i in range(max(reach, self.count - last), self.count - reach):
            around = values[i - reach : i] + values[i + 1 : i + reach + 1]
            if all(values[i] > x for x in around):
                found.append(values[i])
        return found[::-1]
