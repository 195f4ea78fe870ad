"""What the short leg is expected to receive, and when.

Settlements come at the venue's own times: every eight hours from 00:00 UTC until two of them in a row show another interval. The last settled rate is taken to
decay towards zero with a half-life, which is what its autocorrelation (about 0.8 from one settlement to the next, on Binance) amounts to over days.
"""

from titan_core import D, H

RATE_PER_BPS = 10_000
"""Rates are whole 1e-8; one basis point is 1e-4."""
USUAL = 8 * H
_KNOWN = (H, 2 * H, 4 * H, 8 * H)


class FundingClock:
    """The times of one instrument's settlements."""

    def __init__(self) -> None:
        self.interval_ns = USUAL
        self._last_ns: int | None = None

    def settled(self, ts_ns: int) -> None:
        """Take note of a settlement, which is told at its time or soon after."""
        at_ns = (ts_ns + H // 2) // H * H
        if self._last_ns is not None and at_ns - self._last_ns in _KNOWN:
            self.interval_ns = at_ns - self._last_ns
        self._last_ns = at_ns

    def next_ns(self, now_ns: int) -> int:
        """Return the next settlement after `now_ns`. Intervals are counted from midnight, as the venues do."""
        day = now_ns // D * D
        return day + ((now_ns - day) // self.interval_ns + 1) * self.interval_ns

    def expected_bps(self, rate_e8: int | None, now_ns: int, horizon_ns: int, half_life_ns: float) -> float:
        """Return the funding that a short position is expected to receive within the horizon; negative where it pays."""
        if not rate_e8:
            return 0.0
        first = self.next_ns(now_ns)
        count = max(0, (now_ns + horizon_ns - first) // self.interval_ns + 1)
        fade = 0.5 ** (self.interval_ns / half_life_ns)
        # the rate last settled is one interval old at the next settlement
        total = fade * (1 - fade**count) / (1 - fade) if fade < 1 else float(count)
        return rate_e8 / RATE_PER_BPS * total

    def next_bps(self, rate_e8: int | None, half_life_ns: float) -> float:
        """Return what the next settlement alone is expected to pay."""
        return rate_e8 / RATE_PER_BPS * 0.5 ** (self.interval_ns / half_life_ns) if rate_e8 else 0.0
