"""What look-ups answer, in examples small enough to work out by hand and with windows whose edges fall exactly on events."""

import pytest

from tests.engine.tiny import FORMS, T0, Events, Script, run
from titan_core.errors import StrategyError
from titan_core.model.units import MIN, S


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def look(form, events, *asked, at=1000, **kwargs):
    """Ask everything at one time, before any event of that time."""
    script = Script({at: lambda m: [ask(m) for ask in asked]})
    run(form, events.until(10**12), script, **kwargs)
    return script.results[at]


def trades():
    return Events().quote(0, 1000, 1001).trade(100, 1000, 7).trade(300, 1010, -5).trade(301, 990, 3).trade(999, 1005, -2)


# -- windows ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("window", "signed", "lots", "notional"),
    [
        # now is 1000; the window is open at its start: a print exactly `window` old is out
        (1, 0, 0, 0),
        (2, -2, 2, 2 * 1005),
        (699, -2, 2, 2 * 1005),
        (700, 1, 5, 2 * 1005 + 3 * 990),
        (701, -4, 10, 2 * 1005 + 3 * 990 + 5 * 1010),
        (900, -4, 10, 2 * 1005 + 3 * 990 + 5 * 1010),
        (901, 3, 17, 2 * 1005 + 3 * 990 + 5 * 1010 + 7 * 1000),
        (10**9, 3, 17, 2 * 1005 + 3 * 990 + 5 * 1010 + 7 * 1000),
    ],
)
def test_flow_volume_and_vwap_over_a_window(form, window, signed, lots, notional):
    answers = look(form, trades(), lambda m: m.perp.cvd(window), lambda m: m.perp.volume(window), lambda m: m.perp.vwap(window))
    assert answers == [signed, lots, notional / lots if lots else None]


@pytest.mark.parametrize(
    ("since", "high", "low", "footprint"),
    [
        # closed at its start: a print exactly at `since` is in; the footprint counts 990..1005
        (1000, None, None, (0, 0)),
        (999, 1005, 1005, (0, 2)),
        (302, 1005, 1005, (0, 2)),
        (301, 1005, 990, (3, 2)),
        (300, 1010, 990, (3, 2)),
        (101, 1010, 990, (3, 2)),
        (100, 1010, 990, (10, 2)),
        (-(10**9), 1010, 990, (10, 2)),
    ],
)
def test_ranges_and_footprint_since_a_time(form, since, high, low, footprint):
    asked = (lambda m: m.perp.range_high(T0 + since), lambda m: m.perp.range_low(T0 + since), lambda m: m.perp.footprint(T0 + since, 990, 1005))
    assert look(form, trades(), *asked) == [high, low, footprint]


def test_a_footprint_includes_both_of_its_prices(form):
    asked = [lambda m, a=a, b=b: m.perp.footprint(T0, a, b) for a, b in ((990, 990), (991, 1004), (1000, 1010), (1011, 2000), (1005, 1000))]
    assert look(form, trades(), *asked) == [(3, 0), (7, 0), (7, 7), (0, 0), (0, 0)]


def test_an_event_is_seen_by_its_own_callbacks_and_not_before(form):
    script, seen = Script({300: lambda m: m.perp.last()}), []
    script.on_start = lambda m: (
        m.at(T0 + 300, script._step, 300),
        m.arm(m.perp.below(990), lambda m, c: seen.append((m.perp.last(), m.perp.cvd(2), m.perp.cvd(1)))),
    )
    run(form, trades(), script)
    assert script.results[300] == 1000  # a timer of 300 comes before the print of 300
    assert seen == [(990, -2, 3)]  # at 301: −5 + 3 over (299, 301], 3 over (300, 301]


def test_the_newest_of_everything(form):
    from titan_core.model.enums import StreamKind

    events = trades().quote(400, 998, 999, 3, 4).add(StreamKind.MARK, 500, 1003, 1002).add(StreamKind.FUNDING, 600, -9).add(StreamKind.OPEN_INTEREST, 700, 55)
    events.quote(1001, 1, 2).add(StreamKind.MARK, 1002, 1, 1).add(StreamKind.FUNDING, 1003, 1).add(StreamKind.OPEN_INTEREST, 1004, 1)
    asked = (lambda m: m.perp.quote(), lambda m: m.perp.last(), lambda m: m.perp.mark(), lambda m: m.perp.funding_rate(), lambda m: m.perp.open_interest())
    assert look(form, events, *asked) == [(998, 999, 3, 4), 1005, 1003, -9, 55]
    assert look(form, events, *asked, at=50) == [(1000, 1001, 10, 10), None, None, None, None]


# -- bars -------------------------------------------------------------------------------------------------------------
M = MIN
"""T0 is 20 s past a full minute."""
EDGE = 40 * S


def bars_market():
    assert T0 % MIN == 20 * S
    events = Events().quote(0, 1000, 1001)
    events.trade(5 * S, 1000, 4).trade(EDGE - 1, 1020, -1)  # minute 0: 1000 1020 1000 1020, volume 5, delta 3
    events.trade(EDGE, 1015, 2).trade(EDGE + 30 * S, 1005, -9).trade(EDGE + 31 * S, 1008, 1)  # minute 1: 1015 1015 1005 1008, 12, −6
    # minutes 2 and 3 without a print; minute 4:
    return events.trade(EDGE + 3 * M, 1030, 6).trade(EDGE + 3 * M + 5, 1001, 1)


def rows(bars):
    return [(bars.open(i), bars.high(i), bars.low(i), bars.close(i), bars.volume(i), bars.delta(i)) for i in range(bars.count, 0, -1)]


ALL = [
    (1000, 1020, 1000, 1020, 5, 3),
    (1015, 1015, 1005, 1008, 12, -6),
    (1008, 1008, 1008, 1008, 0, 0),
    (1008, 1008, 1008, 1008, 0, 0),
    (1030, 1030, 1001, 1001, 7, 7),
]


@pytest.mark.parametrize(
    ("at", "closed"), [(5 * S - 1, 0), (5 * S, 0), (EDGE - 1, 0), (EDGE, 1), (EDGE + M - 1, 1), (EDGE + M, 2), (EDGE + 3 * M, 4), (EDGE + 4 * M, 5)]
)
def test_a_bar_is_seen_once_its_time_is_over(form, at, closed):
    """A minute closes with the clock, not with the next print; one without prints repeats the close before it."""
    (answer,) = look(form, bars_market(), lambda m: rows(m.perp.bars(MIN)), at=at)
    # the minutes 2 and 3 begin at EDGE + M and end at EDGE + 3 M
    assert answer == ALL[:closed]


def test_longer_bars_are_joined_on_the_clock_of_utc(form):
    """Minute T0 belongs to an even or odd pair of minutes as 1970 counts them."""
    pairs = [ALL[:1], ALL[1:3], ALL[3:5]] if T0 // MIN % 2 else [ALL[0:2], ALL[2:4]]
    traded = [[bar for bar in pair if bar[4]] for pair in pairs]  # the repeated close of a minute without prints is no price of the longer bar
    expected = [(p[0][0], max(x[1] for x in p), min(x[2] for x in p), p[-1][3], sum(x[4] for x in p), sum(x[5] for x in p)) for p in traded]
    (answer,) = look(form, bars_market(), lambda m: rows(m.perp.bars(2 * MIN)), at=EDGE + 4 * M)
    assert answer == expected


def test_bars_shorter_than_a_minute_come_from_the_trades(form):
    (answer,) = look(form, bars_market(), lambda m: rows(m.perp.bars(30 * S))[:4], at=EDGE + 4 * M)
    # T0 + 10 s is a full half minute
    assert answer == [(1000, 1000, 1000, 1000, 4, 4), (1020, 1020, 1020, 1020, 1, -1), (1015, 1015, 1015, 1015, 2, 2), (1005, 1008, 1005, 1008, 10, -8)]


def test_bollinger_atr_and_swings_by_hand(form):
    """Closes 1020, 1008, 1008, 1008, 1001; highs 1020, 1015, 1008, 1008, 1030; lows 1000, 1005, 1008, 1008, 1001."""
    asked = (
        lambda m: m.perp.bars(MIN).bollinger(3, 2.0), lambda m: m.perp.bars(MIN).bollinger(6, 2.0), lambda m: m.perp.bars(MIN).atr(2),
        lambda m: m.perp.bars(MIN).swing_highs(1, 5), lambda m: m.perp.bars(MIN).swing_lows(1, 5), lambda m: m.perp.bars(MIN).swing_highs(0, 2),
    )  # fmt: skip
    band, missing, atr, highs, lows, each = look(form, bars_market(), *asked, at=EDGE + 4 * M)
    mean = (1008 + 1008 + 1001) / 3
    deviation = (((1008 - mean) ** 2 * 2 + (1001 - mean) ** 2) / 3) ** 0.5
    assert band == pytest.approx((mean - 2 * deviation, mean, mean + 2 * deviation))
    assert missing is None
    # true ranges 20, max(10, |1015 − 1020|, |1005 − 1020|) = 15, 0, 0, max(29, 22, 7) = 29; Wilder with length 2
    assert atr == (((20 + 15) / 2 + 0) / 2 / 2 + 29) / 2
    assert highs == lows == []  # 1020 and 1030 have no bar on one side, and no low lies strictly below both neighbours
    assert each == [1030, 1008]


def test_a_swing_needs_closed_bars_on_both_sides(form):
    events = Events().quote(0, 1000, 1001)
    for i, price in enumerate((1000, 1005, 1009, 1004, 1003, 1008, 1007, 1001)):
        events.trade(EDGE + i * M, price)

    def asked(m):
        bars = m.perp.bars(MIN)
        return bars.count, bars.swing_highs(2, 99), bars.swing_highs(1, 99), bars.swing_lows(1, 99), bars.swing_highs(1, 3)

    assert look(form, events, asked, at=EDGE + 4 * M) == [(4, [], [1009], [], [1009])]
    assert look(form, events, asked, at=EDGE + 5 * M) == [(5, [1009], [1009], [], [1009])]
    assert look(form, events, asked, at=EDGE + 7 * M) == [(7, [1009], [1008, 1009], [1003], [1008])]


def test_a_bar_that_has_not_closed_is_an_error(form):
    (bars,) = look(form, bars_market(), lambda m: m.perp.bars(MIN), at=EDGE)
    assert bars.count == 1 and bars.close(1) == 1020
    for ago in (0, 2, -1):
        with pytest.raises(IndexError, match="1 bars have closed"):
            bars.close(ago)


def test_bars_that_were_looked_up_do_not_move_with_time(form):
    kept = []
    script = Script({EDGE: lambda m: kept.append(m.perp.bars(MIN)), EDGE + 4 * M: lambda m: kept.append(m.perp.bars(MIN))})
    run(form, bars_market().until(10**12), script)
    assert (kept[0].count, rows(kept[0]), kept[0].atr(2)) == (1, ALL[:1], 20.0)
    assert kept[1].count == 5


# -- what the per-event form keeps ------------------------------------------------------------------------------------
def busy(prints, step=S):
    events = Events().quote(0, 1000, 1001)
    for i in range(prints):
        events.trade((i + 1) * step, 1000 + i * 7 % 31, (-1) ** i * (i % 5 + 1))
    return events


def test_old_trades_are_forgotten_and_recent_ones_are_not():
    script = Script({1_900 * S + 1: lambda m: (m.perp.cvd(600 * S), m.perp.range_high(m.now_ns - 600 * S), rows(m.perp.bars(MIN)), rows(m.perp.bars(5 * MIN)))})
    kept = run("per-event", busy(2_000), script, history_ns=600 * S)
    other = Script(script._steps)
    run("reference", busy(2_000), other)
    assert script.results == other.results
    (trades,) = kept._trades.values()
    assert 600 <= trades.rows <= 600 + 2 * 64 + 60  # whole segments of 64, and what the open minute needs


@pytest.mark.parametrize("ask", [lambda m: m.perp.cvd(601 * S), lambda m: m.perp.range_low(m.now_ns - 601 * S), lambda m: m.perp.flow_above(601 * S, 1)])
def test_a_look_back_beyond_what_is_kept_is_an_error_and_never_a_wrong_answer(ask):
    caught = []

    def step(m):
        with pytest.raises(StrategyError, match="a look-back of 601 s exceeds the 600 s of trades that are kept") as error:
            m.arm(ask(m), print)
        caught.append(error)

    run("per-event", busy(10), Script({5 * S: step}), history_ns=600 * S)
    assert caught
