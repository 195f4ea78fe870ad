"""Makes every kernel ready before time matters: a first call compiles for seconds, or loads the compiled code from the cache for milliseconds."""

import time
from decimal import Decimal
from typing import Any

import numpy as np

from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import StrategyId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MIN, S
from titan_core.ports import Strategy
from titan_core.tape.columns import Columns
from titan_core.tape.tape import StreamKey, Tape, build_tape

ROWS = 600


def warmup() -> float:
    """Run a small market through every kernel of the replay form; return the seconds it took. Does nothing where numba is absent."""
    try:
        from titan_core.engine.open_governor import OpenGovernor
        from titan_core.engine.prepared import Prepared
        from titan_core.engine.replay import Replay
    except ImportError:
        return 0.0
    started = time.perf_counter()
    governor = OpenGovernor([_Toucher()], floors=(10**9,), drawdown_bps=1)
    Replay(Prepared(_market()), governor, cash=10**12, slots=governor.slots, chunk=64).run()
    if governor.faults:
        raise governor.faults[0][1]
    return time.perf_counter() - started


def _market() -> Tape:
    """Make a pair whose price swings, so that everything armed fires."""
    spot = Instrument(venue=VenueId("warm-spot"), symbol="WARM", kind=InstrumentKind.SPOT, base="WARM", tick_size=Decimal("0.1"), lot_size=Decimal("0.1"))
    perp = Instrument(venue=VenueId("warm-perp"), symbol="WARM", kind=InstrumentKind.PERP, base="WARM", tick_size=Decimal("0.1"), lot_size=Decimal("0.1"))
    ts = np.arange(ROWS, dtype=np.int64) * S + MIN
    price = (10_000 + 200 * np.sin(np.arange(ROWS) / 20)).astype(np.int32)
    lots = np.where(np.arange(ROWS) % 3 == 0, -7, 5).astype(np.int32)
    ten = np.full(ROWS, 10, np.int32)
    raw: dict[StreamKey, Columns] = {}
    for shift, instrument in enumerate((spot, perp)):
        raw[instrument.id, StreamKind.QUOTE] = {"ts": ts + shift, "bid": price - 1, "ask": price + shift, "bid_lots": ten, "ask_lots": ten}
        raw[instrument.id, StreamKind.TRADE] = {"ts": ts + 2 + shift, "price": price, "signed_lots": lots}
    return build_tape((spot, perp), raw)


class _Toucher(Strategy):
    """Arms one of each kind, looks everything up, sends orders of each kind."""

    id = StrategyId("warm")

    def on_start(self, market: Any) -> None:
        """Begin."""
        market.every(30 * S, self._tick)

    def _tick(self, market: Any, timer: Any) -> None:
        i = market.perp
        last, quote = i.last(), i.quote()
        if last is None or quote is None:
            return
        conditions = (i.above(last + 20), i.below(last - 20), i.trail_from_high(30), i.trail_from_low(30), i.flow_above(9 * S, 8), i.flow_below(9 * S, -8, MIN))
        for condition in (*conditions, market.pairs[0].basis_above(10**6), market.pairs[0].basis_below(-(10**6))):
            market.arm(condition, self._hit)
        i.cvd(9 * S), i.volume(9 * S), i.vwap(9 * S), i.footprint(market.now_ns - MIN, last - 5, last + 5)
        i.range_high(0), i.range_low(0), i.bars(MIN).bollinger(3, 2.0)
        market.enter(i, 2, limit=quote[0] - 3, stop=last - 60, target=last + 40)
        market.enter(i, -2, limit=quote[1] + 3)
        market.enter(market.spot, 1)

    def _hit(self, market: Any, condition: Any) -> None:
        """Nothing more to do."""
