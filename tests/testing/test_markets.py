"""The small markets are what they say: deterministic, free of ties, and fit for every engine."""

import numpy as np
import pytest

from titan_core.engine.layout import Layout
from titan_core.errors import StrategyError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.units import MIN, MS, H, S
from titan_core.tape.columns import SPECS
from titan_core.testing import CONTRACT_MARKETS, MarketShape, lively, make_phase, run_phases, stepped_market
from titan_core.testing.chaos import PERP, SPOT, START
from titan_core.testing.markets import MORNING, crash, gap, thin


def column(tape, instrument, kind, name):
    return tape.stream(instrument.id, kind).columns[name]


def test_the_price_takes_the_given_path_on_both_legs():
    tape = stepped_market([60_000, 60_030.5, 59_900], step_s=5)
    assert column(tape, PERP, StreamKind.QUOTE, "bid").tolist() == [600_000, 600_305, 599_000]
    assert column(tape, SPOT, StreamKind.QUOTE, "bid").tolist() == [6_000_000, 6_003_050, 5_990_000]
    assert column(tape, PERP, StreamKind.TRADE, "price").tolist() == [600_001, 600_306, 599_000]  # buyers at the ask, sellers at the bid
    assert column(tape, PERP, StreamKind.TRADE, "signed_lots").tolist() == [10, 10, -10]
    assert column(tape, SPOT, StreamKind.TRADE, "signed_lots").tolist() == [1_000, 1_000, -1_000]  # the same quantity of the coin
    assert column(tape, SPOT, StreamKind.QUOTE, "ts").tolist() == [MORNING, MORNING + 5 * S, MORNING + 10 * S]
    assert column(tape, SPOT, StreamKind.TRADE, "ts").tolist() == [MORNING + MS, MORNING + 5 * S + MS, MORNING + 10 * S + MS]
    assert tape.pairs[0].perp == PERP.id


def test_flow_and_shape_are_the_tests_choice():
    tape = stepped_market([60_000] * 3, flow=[5, -7, 0], basis_bps=10, spread_ticks=3, spot=None, trade_every=2)
    assert column(tape, PERP, StreamKind.TRADE, "signed_lots").tolist() == [5, 0]
    assert column(tape, PERP, StreamKind.QUOTE, "bid").tolist() == [600_600] * 3
    assert column(tape, PERP, StreamKind.QUOTE, "ask").tolist() == [600_603] * 3
    assert tape.instruments == (PERP,) and tape.pairs == ()
    shape = MarketShape(step_s=2, derivatives=True)
    assert len(stepped_market([60_000] * 100, shape=shape).stream(PERP.id, StreamKind.OPEN_INTEREST).ts) == 4


@pytest.mark.parametrize("prices", [[], [[1.0]], [0.01, 60_000]])
def test_an_impossible_path_is_refused(prices):
    with pytest.raises(UsageError):
        stepped_market(prices)


@pytest.mark.parametrize("name", CONTRACT_MARKETS)
def test_a_market_is_the_same_each_time_and_no_two_events_are_simultaneous(name):
    one, other = CONTRACT_MARKETS[name](), CONTRACT_MARKETS[name]()
    for mine, theirs in zip(one.streams, other.streams, strict=True):
        for column_name in SPECS[mine.kind].raw:
            assert np.array_equal(mine.columns[column_name], theirs.columns[column_name])
    times = np.concatenate([stream.ts for stream in one.streams if stream.kind is not StreamKind.BASIS])
    assert len(np.unique(times)) == len(times) == one.ticks


def test_a_crash_happens_between_two_steps():
    bids = column(crash(2, fall_bps=1_500), PERP, StreamKind.QUOTE, "bid").astype(float)
    falls = np.diff(bids) / bids[:-1]
    assert falls.min() == pytest.approx(-0.15, abs=0.001) and np.sort(falls)[1] > -0.001


def test_a_gap_is_an_event_behind_a_hole():
    tape = gap(2, silent_min=20, jump_bps=500)
    ts = column(tape, PERP, StreamKind.QUOTE, "ts")
    hole = tape.stream(PERP.id, StreamKind.GAP).columns
    assert np.diff(ts).max() == hole["length_ns"][0] == 20 * MIN + 5 * S
    after = int(np.argmax(np.diff(ts))) + 1
    assert ts[after - 1] < hole["ts"][0] < ts[after]
    bids = column(tape, PERP, StreamKind.QUOTE, "bid")
    assert bids[after] / bids[after - 1] == pytest.approx(1.05, abs=0.01)


def test_a_lively_day_has_all_that_a_perpetual_has():
    tape = lively()
    kinds = {stream.kind for stream in tape.streams if stream.instrument == PERP.id}
    assert kinds == {
        StreamKind.QUOTE, StreamKind.TRADE, StreamKind.MARK, StreamKind.FUNDING, StreamKind.OPEN_INTEREST, StreamKind.LIQUIDATION, StreamKind.BASIS
    }  # fmt: skip
    funded = column(tape, PERP, StreamKind.FUNDING, "ts")
    assert ((funded - START) // (8 * H)).tolist() == [2, 3, 4]
    assert len(tape.stream(PERP.id, StreamKind.LIQUIDATION).ts) > 0


def test_bars_carry_no_flow():
    tape = CONTRACT_MARKETS["bars_only"]()
    assert set(tape.bars_only.values()) == {300 * S}
    with pytest.raises(StrategyError, match="no order flow"):
        Layout.of(tape).require_flow(0)


def test_a_thin_market_fills_in_parts():
    prices = [fill.price for fill in run_phases(thin(1), [make_phase("small", 200, 5_000)]).engine.record.fills]
    assert len(prices) > 3 and prices == sorted(prices) and prices[-1] > prices[0]
