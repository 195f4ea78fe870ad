"""Markets, phases and strategies for tests of the Brain at work, and the run of both forms side by side."""

from decimal import Decimal

import numpy as np
import pytest
from attrs import evolve

from titan_core.brain.limits import BrainLimits
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.phases import PhaseBinding
from titan_core.engine.reference import Reference
from titan_core.model.enums import InstrumentKind, StreamKind
from titan_core.model.ids import PhaseId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Refused
from titan_core.model.phase import CapitalBand, LossLevels, PhaseDeclaration
from titan_core.model.units import MONEY_PER_USDT, D, S
from titan_core.ports import Strategy
from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.tape import build_tape

replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

PERP = Instrument(
    venue=VenueId("bybit-linear"),
    symbol="BTCUSDT",
    kind=InstrumentKind.PERP,
    base="BTC",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    maker_fee_ppm=0,
    taker_fee_ppm=0,
    min_notional=Decimal("0.1"),
)
ETH = evolve(PERP, symbol="ETHUSDT", base="ETH")
SPOT = evolve(PERP, venue=VenueId("bybit-spot"), kind=InstrumentKind.SPOT)
NOON = 19_700 * D + D // 2
WIDE = LossLevels(4_000, 5_000, 6_000)
LOSSES = LossLevels()
U = MONEY_PER_USDT
UNIT = PERP.money_per_tick_lot
LATENCY = 5_000_000


def price_tape(prices, step_s=60, start=NOON):
    """One quote and one trade each step; the trade follows its quote by one millisecond."""
    price = np.asarray(prices, dtype=np.int32)
    ts = np.arange(len(price), dtype=np.int64) * step_s * S + start
    many = np.full(len(price), 10_000_000, np.int32)
    quotes = {"ts": ts, "bid": price, "ask": price + 1, "bid_lots": many, "ask_lots": many}
    trades = {"ts": ts + 1_000_000, "price": price, "signed_lots": np.full(len(price), 1, np.int32)}
    return build_tape((PERP,), {(PERP.id, StreamKind.QUOTE): quotes, (PERP.id, StreamKind.TRADE): trades})


def market_tape(prices, step_s=60, start=NOON, depth_lots=0):
    """One quote and one trade each step for each instrument; with `depth_lots`, a thin book of so many lots a level as well."""
    raw = {}
    for j, (instrument, of_one) in enumerate(prices.items()):
        price = np.asarray(of_one, dtype=np.int32)
        ts = np.arange(len(price), dtype=np.int64) * int(step_s * S) + start + j
        many = np.full(len(price), depth_lots or 10_000_000, np.int32)
        raw[instrument.id, StreamKind.QUOTE] = {"ts": ts, "bid": price, "ask": price + 1, "bid_lots": many, "ask_lots": many}
        raw[instrument.id, StreamKind.TRADE] = {"ts": ts + 1_000_000, "price": price, "signed_lots": np.full(len(price), 1, np.int32)}
        if depth_lots:
            levels = np.arange(DEPTH_LEVELS)
            lots = np.full((len(price), DEPTH_LEVELS), depth_lots, np.int32)
            bids, asks = ((price[:, None] + side).astype(np.int32) for side in (-levels, 1 + levels))
            raw[instrument.id, StreamKind.DEPTH] = {"ts": ts + 10, "bids": bids, "asks": asks, "bid_lots": lots, "ask_lots": lots}
    return build_tape(tuple(prices), raw)


class Hold(Strategy):
    """Buys `notional_share` of phase equity at once, with a distant stop, and again whenever it is flat."""

    share = 0.5
    stop_bps = 800

    def on_start(self, market):
        market.after(90 * S, self._enter)

    def _enter(self, market, timer):
        price = market.perp.last()
        if price is None:
            return
        lots = int(market.budget().equity * self.share) // (price * PERP.money_per_tick_lot)
        result = market.enter(market.perp, lots, stop=price - price * self.stop_bps // 10_000)
        if isinstance(result, Refused):
            market.note(result.message)


def phase(name, lower, upper, *, strategy=Hold, adopt=lambda offer: True, losses=WIDE, leverage=(1, 10), max_position_bps=10_000, drain_s=900):
    declaration = PhaseDeclaration(
        id=PhaseId(name),
        title=name,
        summary="",
        band=CapitalBand.usdt(lower, upper),
        leverage=leverage,
        max_position_bps=max_position_bps,
        daily_loss=losses,
        drain_s=drain_s,
    )
    return PhaseBinding(declaration=declaration, create=lambda: [strategy()], adopt=adopt)


def three(**kwargs):
    return [phase("small", 200, 5_000, **kwargs), phase("middle", 2_500, 50_000, **kwargs), phase("large", 50_000, None, **kwargs)]


def plan(*acts, **methods):
    """Make a strategy class of (seconds after noon, function of the market); what is past when it starts is left out."""

    def on_start(self, market):
        for seconds, act in acts:
            if NOON + int(seconds * S) > market.now_ns:
                market.at(NOON + int(seconds * S), lambda market, timer, act=act: act(market))

    return type("Planned", (Strategy,), {"on_start": on_start} | methods)


def enter(lots, stop_bps, instrument=0):
    """An act: enter at market with a stop so far away."""

    def act(market):
        on = market.perp if instrument == 0 else market.instruments[instrument]
        price = on.last()
        result = market.enter(on, lots, stop=price - (price * stop_bps // 10_000) * (1 if lots > 0 else -1))
        market.note(result.message if isinstance(result, Refused) else "entered")

    return act


def pair(*legs):
    """An act: enter the first pair."""

    def act(market):
        result = market.enter_pair(market.pairs[0], *legs)
        market.note(result.code.value if isinstance(result, Refused) else "entered")

    return act


def hedged(binding):
    """Let a phase hold pairs without a stop."""
    return evolve(binding, declaration=evolve(binding.declaration, hedged=True))


class Checked(BrainGovernor):
    """Checks what must hold at every look at the account."""

    def settle(self):
        super().settle()
        self.check()

    def check(self):
        engine = self.engine
        for k, lots in enumerate(engine.account.lots):
            filled = sum(f.signed_lots for f in engine.record.fills if f.instrument == engine.layout.instruments[k].id)
            assert lots == filled, "positions are the sum of the fills"
            if lots and not self.machine.configuration.is_in("emergency"):
                protection = engine.venue.protection.get(k)
                assert protection is not None and protection.stop is not None, "every position has a stop"
                assert protection.condition is not None and protection.condition.alive
        total2 = 2 * engine.account.cash - sum(engine.account.flow2)
        assert total2 == 2 * self.cash, "the phases' results add up to the account's"


def play(tape, make_bindings, usdt, *, governor=Checked, limits=None, latency_ns=LATENCY, start=None):
    """Run both forms and compare their records; returns the compiled one and its governor."""
    runs = []
    for form in ("replay", "reference"):
        brain = governor(make_bindings(), limits or BrainLimits())
        brain.cash = int(Decimal(str(usdt)) * U)
        settings = {"cash": brain.cash, "slots": brain.slots, "latency_ns": latency_ns}
        engine = replay.Replay(replay.Prepared(tape), brain, **settings) if form == "replay" else Reference(tape, brain, **settings)
        engine.run(start)
        runs.append((engine, brain))
    (fast, brain), (slow, other) = runs
    assert fast.record.entries == slow.record.entries
    assert fast.account.owner == slow.account.owner and brain.peak2 == other.peak2 and brain.worst_drawdown_ppm == other.worst_drawdown_ppm
    return fast, brain


def steps(engine):
    return [(e[2], e[4].rpartition(".")[2]) for e in engine.record.entries if e[0] == "chart"]


def state(governor, name):
    return governor.machine.configuration.phases[name]


def at(engine, step):
    """When a phase took a step for the first time, ns; None where it never did."""
    return next((e[1] for e in engine.record.entries if e[0] == "chart" and e[2] == step), None)


def notes(engine, phase_name):
    """What the strategies of a phase noted."""
    return [e[-1] for e in engine.record.entries if e[0] == "note" and e[2].startswith(f"{phase_name}.")]


def fills(engine):
    return [(fill.signed_lots, fill.tag) for fill in engine.record.fills]
