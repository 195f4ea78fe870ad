"""One instrument under watch: its charts, its sessions, and the blocks worth an order now."""

from collections import Counter
from enum import StrEnum

from attrs import frozen

from titan_core import BPS, MIN, D, H, InstrumentView, Order
from titan_hunter.candles import CandleReader
from titan_hunter.config import HunterConfig, Rule
from titan_hunter.hologram import Frame, Hologram
from titan_hunter.inefficiency import Inefficiencies, OrderBlock
from titan_hunter.sessions import SessionProfile
from titan_hunter.structure import Structure

DAY, FOUR_HOURS, QUARTER = D, 4 * H, 15 * MIN
PAST_BARS = {DAY: 120, FOUR_HOURS: 240, QUARTER: 400}
"""How much of the past is read when the phase begins."""
_PLACES = {"1d": 0, "4h": 1, "15m": 2}


class Skip(StrEnum):
    """Why a block is not traded, beyond the vetoes of the hologram. The words appear in the strategy's tally."""

    OUT_OF_SESSION = "out_of_session"
    JUDAS = "judas"
    TOO_WIDE = "too_wide"
    BEYOND_STOP = "beyond_stop"
    NOT_SWEPT = "not_swept"
    RUNNING = "running"
    WIDE_SPREAD = "wide_spread"
    TOO_SMALL = "too_small"
    REFUSED = "refused"


@frozen
class Plan:
    """A resting entry at `limit` with its protective prices (ticks); `side` is +1 to buy."""

    side: int
    lots: int
    limit: int
    stop: int
    target: int


class Hunt:
    """What is known of one instrument, and what is open in it."""

    def __init__(self, config: HunterConfig, perp: InstrumentView, spot: InstrumentView | None, bitcoin: InstrumentView | None) -> None:
        """`bitcoin` is what its strength is compared with; None for bitcoin itself and where the run has none."""
        self.config = config
        self.perp, self.spec = perp, perp.spec
        self.flow = next((view for view in (perp, spot) if view is not None and view.has_flow), None)
        """Whose order flow is read: the perpetual's own, else the spot market's; None where neither has any."""
        self._bitcoin = bitcoin
        weights = (config.daily_weight, config.four_hour_weight, config.quarter_weight)
        frames = tuple(Frame(tf, weight, Structure(config.fractal_reach)) for tf, weight in zip(PAST_BARS, weights, strict=True))
        self.hologram = Hologram(frames, _PLACES[config.place_of], config.min_alignment, config.min_strength_bps, config.equilibrium)
        self._readers = {timeframe: CandleReader(timeframe, past) for timeframe, past in PAST_BARS.items()}
        self.map = Inefficiencies(min_gap_bps=config.min_gap_bps, equal_bps=config.equal_bps)
        self.sessions = SessionProfile(asia_hours=config.asia_hours, judas_s=config.session_s)
        self.tally: Counter[str] = Counter()
        # -- what is open
        self.watch: object = None
        """The condition armed at the approach to a block, or the timer of the next look at it."""
        self.order: Order | None = None
        self.block: OrderBlock | None = None
        self.plan: Plan | None = None
        self.requotes = 0
        self.again_bps: float | None = None
        """Where the entry is placed anew once its withdrawal is confirmed; None where it is not."""
        self.entered = 0
        """Lots of the open trade that were entered; 0 while there is none."""
        self.cash = 0
        """Cash moved by the open trade, fees included: its result, once flat."""
        self.time_stop: object = None
        self.quiet_until_ns = 0

    # -- the charts -------------------------------------------------------------------------------------------------
    def read(self, now_ns: int) -> None:
        """Take in the candles that have closed."""
        for frame in self.hologram.frames:
            bars = self.perp.bars(frame.timeframe_ns)
            for candle in self._readers[frame.timeframe_ns].new(bars, now_ns):
                fractals, broken = frame.structure.take(candle)
                if frame.timeframe_ns == QUARTER:
                    self.map.take(candle, fractals, broken)
                    self.sessions.take(candle)

    def strength_bps(self) -> float | None:
        """Return the return of the window less bitcoin's; None where there is nothing to compare."""
        if self._bitcoin is None:
            return None
        ours, theirs = (self._return_bps(view) for view in (self.perp, self._bitcoin))
        return None if ours is None or theirs is None else ours - theirs

    def _return_bps(self, view: InstrumentView) -> float | None:
        bars, count = view.bars(QUARTER), self.config.strength_hours * H // QUARTER
        return BPS * (bars.close(1) / bars.close(count + 1) - 1) if bars.count > count else None

    # -- the blocks -------------------------------------------------------------------------------------------------
    def candidates(self, price: int, now_ns: int) -> list[OrderBlock]:
        """Return the fresh blocks that may be traded now, those behind a sweep first, the nearest first; count why others may not."""
        found = []
        strength = self.strength_bps()
        for block in self.map.blocks:
            if block.mitigated_ns or not 0 <= block.side * (price - block.near) * BPS <= price * self.config.reach_bps:
                continue
            reason = self.hologram.veto(block.side, block.near, strength) or self._objection(block, now_ns)
            if reason is None:
                found.append(block)
            else:
                self.tally[reason] += 1
        return sorted(found, key=lambda block: (not block.swept, block.side * (price - block.near), -block.at_ns))

    def _objection(self, block: OrderBlock, now_ns: int) -> Skip | None:
        config = self.config
        if (block.high - block.low) * BPS > block.near * config.max_block_bps:
            return Skip.TOO_WIDE
        if block.side * (block.near - block.far) * BPS >= block.near * config.stop_bps:
            return Skip.BEYOND_STOP
        if config.only_swept and not block.swept:
            return Skip.NOT_SWEPT
        session = self.sessions.session_at(now_ns)
        if config.only_sessions and session is None:
            return Skip.OUT_OF_SESSION
        if config.judas is Rule.OFF:
            return None
        judas = self.sessions.judas.get(session) if session is not None else None
        if judas is None:
            return Skip.JUDAS if config.judas is Rule.REQUIRE else None
        return None if judas.side == block.side else Skip.JUDAS

    def is_alive(self, block: OrderBlock) -> bool:
        """Whether an idea still holds: no candle has closed beyond the block, and the hologram admits its side at its price."""
        return block in self.map.blocks and self.hologram.veto(block.side, block.near, self.strength_bps()) is None

    def is_reversed(self, side: int) -> bool:
        """Whether the trends are aligned against a position."""
        return -side * self.hologram.score() >= self.config.min_alignment

    # -- the entry --------------------------------------------------------------------------------------------------
    def limit_at(self, block: OrderBlock, improve_bps: float = 0.0) -> int | None:
        """Return where an entry rests: at the near end of its block, `improve_bps` beyond it, but never across the spread. None without a sane quote."""
        quote = self.perp.quote()
        if quote is None or (quote[1] - quote[0]) * BPS > quote[0] * self.config.max_spread_bps:
            return None
        wanted = block.near + block.side * int(block.near * improve_bps / BPS)
        return min(wanted, quote[0]) if block.side > 0 else max(wanted, quote[1])

    def plan_at(self, block: OrderBlock, limit: int, *, equity: int, max_notional: int, risk: int) -> Plan | Skip:
        """Plan an entry at `limit`; money is 1e-8 USDT, `risk` what the phase may still lose today."""
        config, spec, side = self.config, self.spec, block.side
        stop = limit - side * int(limit * config.stop_bps / BPS)
        target = limit + side * int(limit * config.target_bps / BPS)
        if side * (block.far - stop) <= 0:
            return Skip.BEYOND_STOP
        lots = min(spec.lots_at_risk(limit, stop, min(equity * config.risk_per_trade_bps // BPS, risk)), spec.lots_for(max_notional, limit))
        if lots <= 0 or spec.notional(lots, limit) < spec.min_notional_money:
            return Skip.TOO_SMALL
        return Plan(side, lots, limit, stop, target)
