"""When conditions and timers fire, in examples small enough to work out by hand. Every example runs in every form of the engine."""

import pytest

from tests.engine.tiny import CASH, FORMS, OTHER, PERP, SPOT, T0, UNIT, Events, Script, run
from titan_core.engine.conditions import BOUND, Bound, Condition
from titan_core.engine.open_governor import OpenGovernor
from titan_core.errors import StrategyError
from titan_core.model.enums import StreamKind
from titan_core.model.units import NEVER, S, share


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def hits(form, events, *makers, at=100, **kwargs):
    """Arm what `makers` make of the market at one time; return (ns after T0, number of the maker) in the order of firing."""
    script = Script({at: lambda m: [m.arm(make(m), script.hit, i) for i, make in enumerate(makers)]})
    run(form, events, script, **kwargs)
    return script.hits


# -- levels -----------------------------------------------------------------------------------------------------------
def test_a_level_fires_once_at_the_first_later_event_that_reaches_it(form):
    events = Events().quote(0, 1000, 1001).trade(99, 1010).trade(101, 1004).trade(102, 1005).trade(103, 1010).trade(104, 994).trade(105, 995)
    assert hits(form, events, lambda m: m.perp.above(1005), lambda m: m.perp.below(995)) == [(102, 0), (104, 1)]


def test_the_event_at_which_a_condition_is_armed_does_not_fire_it(form):
    script = Script({})

    def again(m, c):
        script.hit(m, c)
        if len(script.hits) < 3:
            m.arm(m.perp.above(1000), again)

    script.on_start = lambda m: m.arm(m.perp.above(1000), again)
    run(form, Events().quote(0, 1000, 1001).trade(100, 1000).trade(200, 1000).trade(300, 999).trade(400, 1000), script)
    assert [ns for ns, _ in script.hits] == [100, 200, 400]


def test_quotes_have_levels_of_their_own(form):
    events = Events().quote(0, 1000, 1001).trade(90, 1000).quote(110, 999, 1002).quote(120, 998, 1000).quote(130, 1001, 1003).trade(140, 2000)
    makers = (lambda m: m.perp.bid_above(1001), lambda m: m.perp.bid_below(998), lambda m: m.perp.ask_above(1003), lambda m: m.perp.ask_below(1000))
    assert hits(form, events, *makers) == [(120, 1), (120, 3), (130, 0), (130, 2)]


def test_what_is_due_at_one_event_runs_in_the_order_of_arming(form):
    events = Events().quote(0, 1000, 1001).trade(110, 1020, 5)
    makers = (
        lambda m: m.perp.above(1020),
        lambda m: m.perp.above(1001),
        lambda m: m.perp.flow_above(S, 5),
        lambda m: m.perp.above(1010),
        lambda m: m.perp.below(1030),
        lambda m: m.perp.above(1005),
    )
    assert hits(form, events, *makers) == [(110, i) for i in range(6)]


def test_a_callback_may_disarm_what_is_due_at_the_same_event(form):
    script, armed = Script({}), []

    def first(m, c):
        script.hit(m, c)
        m.disarm(armed[1])

    script.on_start = lambda m: armed.extend(
        [m.arm(m.perp.above(1000), first, "a"), m.arm(m.perp.above(1000), script.hit, "b"), m.arm(m.perp.above(1000), script.hit, "c")]
    )
    run(form, Events().quote(0, 1000, 1001).trade(100, 1000).trade(200, 1000), script)
    assert script.hits == [(100, "a"), (100, "c")]
    assert not any(condition.alive for condition in armed)


def test_a_disarmed_condition_can_be_armed_again(form):
    script = Script({})

    def start(m):
        condition = m.arm(m.perp.above(1000), script.hit, "old")
        m.disarm(condition)
        m.arm(condition, script.hit, "new")

    script.on_start = start
    run(form, Events().quote(0, 1000, 1001).trade(100, 1000).trade(200, 1000), script)
    assert script.hits == [(100, "new")]


def test_a_disarmed_condition_can_be_given_another_level_and_armed_again(form):
    script = Script({})

    def start(m):
        m.arm(m.perp.above(1001), script.hit, "nearer")
        condition = m.arm(m.perp.above(1005), script.hit)
        m.disarm(condition)
        condition.level = 1010
        m.arm(condition, script.hit, "again")

    script.on_start = start
    run(form, Events().quote(0, 1000, 1001).trade(100, 1005).trade(110, 1009).trade(200, 1010), script)
    assert script.hits == [(100, "nearer"), (200, "again")]


def test_many_levels_of_one_price_all_fire(form):
    events = Events().quote(0, 1000, 1001).trade(110, 1004).trade(120, 1005)
    assert hits(form, events, *[lambda m: m.perp.above(1005)] * 9, *[lambda m: m.perp.above(1006)] * 9) == [(120, i) for i in range(9)]


def test_mark_open_interest_funding_liquidation_and_gap(form):
    events = Events().quote(0, 1000, 1001)
    events.add(StreamKind.MARK, 10, 1000, 999).add(StreamKind.MARK, 110, 1002, 999).add(StreamKind.MARK, 120, 990, 999)
    events.add(StreamKind.OPEN_INTEREST, 11, 500).add(StreamKind.OPEN_INTEREST, 130, 510).add(StreamKind.OPEN_INTEREST, 140, 490)
    events.add(StreamKind.FUNDING, 150, -7).add(StreamKind.LIQUIDATION, 160, 1000, -3).add(StreamKind.GAP, 170, 50, 2).trade(200, 1000)
    makers = (
        lambda m: m.perp.mark_above(1002),
        lambda m: m.perp.mark_below(990),
        lambda m: m.perp.open_interest_above(510),
        lambda m: m.perp.open_interest_below(490),
        lambda m: m.perp.next_funding(),
        lambda m: m.perp.next_liquidation(),
        lambda m: m.perp.next_gap(),
    )
    assert hits(form, events, *makers) == [(110, 0), (120, 1), (130, 2), (140, 3), (150, 4), (160, 5), (170, 6)]


# -- basis ------------------------------------------------------------------------------------------------------------
def test_the_basis_is_worked_out_at_each_quote_of_either_leg_and_rounded_down(form):
    """Spot ticks are a tenth of the perpetual's. (perp mid − spot mid) / spot mid in 1e-3 bps = 1e-7."""
    events = Events(SPOT, PERP).quote(50, 999, 1001, on=PERP)  # no basis yet: spot has no quote
    events.quote(60, 9_999, 10_001)  # 1000 × 10 against 10,000: 0
    events.quote(110, 1000, 1002, on=PERP)  # 10,010 against 10,000: 10 bps = 10,000
    events.quote(120, 10_019, 10_021)  # 10,010 against 10,020: −10 / 10,020 = −9,980.03…, down to −9,981
    events.trade(200, 10_000).trade(201, 1000, on=PERP)
    script = Script({})

    def note(m, c):
        script.hits.append((m.now_ns - T0, c.payload, m.pairs[0].basis()))
        if c.payload == "any":
            m.arm(m.pairs[0].basis_above(-(10**8)), note, "any")

    script.on_start = lambda m: (m.arm(m.pairs[0].basis_above(-(10**8)), note, "any"), m.arm(m.pairs[0].basis_below(-9_981), note, "low"))
    run(form, events, script)
    assert script.hits == [(60, "any", 0), (110, "any", 10_000), (120, "low", -9_981), (120, "any", -9_981)]


def test_the_basis_of_a_quote_comes_after_the_quote_itself(form):
    events = (
        Events(SPOT, PERP).quote(50, 999, 1001, on=PERP).quote(60, 9_999, 10_001).quote(110, 1001, 1003, on=PERP).trade(200, 9_000).trade(201, 900, on=PERP)
    )
    script = Script({})
    see = lambda m, c: script.hits.append((m.now_ns - T0, c.payload, m.pairs[0].basis()))  # noqa: E731
    script.on_start = lambda m: (m.arm(m.pairs[0].basis_above(1), see, "basis"), m.arm(m.perp.bid_above(1001), see, "quote"))
    run(form, events, script)
    # the basis was armed first, but belongs to a later event: when the quote is heard of, the basis is still the old one
    assert script.hits == [(110, "quote", 0), (110, "basis", 20_000)]


# -- trailing ---------------------------------------------------------------------------------------------------------
def test_a_trail_follows_the_price_from_the_first_print_after_arming(form):
    events = Events().quote(0, 1000, 1001)
    for ns, price in ((90, 2000), (110, 1000), (120, 1010), (130, 1005), (140, 1020), (150, 1011), (160, 1010), (170, 900)):
        events.trade(ns, price)
    # the 2000 of before does not count; 10 below the high of 1020 is reached at 1010
    assert hits(form, events, lambda m: m.perp.trail_from_high(10)) == [(160, 0)]
    events = Events().quote(0, 1000, 1001)
    for ns, price in ((90, 100), (110, 1000), (120, 990), (130, 995), (140, 980), (150, 989), (160, 990), (170, 2000)):
        events.trade(ns, price)
    assert hits(form, events, lambda m: m.perp.trail_from_low(10), lambda m: m.perp.trail_from_low(11)) == [(160, 0), (170, 1)]


# -- flow -------------------------------------------------------------------------------------------------------------
def test_flow_counts_the_signed_lots_of_its_window_on_each_print(form):
    events = Events().quote(0, 1000, 1001).trade(50, 1000, 30).trade(110, 1000, 20).trade(150, 1000, -4).trade(151, 1000, 3).trade(160, 1000, 40)
    # a window of 100 ns. At 110: 50. At 150: 20 − 4, the 30 of 50 being exactly 100 old. At 151: 19. At 160: 59
    assert hits(form, events, lambda m: m.perp.flow_above(100, 51), lambda m: m.perp.flow_below(100, 16), lambda m: m.perp.flow_above(100, 50)) == [
        (110, 2), (150, 1), (160, 0),
    ]  # fmt: skip


def test_flow_is_given_up_after_its_time(form):
    events = Events().quote(0, 1000, 1001).trade(90, 1000, 1).trade(149, 1000, 1).trade(150, 1000, 5).trade(151, 1000, 50)
    assert hits(form, events, lambda m: m.perp.flow_above(S, 7, 50)) == [(150, 0)]
    assert hits(form, events, lambda m: m.perp.flow_above(S, 7, 49)) == []
    assert hits(form, events, lambda m: m.perp.flow_above(S, 8, 50)) == []


# -- predicates -------------------------------------------------------------------------------------------------------
def test_a_predicate_of_the_users_own_is_asked_at_each_later_trade(form):
    events = Events().quote(0, 1000, 1001).trade(90, 1003, -7).trade(110, 1003, 7).trade(120, 1002, -7).trade(130, 1003, -6).trade(140, 1003, -7)
    assert hits(form, events, lambda m: m.perp.trade_where(lambda ts_ns, price, signed_lots: price % 2 == 1 and signed_lots < -6)) == [(140, 0)]


def test_a_predicate_of_quotes_sees_both_sides_their_sizes_and_the_time(form):
    events = Events().quote(0, 1000, 1001).quote(110, 1000, 1004).quote(120, 1000, 1005).quote(130, 999, 1005).trade(135, 1000).quote(140, 1000, 1005)
    late, least = T0 + 131, 5
    makers = (
        lambda m: m.perp.quote_where(lambda ts_ns, bid, ask, bid_lots, ask_lots: ask - bid >= least and ts_ns >= late),
        lambda m: m.perp.quote_where(lambda ts_ns, bid, ask, bid_lots, ask_lots: ask - bid > least and bid_lots + ask_lots > 0),
    )
    assert hits(form, events, *makers) == [(130, 1), (140, 0)]


def test_a_predicate_is_spent_once_it_has_fired_and_gone_once_it_is_disarmed(form):
    script, armed = Script({}), []

    def first(m, c):
        script.hit(m, c)
        m.disarm(armed[1])

    def any_trade(ts_ns, price, signed_lots):
        return True

    script.on_start = lambda m: armed.extend([m.arm(m.perp.trade_where(any_trade), first, "a"), m.arm(m.perp.trade_where(any_trade), script.hit, "b")])
    run(form, Events().quote(0, 1000, 1001).trade(100, 1000).trade(200, 1000), script)
    assert script.hits == [(100, "a")] and not any(condition.alive for condition in armed)


def test_a_compiled_predicate_will_do_too(form):
    numba = pytest.importorskip("numba")

    @numba.njit
    def big(ts_ns, price, signed_lots):
        return abs(signed_lots) >= 50

    events = Events().quote(0, 1000, 1001).trade(110, 1000, 49).trade(120, 1000, -50)
    assert hits(form, events, lambda m: m.perp.trade_where(big)) == [(120, 0)]


def test_predicates_made_by_one_line_with_other_values_are_told_apart(form):
    events = Events().quote(0, 1000, 1001).trade(110, 1001).trade(120, 1002).trade(130, 1003)

    def at_least(level):
        return lambda m: m.perp.trade_where(lambda ts_ns, price, signed_lots: price >= level)

    assert hits(form, events, at_least(1003), at_least(1002), at_least(1001)) == [(110, 2), (120, 1), (130, 0)]


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        (5, r"must be a function of \(ts_ns, price, signed_lots\), found int"),
        (lambda price: True, r"<lambda> must take \(ts_ns, price, signed_lots\): too many positional arguments"),
    ],
)
def test_a_predicate_that_cannot_be_called_is_refused_when_it_is_made(form, predicate, message):
    asked = []

    def ask(m):
        with pytest.raises(StrategyError, match=message):
            m.perp.trade_where(predicate)
        asked.append(True)

    run(form, Events().quote(0, 1000, 1001).trade(110, 1000), Script({100: ask}))
    assert asked


# -- timers -----------------------------------------------------------------------------------------------------------
def test_a_timer_runs_before_the_events_of_its_time(form):
    events = Events().quote(0, 1000, 1001).trade(100, 1111).trade(200, 1000)
    script = Script({100: lambda m: m.perp.last(), 101: lambda m: m.perp.last()})
    run(form, events, script)
    assert script.results == {100: None, 101: 1111}


def test_timers_of_one_time_run_in_the_order_in_which_they_were_set(form):
    order = []
    script = Script({})
    script.on_start = lambda m: [m.at(T0 + ns, lambda m, t: order.append((m.now_ns - T0, t.payload)), i) for i, ns in enumerate((20, 10, 20, 10, 5))]
    run(form, Events().quote(0, 1, 2).trade(50, 1), script)
    assert order == [(5, 4), (10, 1), (10, 3), (20, 0), (20, 2)]


def test_every_is_aligned_to_1970_and_a_past_time_means_the_next_nanosecond(form):
    ticks = []
    script = Script({130: lambda m: (m.at(T0, note, "past"), m.every(100, note, "every"), m.after(0, note, "now"))})

    def note(m, t):
        ticks.append((m.now_ns - T0, t.payload))
        if len(ticks) == 5:
            m.disarm(t)

    run(form, Events().quote(0, 1, 2).trade(600, 1), script)
    assert ticks == [(131, "past"), (131, "now"), (200, "every"), (300, "every"), (400, "every")]


# -- bounds -----------------------------------------------------------------------------------------------------------
def bound_hits(form, events, bound, arm_at=100, instruments=(PERP,)):
    """Arm a bound at a time; return (ns after T0, peak) when it fires."""
    out = []
    script = Script(
        {arm_at: lambda m: m.engine.arm_bound(bound, Condition(BOUND, -1, 0, False, 0), lambda c: out.append((m.now_ns - T0, m.engine.bound_peak(c))))}
    )
    run(form, events, script)
    return out


def test_a_bound_fires_where_its_sum_reaches_it(form):
    def events():
        return Events().quote(0, 1000, 1001).quote(110, 990, 991).quote(120, 989, 991).quote(130, 988, 991).trade(300, 1)

    # const + 3 × (bid + ask): 6003 at first, then 5943, 5940, 5937
    assert bound_hits(form, events(), Bound("b", {0: 3}, 100, low=6_040)) == [(120, 6_043)]
    assert bound_hits(form, events(), Bound("b", {0: -3}, 0, high=-5_937)) == [(130, -5_937)]
    assert bound_hits(form, events(), Bound("b", {0: 3}, 100, low=6_043)) == [(110, 6_043)]


def test_a_bound_that_is_broken_already_fires_at_the_next_event_even_where_that_changes_nothing(form):
    events = Events().quote(0, 1000, 1001).quote(110, 1000, 1001).quote(120, 1, 2).trade(300, 1)
    assert bound_hits(form, events, Bound("b", {0: 1}, 0, low=5_000)) == [(110, 2_001)]


def test_a_drawdown_is_measured_from_the_running_peak_which_an_event_raises_before_it_is_compared(form):
    def events():
        events = Events().quote(0, 1000, 1000)
        for ns, mid in ((110, 1040), (120, 1010), (130, 1100), (140, 1046), (150, 1045), (160, 1000)):
            events.quote(ns, mid, mid)
        return events.trade(300, 1)

    # 5 % of the peak of 2 × 1100 is 110: due at 2090, that is a mid of 1045
    assert share(2 * 1100, 500) == 110
    assert bound_hits(form, events(), Bound("b", {0: 1}, 0, bps=500)) == [(150, 2_200)]
    # strictly more than 5 %: only at 1000
    assert bound_hits(form, events(), Bound("b", {0: 1}, 0, bps=500, strict=1)) == [(160, 2_200)]
    # a persisted peak of 2300 is above all of it: 5 % below is 2185
    assert bound_hits(form, events(), Bound("b", {0: 1}, 0, bps=500, peak=2_300)) == [(110, 2_300)]


def test_a_bound_over_two_instruments_sees_the_events_of_both(form):
    events = Events(PERP, OTHER).quote(0, 1000, 1000).quote(1, 500, 500, on=OTHER)
    events.quote(110, 990, 990).quote(120, 490, 490, on=OTHER).quote(130, 1000, 1000).quote(140, 480, 480, on=OTHER)
    events.trade(300, 1).trade(301, 1, on=OTHER)
    # 1 × 2 mid + 2 × 2 mid: 4000 when it is armed, then 3980, the highest of the later ones, 3940, 3960, 3920
    assert bound_hits(form, events, Bound("b", {0: 1, 1: 2}, 0, low=3_930)) == [(140, 3_980)]


def test_a_bound_follows_the_mark_where_there_is_one_and_the_bid_of_spot(form):
    events = Events(SPOT, PERP).quote(0, 10_000, 10_002).quote(1, 1000, 1001, on=PERP).add(StreamKind.MARK, 2, 1000, 1000, on=PERP)
    events.quote(110, 1, 10_002, on=PERP)  # the quote of a marked perpetual does not value it
    events.quote(120, 9_990, 99_999)  # spot: bid 9,990
    events.add(StreamKind.MARK, 130, 999, 1000, on=PERP).trade(300, 1).trade(301, 1, on=PERP)
    # 1 × 2 × bid + 10 × 2 × mark = 20,000 + 20,000; 39,980 at 120; 39,960 at 130
    assert bound_hits(form, events, Bound("b", {0: 1, 1: 10}, 0, low=39_960)) == [(130, 40_000 - 20)]


def test_the_equity_of_an_account_is_watched_to_the_tick(form):
    """Long 5 at 1001 with a fee of 25,025: twice the equity at a mid of m is 2 × cash + 5 × 10,000 × 2m."""
    cash2 = 2 * (CASH - 5 * 1001 * UNIT - 25_025)
    events = Events().quote(0, 1000, 1001).quote(120, 995, 996).quote(130, 994, 996).quote(140, 994, 995).trade(300, 1)
    governor = OpenGovernor([Script({100: lambda m: m.enter(m.perp, 5)})], floors=[cash2 + 5 * UNIT * 1_990], drawdown_bps=9_999)
    engine = run(form, events, governor=governor)
    notes = [(entry[1] - T0, entry[3]) for entry in engine.record.entries if entry[0] == "note"]
    assert notes == [(130, f"equity {cash2 + 5 * UNIT * 1_990} peak {cash2 + 5 * UNIT * 2_001}")]


def test_a_bound_nobody_can_reach_never_fires(form):
    assert bound_hits(form, Events().quote(0, 1000, 1001).quote(110, 1, 2).trade(300, 1), Bound("b", {0: 1}, 0, low=-NEVER, high=NEVER)) == []
