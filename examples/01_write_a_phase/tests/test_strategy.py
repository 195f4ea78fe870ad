"""What the momentum phase follows, and how it leaves."""

import pytest
from titan_example_momentum.config import MomentumConfig
from titan_example_momentum.plugin import titan_adopt
from titan_example_momentum.strategy import Momentum

from titan_core import Handover, InstrumentId, PhaseId, to_money
from titan_core.testing import PERP, Hold, make_phase, only_perp, run_phases, stepped_market, try_phase

PLUGIN = "titan_example_momentum.plugin"
CONFIG = {"bar_s": 300, "lookback_bars": 4, "entry_bps": 30, "atr_bars": 4}
FLAT = [60_000 + (step % 5) for step in range(720)]
UP = [60_000 + step for step in range(720)]
DOWN = [60_000 - step for step in range(720)]


@pytest.mark.parametrize(("move", "side"), [(UP, 1), (DOWN, -1)])
def test_a_move_is_followed_in_its_direction(move: list[int], side: int) -> None:
    trial = try_phase(PLUGIN, stepped_market(FLAT + move, step_s=5), config=CONFIG)
    assert trial.fills and trial.fills[0].signed_lots * side > 0
    assert trial.quarantine == "" and trial.refusals == []


def test_a_flat_market_is_left_alone() -> None:
    assert try_phase(PLUGIN, stepped_market(FLAT * 2, step_s=5), config=CONFIG).fills == []


@pytest.mark.parametrize(("side", "move"), [("short", UP), ("long", DOWN)])
def test_the_other_side_can_be_ruled_out(side: str, move: list[int]) -> None:
    assert try_phase(PLUGIN, stepped_market(FLAT + move, step_s=5), config={**CONFIG, "side": side}).fills == []


def test_a_move_that_spot_takers_did_not_make_is_not_followed() -> None:
    flow = [10 if step % 2 else -10 for step in range(len(FLAT))] + [-10] * len(UP)
    assert try_phase(PLUGIN, stepped_market(FLAT + UP, flow=flow, step_s=5), config=CONFIG).fills == []


def test_without_a_spot_leg_nobody_is_asked() -> None:
    assert try_phase(PLUGIN, only_perp(), config={**CONFIG, "lookback_bars": 2, "entry_bps": 10}).fills


def test_the_stop_follows_the_price_and_never_goes_back() -> None:
    trial = try_phase(PLUGIN, stepped_market(FLAT + UP + [60_720 - 2 * step for step in range(360)], step_s=5), config={**CONFIG, "exit_bps": -500})
    first, last = trial.fills[0], trial.fills[-1]
    assert last.tag == "stop" and last.price > first.price, "what was won is kept"


def test_a_move_that_has_turned_is_left() -> None:
    trial = try_phase(PLUGIN, stepped_market(FLAT + UP + DOWN, step_s=5), config={**CONFIG, "stop_atr": 20, "side": "long"})
    assert trial.fills[-1].tag == "turned" and trial.positions == {}


def test_a_stop_that_would_lie_too_far_away_prevents_the_entry() -> None:
    assert try_phase(PLUGIN, stepped_market(FLAT + UP, step_s=5), config={**CONFIG, "stop_atr": 20, "max_stop_bps": 10}).fills == []


def test_the_loss_at_the_stop_is_what_was_to_be_risked() -> None:
    trial = try_phase(PLUGIN, stepped_market(FLAT + UP, step_s=5), config={**CONFIG, "risk_bps": 40, "stop_atr": 1}, equity_usdt=1_000)
    order, price = trial.orders[0], trial.fills[0].price - 1  # a tick of slippage
    assert order.stop is not None
    per_lot = (price - order.stop) * PERP.money_per_tick_lot + PERP.fee(1, price, maker=False) + PERP.fee(1, order.stop, maker=False)
    assert order.signed_lots * per_lot <= to_money(4) < (order.signed_lots + 1) * per_lot


def test_it_pauses_between_two_trades() -> None:
    swings = [60_000 + (step % 720 if step // 720 % 2 == 0 else 720 - step % 720) for step in range(720 * 12)]
    entered = {}
    for pause_s in (0, 3 * 3_600):
        trial = try_phase(PLUGIN, stepped_market(swings, step_s=5), config={**CONFIG, "pause_s": pause_s})
        entered[pause_s] = len([order for order in trial.orders if order.tag == "momentum"])
    assert entered[0] > entered[3 * 3_600] > 0


def test_one_position_with_a_stop_is_taken_over() -> None:
    btc, eth, giver = InstrumentId("BTCUSDT.bybit-linear"), InstrumentId("ETHUSDT.bybit-linear"), PhaseId("other")
    assert titan_adopt(Handover(giver, {btc: (-5, 600_000)}))
    assert not titan_adopt(Handover(giver, {btc: (-5, None)}))
    assert not titan_adopt(Handover(giver, {btc: (5, 600_000), eth: (5, 30_000)}))


@pytest.mark.parametrize("side", [1, -1])
def test_what_was_taken_over_is_looked_after(side: int) -> None:
    """A smaller phase outgrows its band while it holds a position; the move then turns."""

    class Giver(Hold):
        share = 8.0
        stop_bps = 400

    Giver.side = side
    there = [60_000 + side * step * 2 for step in range(720)]
    phases = [
        make_phase("giver", 200, 560, strategy=Giver),
        make_phase("momentum", 500, 20_000, strategy=lambda: Momentum(MomentumConfig(bar_s=300, entry_bps=2_000)), adopt=titan_adopt),
    ]
    run = run_phases(stepped_market(there + there[::-1], step_s=5), phases, usdt=505)
    assert [entry[4] for entry in run.entries("handed_over")] == ["giver"]
    assert run.states("giver")[-1] == "dormant"
    last = run.engine.record.fills[-1]
    assert (last.phase, last.signed_lots * side < 0, last.tag in ("stop", "turned")) == ("momentum", True, True)
    assert not run.engine.account.held()
