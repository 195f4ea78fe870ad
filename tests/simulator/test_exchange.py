"""Matching and accounting, on markets with every price chosen; and the laws on random ones."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator.builders import MEXC, PERP, SPOT, Script, box_of, order, placed, step
from titan_core.model.enums import Side
from titan_core.model.units import H, to_money
from titan_core.simulator.account import QUOTE, AccountEvent
from titan_core.simulator.box import Box
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.orders import FillKind, Order, Origin, PriceKind, Reason, Refusal, Status, Tif, Trigger
from titan_core.simulator.positions import Cause
from titan_core.simulator.upkeep import deleverage, delist, liquidate, trade_by_hand

BTC = 100_000


def quiet(bid: float = 60_000.0, lots: int = 5_000) -> Script:
    return Script().quote(bid, lots=lots)


def bybit(box: Box) -> Exchange:
    return box.exchanges["bybit"]


def refusal(exchange: Exchange, request: Any) -> Reason:
    made = exchange.place(request)
    assert isinstance(made, Refusal), made
    return made.reason


def test_a_market_order_takes_the_best_price_and_pays_the_taker_fee() -> None:
    exchange = bybit(box_of(quiet()))
    made = placed(exchange, order(lots=100))
    assert (made.status, made.filled, made.value) == (Status.FILLED, 100, to_money("6000.01"))
    assert made.fee == to_money("3.3000055")
    assert exchange.account.wallet.balance(QUOTE) == to_money(10_000) - made.fee
    assert exchange.account.positions[PERP].lots == 100


def test_a_large_order_walks_the_depth_and_does_not_take_the_same_lots_twice() -> None:
    box = box_of(quiet(lots=50), balance_usdt=1_000_000)
    exchange = bybit(box)
    first, second = placed(exchange, order(lots=60)), placed(exchange, order(lots=10))
    assert [(each.price, each.lots) for each in exchange.account.executions] == [(600_001, 50), (600_002, 10), (600_002, 10)]
    assert first.value < second.value * 6


def test_a_limit_order_rests_until_the_book_crosses_it_and_then_pays_the_maker_fee() -> None:
    box = box_of(quiet().quote(59_990.0, lots=40).quote(59_980.0, lots=500))
    exchange = bybit(box)
    made = placed(exchange, order(lots=100, price=59_995.0))
    assert made.status is Status.NEW
    step(box, 9)
    assert (made.status, made.filled) == (Status.FILLED, 100)
    assert [(each.price, each.lots, each.maker) for each in exchange.account.executions] == [(599_950, 40, True), (599_950, 60, True)]
    assert made.fee == to_money("1.1999")


@pytest.mark.parametrize(("price", "filled"), [(59_999.0, 30), (59_998.9, 100), (59_999.1, 0)])
def test_a_trade_at_the_limit_fills_up_to_its_size_and_beyond_it_everything(price: float, filled: int) -> None:
    box = box_of(quiet().trade(price, -30))
    made = placed(bybit(box), order(lots=100, price=59_999.0))
    step(box, 4)
    assert made.filled == filled


def test_time_in_force() -> None:
    exchange = bybit(box_of(quiet(lots=50), balance_usdt=1_000_000))
    ioc = placed(exchange, order(lots=80, price=60_000.1, tif=Tif.IOC))
    fok = placed(exchange, order(lots=80, price=60_000.1, tif=Tif.FOK))
    maker = placed(exchange, order(lots=80, price=60_000.1, tif=Tif.POST_ONLY))
    assert (ioc.status, ioc.filled, ioc.reason) == (Status.CANCELLED, 50, Reason.NO_LIQUIDITY)
    assert (fok.status, fok.filled, fok.reason) == (Status.CANCELLED, 0, Reason.NO_LIQUIDITY)
    assert (maker.status, maker.filled) == (Status.NEW, 0), "what the first order took is gone, so the last one adds"
    crossing = placed(exchange, order(lots=80, price=60_000.2, tif=Tif.POST_ONLY))
    assert (crossing.status, crossing.reason) == (Status.CANCELLED, Reason.WOULD_TAKE)


def test_a_client_id_is_used_once_even_after_its_order_has_ended() -> None:
    exchange = bybit(box_of(quiet()))
    first = placed(exchange, order(link_id="a"))
    assert first.status is Status.FILLED
    assert refusal(exchange, order(link_id="a")) is Reason.DUPLICATE_ID
    assert len(exchange.orders) == 1


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (order(lots=0), Reason.BAD_SIZE),
        (order(lots=200_000), Reason.TOO_LARGE),
        (order(lots=10_000), Reason.MARGIN),
        (order(lots=1, price=5_999.0), Reason.BAD_PRICE),
        (order(lots=10, reduce_only=True), Reason.REDUCE_ONLY),
        (order(SPOT, lots=1), Reason.BELOW_MINIMUM),
        (order(SPOT, Side.SELL, lots=1_000), Reason.MARGIN),
        (order(trigger=Trigger(599_000, rising=True)), Reason.TRIGGER_SIDE),
        (order(stop_loss=601_000), Reason.STOP_SIDE),
        (order(MEXC.replace("BTC", "XYZ")), Reason.UNKNOWN_SYMBOL),  # type: ignore[arg-type]
    ],
)
def test_what_is_refused(request_: Any, reason: Reason) -> None:
    assert refusal(bybit(box_of(quiet())), request_) is reason


def test_cancelling_twice_and_what_does_not_exist() -> None:
    exchange = bybit(box_of(quiet()))
    made = placed(exchange, order(price=59_000.0))
    assert exchange.cancel(made) is made and made.status is Status.CANCELLED
    for gone in (made, None):
        again = exchange.cancel(gone)
        assert isinstance(again, Refusal) and again.reason in (Reason.ORDER_DONE, Reason.UNKNOWN_ORDER)


def test_a_conditional_order_waits_for_its_price() -> None:
    box = box_of(quiet().trade(60_010.0, 5).trade(60_050.0, 5).quote(60_050.0))
    exchange = bybit(box)
    made = placed(exchange, order(trigger=Trigger(600_500, rising=True), origin=Origin.STOP))
    assert made.status is Status.UNTRIGGERED
    step(box, 4)
    assert made.status is Status.UNTRIGGERED
    step(box)
    assert (made.status, made.filled) == (Status.FILLED, 100)


def test_a_mark_price_trigger_ignores_the_last_price() -> None:
    box = box_of(quiet().trade(60_050.0, 5).quote(60_050.0))
    made = placed(bybit(box), order(trigger=Trigger(600_500, rising=True, by=PriceKind.MARK), origin=Origin.STOP))
    step(box, 4)
    assert made.status is Status.UNTRIGGERED
    step(box, 4)
    assert made.status is Status.FILLED


def test_attached_stops_come_with_the_fill_follow_the_size_and_go_with_the_position() -> None:
    box = box_of(quiet().trade(59_950.0, -1).quote(59_900.0).trade(59_890.0, -1))
    exchange = bybit(box)
    placed(exchange, order(lots=100, stop_loss=599_000, take_profit=601_000))
    guards = list(exchange.account.open_orders.values())
    assert [(each.request.origin, each.lots, each.trigger and each.trigger.price) for each in guards] == [
        (Origin.STOP_LOSS, 100, 599_000),
        (Origin.TAKE_PROFIT, 100, 601_000),
    ]
    placed(exchange, order(side=Side.SELL, lots=40))
    assert [each.lots for each in guards] == [60, 60]
    step(box, 9)
    assert exchange.account.positions[PERP].lots == 0
    assert [(each.status, each.filled) for each in guards] == [(Status.FILLED, 60), (Status.DEACTIVATED, 0)]
    assert exchange.account.open_orders == {}


def test_a_positions_stop_is_moved_and_removed() -> None:
    exchange = bybit(box_of(quiet()))
    assert exchange.protection.request(PERP, stop_loss=590_000).reason is Reason.NO_POSITION  # type: ignore[union-attr]
    placed(exchange, order())
    assert exchange.protection.request(PERP, stop_loss=590_000) is None
    assert exchange.protection.request(PERP, stop_loss=590_000).reason is Reason.NOT_MODIFIED  # type: ignore[union-attr]
    assert exchange.protection.request(PERP, stop_loss=601_000).reason is Reason.STOP_SIDE  # type: ignore[union-attr]
    assert exchange.protection.request(PERP, stop_loss=595_000) is None
    (guard,) = exchange.account.open_orders.values()
    assert guard.trigger is not None and guard.trigger.price == exchange.account.positions[PERP].stop_loss == 595_000
    assert exchange.protection.request(PERP, stop_loss=0) is None
    assert exchange.account.open_orders == {} and exchange.account.positions[PERP].stop_loss == 0


def test_flat_ends_resting_reduce_only_orders() -> None:
    exchange = bybit(box_of(quiet()))
    placed(exchange, order(lots=100))
    resting = placed(exchange, order(side=Side.SELL, lots=100, price=61_000.0, reduce_only=True))
    placed(exchange, order(side=Side.SELL, lots=100))
    assert (resting.status, resting.reason) == (Status.CANCELLED, Reason.BY_REDUCE_ONLY)


def test_leverage_margins_what_may_be_opened() -> None:
    exchange = bybit(box_of(quiet()))
    assert exchange.set_leverage(PERP, 10).reason is Reason.LEVERAGE_SAME  # type: ignore[union-attr]
    assert exchange.set_leverage(PERP, 101).reason is Reason.LEVERAGE_RANGE  # type: ignore[union-attr]
    assert refusal(exchange, order(lots=2_000)) is Reason.MARGIN
    assert exchange.set_leverage(PERP, 20) is None
    assert placed(exchange, order(lots=2_000)).status is Status.FILLED


def test_resting_orders_lock_margin_and_waiting_ones_do_not() -> None:
    exchange = bybit(box_of(quiet()))
    free = exchange.account.margin().available
    placed(exchange, order(lots=500, price=61_000.0, trigger=Trigger(610_000, rising=True), origin=Origin.STOP))
    assert exchange.account.margin().available == free == to_money(10_000)
    placed(exchange, order(lots=500, price=59_000.0))
    assert exchange.account.margin().available == free - to_money("2950") - to_money("16.225"), "a tenth of 29,500 USDT and the taker fee"
    placed(exchange, order(lots=500, price=59_000.0))
    assert refusal(exchange, order(lots=1_000, price=59_000.0)) is Reason.MARGIN


def test_spot_changes_coins_and_takes_the_buyers_fee_from_what_is_bought() -> None:
    exchange = bybit(box_of(quiet()))
    placed(exchange, order(SPOT, lots=BTC))
    wallet = exchange.account.wallet
    assert (wallet.balance(QUOTE), wallet.balance("BTC")) == (to_money(10_000) - to_money("6000.01"), 9_990_000)
    assert refusal(exchange, order(SPOT, Side.SELL, lots=BTC)) is Reason.MARGIN
    placed(exchange, order(SPOT, Side.SELL, lots=99_900))
    assert wallet.balance("BTC") == 0
    assert PERP not in exchange.account.positions


def test_a_spot_buy_by_value_spends_no_more_than_it_says() -> None:
    exchange = bybit(box_of(quiet()))
    made = placed(exchange, order(SPOT, lots=0, spend=to_money(100)))
    assert made.status is Status.FILLED and to_money(99) < made.value <= to_money(100)


def test_funding_is_paid_at_the_venues_hours() -> None:
    box = box_of(quiet())
    exchange = bybit(box)
    placed(exchange, order(lots=100))
    before = exchange.account.wallet.balance(QUOTE)
    box.advance(box.start_ns + 8 * H - 1)
    assert exchange.account.wallet.balance(QUOTE) == before
    box.advance(box.start_ns + 8 * H)
    assert exchange.account.wallet.balance(QUOTE) == before - to_money("0.6"), "6,000 USDT at one basis point"
    assert exchange.account.executions[-1].kind is FillKind.FUNDING


def test_a_loss_beyond_the_margin_liquidates_with_a_fee_and_never_leaves_less_than_nothing() -> None:
    box = box_of(quiet().quote(57_000.0).quote(54_300.0).quote(20_000.0))
    exchange = bybit(box)
    exchange.set_leverage(PERP, 100)
    placed(exchange, order(lots=1_700))
    resting = placed(exchange, order(lots=1, price=50_000.0))
    step(box, 6)
    assert exchange.account.positions[PERP].lots == 1_700
    step(box, 3)
    assert exchange.account.positions[PERP].lots == 0
    assert exchange.account.executions[-1].kind is FillKind.LIQUIDATION
    assert (resting.status, resting.reason) == (Status.CANCELLED, Reason.BY_LIQUIDATION)
    assert exchange.account.wallet.total(QUOTE, (Cause.LIQUIDATION_FEE,)) < 0
    assert 0 <= exchange.account.wallet.balance(QUOTE) < to_money(1_000)


def test_what_the_venue_and_the_owner_do_by_themselves() -> None:
    box = box_of(quiet())
    exchange = bybit(box)
    made = trade_by_hand(exchange, PERP, Side.BUY, 100)
    assert isinstance(made, Order) and made.link_id == "" and made.request.origin is Origin.MANUAL
    deleverage(exchange, PERP, 30)
    last = exchange.account.executions[-1]
    assert (last.kind, last.lots, last.fee, last.price) == (FillKind.ADL, 30, 0, 600_000)
    liquidate(exchange, PERP)
    assert exchange.account.positions[PERP].lots == 0
    placed(exchange, order(lots=10))
    resting = placed(exchange, order(lots=10, price=50_000.0))
    delist(exchange, PERP)
    assert exchange.account.positions[PERP].lots == 0 and exchange.account.executions[-1].kind is FillKind.SETTLEMENT
    assert resting.reason is Reason.BY_DELISTING and refusal(exchange, order()) is Reason.NOT_TRADING


# -- laws on random histories -----------------------------------------------------------------------------------------
ACTIONS = st.one_of(
    st.tuples(st.just("market"), st.sampled_from(Side), st.integers(1, 300), st.booleans()),
    st.tuples(st.just("limit"), st.sampled_from(Side), st.integers(1, 300), st.integers(-40, 40)),
    st.tuples(st.just("stop"), st.sampled_from(Side), st.integers(1, 300), st.integers(1, 30)),
    st.tuples(st.just("spot"), st.sampled_from(Side), st.integers(100, 3_000), st.booleans()),
    st.tuples(st.just("protect"), st.integers(1, 30), st.integers(1, 30), st.booleans()),
    st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0), st.just(0)),
    st.tuples(st.just("adl"), st.integers(1, 50), st.just(0), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 4), st.just(0), st.just(0)),
)
MOVES = st.lists(st.tuples(st.integers(-60, 60), st.integers(-200, 200).filter(bool)), min_size=10, max_size=30)


class Watch:
    """Checks at each event what must hold at all times."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.filled: dict[str, int] = {}
        self.lots = 0
        self.seq = exchange.account.seq
        exchange.account.listeners.append(self)

    def __call__(self, event: AccountEvent) -> None:
        assert event.seq == self.seq + 1
        self.seq = event.seq
        if event.order is not None:
            assert self.filled.get(event.order.id, 0) <= event.order.filled <= event.order.lots
            self.filled[event.order.id] = event.order.filled
        if event.execution is not None and event.execution.instrument == PERP:
            execution = event.execution
            after = self.lots + execution.lots * execution.side.sign
            if execution.order.request.reduce_only:
                assert abs(after) < abs(self.lots) and after * self.lots >= 0, "a reduce-only order only reduces"
            self.lots = after


def act(box: Box, exchange: Exchange, action: tuple[Any, ...]) -> None:
    kind, first, second, third = action
    bid = exchange.depth.best(exchange.listings[PERP])[0]
    last = exchange.depth.last(exchange.listings[PERP])
    if kind == "market":
        exchange.place(order(side=first, lots=second, reduce_only=third))
    elif kind == "limit":
        exchange.place(order(side=first, lots=second, price=(bid + third) / 10))
    elif kind == "stop":
        rising = first is Side.BUY
        exchange.place(order(side=first, lots=second, trigger=Trigger(last + (third if rising else -third), rising), origin=Origin.STOP))
    elif kind == "spot":
        exchange.place(order(SPOT, first, second))
    elif kind == "protect":
        long = exchange.account.position(PERP).lots > 0
        exchange.protection.request(PERP, stop_loss=last - first if long else last + first, take_profit=last + second if long else last - second)
    elif kind == "cancel":
        known = list(exchange.orders.values())
        exchange.cancel(known[first % len(known)] if known else None)
    elif kind == "adl":
        deleverage(exchange, PERP, first)
    else:
        step(box, first)


@given(MOVES, st.lists(ACTIONS, max_size=30), st.integers(0, 3))
@settings(max_examples=120)
def test_nothing_is_ever_lost(moves: list[tuple[int, int]], actions: list[tuple[Any, ...]], leverage: int) -> None:
    script, price = quiet(lots=120), 60_000.0
    for move, lots in moves:
        price += move / 10
        script.trade(price, lots).quote(price, lots=120)
    box = box_of(script)
    exchange = bybit(box)
    exchange.set_leverage(PERP, (5, 20, 50, 100)[leverage])
    watch = Watch(exchange)
    for action in actions:
        act(box, exchange, action)
        step(box)
    account = exchange.account
    fills = [each for each in account.executions if each.kind is not FillKind.FUNDING]
    perp = [each for each in fills if each.instrument == PERP]
    assert sum(each.lots * each.side.sign for each in perp) == account.position(PERP).lots == watch.lots
    for made in exchange.orders.values():
        mine = [each for each in fills if each.order is made]
        assert (made.filled, made.value, made.fee) == tuple(sum(getattr(each, name) for each in mine) for name in ("lots", "value", "fee"))
    wallet = account.wallet
    quote_fees = sum(each.fee for each in account.executions if each.fee_coin == QUOTE and each.kind is not FillKind.FUNDING)
    spot_cash = -sum(each.value * each.side.sign for each in fills if each.instrument == SPOT)
    funding = sum(each.fee for each in account.executions if each.kind is FillKind.FUNDING)
    other = wallet.total(QUOTE, (Cause.LIQUIDATION_FEE, Cause.INSURANCE))
    profit = sum(each.profit for each in perp)
    assert wallet.balance(QUOTE) - to_money(10_000) == profit - quote_fees + spot_cash - funding + other
    if account.position(PERP).lots == 0:
        assert profit == -sum(each.value * each.side.sign for each in perp), "what was paid and got for a closed position is its profit, exactly"
    assert wallet.balance("BTC") >= 0
    assert all(
        change.balance == sum(each.amount for each in wallet.changes[: place + 1] if each.coin == change.coin) for place, change in enumerate(wallet.changes)
    )
