"""What becomes of orders, in examples small enough to work out by hand. Every example runs in every form of the engine."""

import attrs
import pytest

from tests.engine.tiny import CASH, FORMS, OTHER, PERP, SPOT, T0, UNIT, Events, Script, fills, run
from titan_core.engine.venue import WorkingOrder
from titan_core.model.enums import OrderType, StreamKind, TimeInForce
from titan_core.model.order import Approved, Intent, OrderStatus
from titan_core.model.units import ceil_div


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def entry(lots, **kwargs):
    return lambda m: m.enter(m.perp, lots, **kwargs)


# -- market orders and latency ----------------------------------------------------------------------------------------
def test_a_market_order_meets_the_quote_that_stands_when_it_arrives(form):
    # sent at 100 with a latency of 10: it arrives at 110 and pays the ask of the quote of 105, not of 90 or of 110
    events = Events().quote(0, 1000, 1001).quote(105, 1003, 1004).quote(110, 1009, 1010).trade(200, 1009)
    engine = run(form, events, Script({100: entry(5)}))
    assert fills(engine) == [(110, 5, 1004, "taker")]
    fee = ceil_div(5 * 1004 * UNIT * 500, 1_000_000)  # 500 ppm of 50,200,000 = 25,100
    assert fee == 25_100
    assert engine.account.cash == CASH - 5 * 1004 * UNIT - fee
    assert (engine.account.lots, engine.account.fees) == ([5], fee)


def test_latency_is_at_least_a_nanosecond(form):
    events = Events().quote(0, 1000, 1001).trade(100, 1000).quote(101, 1005, 1006).trade(102, 1005)
    script = Script({})
    script.on_start = lambda m: m.arm(m.perp.below(1000), lambda m, c: m.enter(m.perp, 1))
    # decided at 100, in the book at 101 before the quote of 101
    assert fills(run(form, events, script, latency_ns=0)) == [(101, 1, 1001, "taker")]


def test_without_depth_the_whole_size_trades_at_the_best_price_and_the_slippage(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(500, 1000)
    engine = run(form, events, Script({100: entry(50), 200: entry(-80)}), slippage_ticks=3)
    assert fills(engine) == [(110, 50, 1004, "taker"), (210, -80, 997, "taker")]


def test_an_order_before_the_first_quote_is_rejected(form):
    script = Script({100: entry(5)})
    events = Events().trade(0, 1000).quote(300, 1000, 1001).trade(400, 1000)
    engine = run(form, events, script)
    assert fills(engine) == [] and script.log == [("closed", 110, "rejected", 5)]


def test_a_market_order_walks_the_recorded_depth(form):
    # 5 displayed at 1001, 3 at 1002, none at 1003, 10 at 1004: ten lots cost 5 × 1001 + 3 × 1002 + 2 × 1004
    events = Events().quote(0, 1000, 1001, 10, 5).depth(1, [(1000, 10)], [(1001, 5), (1002, 3), (1003, 0), (1004, 10)]).trade(500, 1000)
    engine = run(form, events, Script({100: entry(10)}), slippage_ticks=7)
    assert fills(engine) == [(110, 5, 1001, "taker"), (110, 3, 1002, "taker"), (110, 2, 1004, "taker")]
    # each execution pays its own fee, rounded up: 25,025 + 15,030 + 10,040
    assert engine.account.fees == 25_025 + 15_030 + 10_040


def test_what_the_depth_cannot_fill_trades_beyond_its_last_level(form):
    asks = [(1001, 5)] + [(1001 + i, 1) for i in range(1, 10)]
    events = Events().quote(0, 1000, 1001, 10, 5).depth(1, [(1000, 10)], asks).trade(500, 1000)
    engine = run(form, events, Script({100: entry(20)}), slippage_ticks=2)
    # 5 + 9 × 1 = 14 lots are there; the other 6 trade at the last level, 1010, plus the slippage
    assert fills(engine)[-1] == (110, 6, 1012, "taker")
    assert sum(lots for _, lots, _, _ in fills(engine)) == 20


# -- limit orders -----------------------------------------------------------------------------------------------------
def test_a_resting_order_waits_behind_the_queue_that_was_displayed(form):
    events = Events().quote(0, 1000, 1001, 10, 10)
    events.trade(200, 1000, -4)  # queue 10 - 4 = 6
    events.trade(210, 1000, 3)  # a buyer does not shorten the bid's queue
    events.trade(220, 1001, -5)  # a print above the limit neither
    events.trade(230, 1000, -6)  # queue 0: nothing left for us
    events.trade(240, 1000, -2)  # 2 for us
    events.trade(250, 1000, -9)  # the rest
    script = Script({100: entry(5, limit=1000)})
    engine = run(form, events, script)
    assert fills(engine) == [(240, 2, 1000, "maker"), (250, 3, 1000, "maker")]
    # 200 ppm of 2 × 1000 × 10,000 = 4,000 and of 3 × 1000 × 10,000 = 6,000
    assert engine.account.fees == 10_000


def test_a_print_that_eats_the_queue_fills_the_rest_of_its_size(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1000, -13).trade(210, 1000, -1).trade(220, 1000, -9)
    engine = run(form, events, Script({100: entry(5, limit=1000)}))
    assert fills(engine) == [(200, 3, 1000, "maker"), (210, 1, 1000, "maker"), (220, 1, 1000, "maker")]


def test_a_print_beyond_the_price_fills_everything_whatever_the_queue(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1000, -9).trade(210, 999, 1)
    assert fills(run(form, events, Script({100: entry(5, limit=1000)}))) == [(210, 5, 1000, "maker")]


def test_a_quote_of_the_other_side_that_reaches_the_price_fills_everything(form):
    events = Events().quote(0, 1000, 1001, 10, 10).quote(200, 999, 1001).quote(210, 999, 1000).trade(220, 999)
    assert fills(run(form, events, Script({100: entry(5, limit=1000)}))) == [(210, 5, 1000, "maker")]
    events = Events().quote(0, 1000, 1001, 10, 10).quote(200, 1001, 1002).trade(220, 1001)
    assert fills(run(form, events, Script({100: entry(-5, limit=1001)}))) == [(200, -5, 1001, "maker")]


def test_a_sale_rests_behind_the_asks(form):
    events = Events().quote(0, 1000, 1001, 10, 4).trade(200, 1001, 5).trade(210, 1001, -9).trade(220, 1001, 1)
    assert fills(run(form, events, Script({100: entry(-2, limit=1001)}))) == [(200, -1, 1001, "maker"), (220, -1, 1001, "maker")]


def test_a_price_inside_the_spread_has_no_queue(form):
    events = Events().quote(0, 1000, 1005, 10, 10).trade(200, 1002, -1).trade(210, 1002, -1)
    assert fills(run(form, events, Script({100: entry(2, limit=1002)}))) == [(200, 1, 1002, "maker"), (210, 1, 1002, "maker")]


def test_below_the_best_the_queue_is_that_of_the_level_where_the_depth_is_known(form):
    events = Events().quote(0, 1000, 1001, 10, 10).depth(1, [(1000, 10), (998, 3)], [(1001, 10)])
    events.trade(200, 998, -3).trade(210, 998, -1)
    assert fills(run(form, events, Script({100: entry(1, limit=998)}))) == [(210, 1, 998, "maker")]
    # without depth it is taken to be as long as the best one: 10
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 998, -10).trade(210, 998, -1)
    assert fills(run(form, events, Script({100: entry(1, limit=998)}))) == [(210, 1, 998, "maker")]


def test_two_own_orders_at_one_price_do_not_share_a_print_twice(form):
    """The print of 14 eats the queue of 10; the 4 that are left go to the order that came first, and only then to the second."""
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1000, -14).trade(210, 1000, -2).trade(220, 1000, -50)
    engine = run(form, events, Script({100: entry(5, limit=1000, tag="first"), 101: entry(5, limit=1000, tag="second")}))
    assert [(f.ts_ns - T0, f.signed_lots, f.tag) for f in engine.record.fills] == [(200, 4, "first"), (210, 1, "first"), (210, 1, "second"), (220, 4, "second")]


def test_a_limit_order_that_crosses_takes_up_to_its_price_and_rests_with_what_is_left(form):
    events = Events().quote(0, 1000, 1001, 10, 5).depth(1, [(1000, 10)], [(1001, 5), (1002, 3), (1004, 10)])
    events.trade(200, 1002, -2).trade(210, 1001, 1)
    script = Script({100: entry(12, limit=1002)})
    engine = run(form, events, script)
    # 5 at 1001 and 3 at 1002 at once; 4 rest at 1002, the new best bid, hence without a queue
    assert fills(engine) == [(110, 5, 1001, "taker"), (110, 3, 1002, "taker"), (200, 2, 1002, "maker"), (210, 2, 1002, "maker")]


def test_post_only_is_rejected_where_it_would_take_and_rests_where_it_would_not(form):
    events = Events().quote(0, 1000, 1001).trade(200, 1000, -11)
    script = Script({100: entry(5, limit=1001, post_only=True)})
    assert fills(run(form, events, script)) == [] and script.log == [("closed", 110, "rejected", 5)]
    script = Script({100: entry(5, limit=1000, post_only=True)})
    assert fills(run(form, events, script)) == [(200, 1, 1000, "maker")]
    script = Script({100: entry(-5, limit=1000, post_only=True), 110: entry(-5, limit=1001, post_only=True)})
    run(form, events, script)
    assert script.log == [("closed", 110, "rejected", 5)]


@pytest.mark.parametrize(
    ("tif", "limit", "expected", "closed"),
    [
        (TimeInForce.IOC, 1002, [(110, 5, 1001, "taker"), (110, 3, 1002, "taker")], [("closed", 110, "expired", 4)]),
        (TimeInForce.IOC, 1000, [], [("closed", 110, "expired", 12)]),
        (TimeInForce.FOK, 1002, [], [("closed", 110, "expired", 12)]),
        (TimeInForce.FOK, 1000, [], [("closed", 110, "expired", 12)]),
        (TimeInForce.FOK, 1004, [(110, 5, 1001, "taker"), (110, 3, 1002, "taker"), (110, 4, 1004, "taker")], []),
    ],
)
def test_time_in_force(form, tif, limit, expected, closed):
    events = Events().quote(0, 1000, 1001, 10, 5).depth(1, [(1000, 10)], [(1001, 5), (1002, 3), (1004, 10)]).trade(200, 990)
    script = Script({100: entry(12, limit=limit, time_in_force=tif)})
    assert fills(run(form, events, script)) == expected
    assert [line for line in script.log if line[0] == "closed"] == closed


def test_a_cancel_takes_as_long_as_an_order_and_a_fill_may_come_first(form):
    orders = {}

    def place(m):
        orders["o"] = m.enter(m.perp, 5, limit=1000)

    events = Events().quote(0, 1000, 1001, 1, 10).trade(205, 1000, -3).trade(215, 1000, -9)
    script = Script({100: place, 200: lambda m: m.cancel(orders["o"])})
    engine = run(form, events, script)
    assert fills(engine) == [(205, 2, 1000, "maker")]  # the cancel of 200 arrives at 210
    assert script.log[-1] == ("closed", 210, "cancelled", 3)


# -- stops and triggers -----------------------------------------------------------------------------------------------
def test_a_stop_entry_becomes_a_market_order_when_a_later_print_touches_it(form):
    events = Events().quote(0, 1000, 1001).trade(105, 1010).trade(200, 1004).quote(201, 1006, 1007).trade(202, 1005).quote(300, 1010, 1011)
    engine = run(form, events, Script({100: entry(5, trigger=1005)}))
    # the print of 105 was before the order had arrived; that of 202 meets the quote of 201
    assert fills(engine) == [(202, 5, 1007, "taker")]


def test_a_triggered_order_trades_no_better_than_the_print_that_triggered_it(form):
    """The quote of before the print still shows 1000/1001, but the market has just traded at 990."""
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 990).quote(201, 988, 989).trade(300, 989)
    engine = run(form, events, Script({100: entry(-5, trigger=995)}))
    assert fills(engine) == [(200, -5, 990, "taker")]
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1012, 1).quote(201, 1012, 1013).trade(300, 1012)
    engine = run(form, events, Script({100: entry(5, trigger=1005)}), slippage_ticks=2)
    assert fills(engine) == [(200, 5, 1014, "taker")]


def test_a_protective_stop_trades_no_better_than_the_print_that_triggered_it(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(150, 1000).trade(200, 980).quote(201, 979, 980).trade(300, 980)
    engine = run(form, events, Script({100: entry(5, stop=990)}))
    assert fills(engine) == [(110, 5, 1001, "taker"), (200, -5, 980, "taker")]


def test_a_stop_that_walks_the_depth_starts_at_the_print(form):
    events = Events().quote(0, 1000, 1001, 10, 10).depth(1, [(1000, 10), (990, 2), (985, 2), (980, 9)], [(1001, 10)]).trade(200, 990).trade(300, 980)
    engine = run(form, events, Script({100: entry(5, stop=990)}))
    # the bids above 990 are gone; 2 at 990, 2 at 985, 1 at 980
    assert fills(engine)[1:] == [(200, -2, 990, "taker"), (200, -2, 985, "taker"), (200, -1, 980, "taker")]


def test_a_protective_stop_pays_the_slippage(form):
    events = Events().quote(0, 1000, 1001, 10, 10).quote(190, 988, 989).trade(200, 990).trade(300, 980)
    engine = run(form, events, Script({100: entry(5, stop=990)}), slippage_ticks=4)
    assert fills(engine) == [(110, 5, 1005, "taker"), (200, -5, 984, "taker")]


def test_a_short_is_stopped_above(form):
    events = Events().quote(0, 1000, 1001).trade(150, 1000).trade(200, 1010, 1).trade(300, 1020, 1)
    engine = run(form, events, Script({100: entry(-5, stop=1010)}))
    assert fills(engine) == [(110, -5, 1000, "taker"), (200, 5, 1010, "taker")]


def submit(order_type, lots, trigger):
    """Send an order type that strategies have no verb for."""

    def send(m):
        intent = Intent(
            client_order_id="x", phase=m.phase, strategy=m.strategy_id, instrument=m.perp.spec, signed_lots=lots, order_type=order_type, trigger=trigger
        )  # fmt: skip
        m.engine.venue.submit(Approved(intent, lots, ()), m, m.perp.k)

    return send


def test_take_profit_is_touched_from_the_other_side_than_a_stop(form):
    events = Events().quote(0, 1000, 1001).trade(200, 990).quote(210, 1010, 1011).trade(220, 1010).trade(230, 1020)
    engine = run(form, events, Script({100: submit(OrderType.TAKE_PROFIT, -5, 1010)}))
    assert fills(engine) == [(220, -5, 1010, "taker")]
    events = Events().quote(0, 1000, 1001).trade(200, 1010).quote(210, 988, 989).trade(220, 990).trade(230, 980)
    engine = run(form, events, Script({100: submit(OrderType.TAKE_PROFIT, 5, 990)}))
    assert fills(engine) == [(220, 5, 990, "taker")]


# -- protection -------------------------------------------------------------------------------------------------------
def test_target_and_stop_cover_the_position_and_cancel_each_other(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1011, 1).trade(300, 900).trade(400, 900)
    script = Script({100: entry(5, stop=990, target=1010)})
    engine = run(form, events, script)
    assert fills(engine) == [(110, 5, 1001, "taker"), (200, -5, 1010, "maker")]  # and nothing at 300
    assert script.log[-1] == ("flat", 200)
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 990).trade(300, 1100, 1).trade(400, 900)
    engine = run(form, events, Script({100: entry(5, stop=990, target=1010)}))
    assert fills(engine) == [(110, 5, 1001, "taker"), (200, -5, 990, "taker")]
    assert [(e[1] - T0, e[3]) for e in engine.record.entries if e[0] == "closed"] == [(200, "cancelled")]
    assert engine.account.lots == [0] and not engine.venue.working and not engine.venue.protection


def test_protection_grows_with_a_position_that_is_filled_in_parts(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1000, -12).trade(210, 1000, -1).trade(300, 980)
    engine = run(form, events, Script({100: entry(5, limit=1000, stop=985, target=1020)}))
    # 2, then 1, then at 300 the rest of 2, and the stop closes all five
    assert fills(engine) == [(200, 2, 1000, "maker"), (210, 1, 1000, "maker"), (300, 2, 1000, "maker"), (300, -5, 980, "taker")]


def test_a_stop_and_target_that_were_moved_stay_moved_when_more_of_the_entry_is_filled(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1000, -12).trade(210, 1000, -1).trade(220, 995, 1).trade(225, 1011, 1).trade(230, 993)
    script = Script({100: entry(5, limit=1000, stop=985, target=1010), 205: lambda m: m.protect(m.perp, stop=994, target=1030)})
    engine = run(form, events, script)
    assert fills(engine)[-1] == (230, -5, 993, "taker")  # neither 1010 nor 985


def test_a_second_entry_may_tighten_the_stop_and_never_loosens_it(form):
    for stops, prints, expected in (((985, 970), (986, 980), 980), ((970, 985), (986, 984), 984)):
        events = Events().quote(0, 1000, 1001, 10, 10).trade(200, prints[0]).trade(300, prints[1]).trade(400, 900)
        engine = run(form, events, Script({100: entry(2, stop=stops[0]), 120: entry(2, stop=stops[1])}))
        assert fills(engine)[-1] == (300, -4, expected, "taker")
        events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 2000 - prints[0]).trade(300, 2000 - prints[1]).trade(400, 1100)
        engine = run(form, events, Script({100: entry(-2, stop=2000 - stops[0]), 120: entry(-2, stop=2000 - stops[1])}))
        assert fills(engine)[-1] == (300, 4, 2000 - expected, "taker")


def test_a_print_through_the_entry_and_its_stop_sets_off_both(form):
    """A bid at 1000 with a stop at 990, swept by one print at 985: the venue has filled and stopped it by the time the price is back."""
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 985, -90).quote(201, 999, 1000).trade(210, 999, 1).trade(220, 1000, 1)
    engine = run(form, events, Script({100: entry(5, limit=1000, stop=990, target=1015)}))
    assert fills(engine) == [(200, 5, 1000, "maker"), (200, -5, 985, "taker")]
    assert not engine.venue.working and not engine.venue.protection


def test_an_order_that_flips_the_position_ends_the_protection_of_the_old_one(form):
    """Long 5 with stop 990 and target 1010, then 8 sold without protection: short 3, and neither 990 nor 1010 means anything any more."""
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 989).trade(210, 1011, 1).trade(300, 1000)
    script = Script({100: entry(5, stop=990, target=1010), 150: entry(-8)})
    engine = run(form, events, script)
    assert fills(engine) == [(110, 5, 1001, "taker"), (160, -8, 1000, "taker")]
    assert engine.account.lots == [-3] and not engine.venue.protection


def test_a_flipped_position_is_protected_from_its_own_side(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 990).trade(210, 1000, 1).trade(300, 1000)
    script = Script({100: entry(5, stop=1000), 150: entry(-8, stop=1000)})  # the same number, but now it is reached from below
    engine = run(form, events, script)
    assert fills(engine) == [(110, 5, 1001, "taker"), (160, -8, 1000, "taker"), (210, 3, 1001, "taker")]


def test_reduce_only_never_exceeds_the_position(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(300, 1000)
    script = Script({100: entry(5), 150: lambda m: m.exit(m.perp, lots=500), 151: lambda m: m.exit(m.perp, lots=5)})
    engine = run(form, events, script)
    assert fills(engine) == [(110, 5, 1001, "taker"), (160, -5, 1000, "taker")]
    assert script.log[-1] == ("closed", 161, "cancelled", 5)  # nothing was left to reduce
    assert engine.account.lots == [0]


def test_a_resting_exit_is_cut_to_what_is_left_of_the_position(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 1011, 1).trade(300, 1000)
    script = Script({100: entry(5), 150: lambda m: m.exit(m.perp, limit=1010), 170: lambda m: m.exit(m.perp, lots=2)})
    engine = run(form, events, script)
    assert fills(engine) == [(110, 5, 1001, "taker"), (180, -2, 1000, "taker"), (200, -3, 1010, "maker")]


def test_a_resting_exit_ends_with_its_position(form):
    """Stopped out, then long again: the exit of the first position must not close the second."""
    events = Events().quote(0, 1000, 1001, 10, 10).trade(200, 990).trade(300, 1015, 1).trade(400, 1000)
    script = Script({100: entry(5, stop=990), 150: lambda m: m.exit(m.perp, limit=1010), 250: entry(5)})
    engine = run(form, events, script)
    assert fills(engine) == [(110, 5, 1001, "taker"), (200, -5, 990, "taker"), (260, 5, 1001, "taker")]
    assert ("closed", 200, "cancelled", 5) in script.log
    assert engine.account.lots == [5]


def test_a_position_is_only_its_own_phases(form):
    events = Events().quote(0, 1000, 1001, 10, 10).trade(300, 1000)
    seen = Script({200: lambda m: m.perp.position(), 210: lambda m: m.exit(m.perp)})
    engine = run(form, events, Script({100: entry(5), 200: lambda m: m.perp.position()}), seen)
    assert seen.results[200] == 0
    assert engine.account.lots == [5], "another phase's exit does not close it"


# -- money ------------------------------------------------------------------------------------------------------------
def test_longs_pay_a_positive_funding_rate_and_shorts_receive_it_rounded_down(form):
    def market():
        events = Events().quote(0, 1000, 1001).add(StreamKind.FUNDING, 200, 3).add(StreamKind.FUNDING, 300, -3)
        return events.trade(400, 1000)

    # mid × 2 = 2001; 7 lots × 10,000 × 2001 × 3 / (2 × 10^8) = 2.101…
    engine = run(form, market(), Script({100: entry(7)}))
    assert [p.amount for p in engine.record.funding] == [-3, 2]  # pays 3 (rounded up), receives 2 (rounded down)
    engine = run(form, market(), Script({100: entry(-7)}))
    assert [p.amount for p in engine.record.funding] == [2, -3]
    assert [(p.ts_ns - T0, p.signed_lots, p.mark, p.rate_e8) for p in engine.record.funding] == [(200, -7, 1000, 3), (300, -7, 1000, -3)]
    assert engine.account.funding == -1


def test_funding_is_paid_at_the_mark_where_there_is_one_and_not_by_a_flat_account(form):
    events = Events().quote(0, 1000, 1001).add(StreamKind.MARK, 50, 2000, 1999).add(StreamKind.FUNDING, 60, 100_000).add(StreamKind.FUNDING, 200, 100_000)
    engine = run(form, events.trade(400, 1000), Script({100: entry(7)}))
    assert [p.amount for p in engine.record.funding] == [-(7 * UNIT * 2000 // 1000)]  # 0.1 %


def test_funding_is_booked_before_strategies_hear_of_it(form):
    seen = []
    script = Script({100: entry(7)})
    script.on_start = lambda m: (m.at(T0 + 100, lambda m, t: m.enter(m.perp, 7)), m.arm(m.perp.next_funding(), note))

    def note(m, condition):
        seen.append(len(m.engine.record.funding))
        m.arm(m.perp.next_funding(), note)

    events = Events().quote(0, 1000, 1001).add(StreamKind.FUNDING, 200, 100).add(StreamKind.FUNDING, 300, 100).add(StreamKind.FUNDING, 400, 100)
    run(form, events.trade(500, 1000), script)
    assert seen == [1, 2, 3]


def test_fees_are_rounded_up_and_rebates_towards_zero(form):
    # 333 ppm of 1 × 1001 × 10,000 = 3,333.33: we pay 3,334; a rebate of 333 ppm brings 3,333
    assert attrs.evolve(PERP, taker_fee_ppm=333).fee(1, 1001, maker=False) == 3_334
    assert attrs.evolve(PERP, maker_fee_ppm=-333).fee(1, 1001, maker=True) == -3_333
    venue = attrs.evolve(PERP, taker_fee_ppm=333, maker_fee_ppm=-333)
    events = Events(venue).quote(0, 1000, 1001, 0, 10).trade(200, 1001, 50).trade(300, 1000)
    engine = run(form, events, Script({100: entry(1), 150: lambda m: m.exit(m.perp, limit=1001)}))
    assert [(f.fee, f.liquidity.value) for f in engine.record.fills] == [(3_334, "taker"), (-3_333, "maker")]
    assert (engine.account.fees, engine.account.cash) == (1, CASH - 1)


def test_a_round_trip_costs_its_spread_and_its_fees_and_nothing_else(form):
    events = Events().quote(0, 1000, 1001).trade(300, 1000)
    engine = run(form, events, Script({100: entry(6), 150: lambda m: m.exit(m.perp, lots=2), 180: lambda m: m.exit(m.perp)}))
    bought, sold = 6 * 1001 * UNIT, (2 + 4) * 1000 * UNIT
    fees = ceil_div(bought * 5, 10_000) + ceil_div(2 * 1000 * UNIT * 5, 10_000) + ceil_div(4 * 1000 * UNIT * 5, 10_000)
    assert engine.account.cash == CASH - bought + sold - fees
    assert engine.account.flow2 == [2 * (sold - bought - fees)]
    assert engine.account.equity2(engine.value2) == 2 * engine.account.cash


def test_a_perpetual_is_worth_its_mid_and_spot_what_it_can_be_sold_for(form):
    events = Events(SPOT, PERP).quote(0, 10_000, 10_006).quote(1, 1000, 1003, on=PERP).trade(300, 10_000).trade(301, 1000, on=PERP)
    script = Script({100: lambda m: m.enter(m.spot, 4), 120: entry(-4)})
    engine = run(form, events, script)
    # spot 4 lots at the bid of 10,000, a lot and tick being worth 0.0001; short 4 at the mid of 1001.5
    assert engine.account.equity2(engine.value2) == 2 * engine.account.cash + 2 * 4 * 10_000 * UNIT - 4 * 2003 * UNIT
    assert engine.account.cash == CASH - 4 * 10_006 * UNIT + 4 * 1000 * UNIT - engine.account.fees


def test_orders_in_one_instrument_leave_the_others_alone(form):
    events = Events(PERP, OTHER).quote(0, 1000, 1001).quote(1, 500, 501, on=OTHER).trade(200, 900).trade(300, 500, on=OTHER)
    script = Script({100: lambda m: m.enter(m.instruments[1], 5, stop=450), 101: lambda m: m.enter(m.instruments[0], 5, stop=950)})
    engine = run(form, events, script)
    assert engine.account.lots == [0, 5]


def test_statuses_only_move_forward(form):
    statuses = []
    script = Script({100: entry(5, limit=1000)}, on_fill=lambda m, order, fill: statuses.append((order.status, order.leaves_lots)))
    run(form, Events().quote(0, 1000, 1001, 0, 10).trade(200, 1000, -2).trade(210, 1000, -3), script)
    assert statuses == [(OrderStatus.PARTIALLY_FILLED, 3), (OrderStatus.FILLED, 0)]
    assert isinstance(script.results[100], WorkingOrder) and not script.results[100].is_live


# -- liquidation ------------------------------------------------------------------------------------------------------
def test_a_position_is_liquidated_where_equity_no_longer_covers_its_maintenance_margin(form):
    """100 lots for 1.001 × 10^9 with 10^8 of cash: 500,500 of fee leave −901,500,500. A tick is worth 10^6, its maintenance margin of 50 bps 5,000.

    2 × cash + 995,000 × (bid + ask) <= 0 where bid + ask <= 1812.06.
    """
    events = Events().quote(0, 1000, 1001, 10, 10).trade(50, 1000).quote(200, 906, 907).quote(210, 905, 907).quote(220, 2000, 2001).trade(300, 2000)
    script = Script({100: entry(100), 150: entry(1, limit=800)})
    engine = run(form, events, script, cash=10**8)
    assert fills(engine) == [(110, 100, 1001, "taker"), (210, -100, 905, "taker")]
    taken, fee = 100 * 905 * UNIT, 100 * 905 * UNIT * 500 // 1_000_000
    liquidation_fee = 100 * UNIT * 1812 * 50 // (2 * 10_000)  # 50 bps of the notional at the mid
    assert (taken, fee, liquidation_fee) == (905_000_000, 452_500, 4_530_000)
    assert engine.account.cash == -901_500_500 + taken - fee - liquidation_fee
    assert ("closed", 210, "cancelled", 1) in script.log and not engine.venue.working
    assert engine.account.flow2 == [2 * (engine.account.cash - 10**8)]


def test_a_short_position_is_liquidated_above(form):
    """100 lots sold for 10^9: cash 1,099,500,000. 2 × cash − 1,005,000 × (bid + ask) <= 0 where bid + ask >= 2188.06."""
    events = Events().quote(0, 1000, 1001, 10, 10).quote(200, 1094, 1094).quote(210, 1094, 1095).trade(300, 1095)
    engine = run(form, events, Script({100: entry(-100)}), cash=10**8)
    assert fills(engine) == [(110, -100, 1000, "taker"), (210, 100, 1095, "taker")]
