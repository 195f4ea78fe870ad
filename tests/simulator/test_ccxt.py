"""Unmodified ccxt, async and pro, against the box over loopback sockets."""

import asyncio
import time
import warnings
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.simulator.builders import MEXC, PERP
from titan_core.model.units import to_usdt
from titan_core.simulator.account import QUOTE
from titan_core.simulator.box import Box
from titan_core.simulator.ccxt_plug import plug, redirect
from titan_core.simulator.chunks import generated
from titan_core.simulator.clock import RealClock
from titan_core.simulator.server import BoxServer
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.simulator.wire import Credential
from titan_core.tape.generate import NEW_YEAR_2024

ccxt = pytest.importorskip("ccxt.async_support")
pro = pytest.importorskip("ccxt.pro")

KEY = Credential()


def real_box() -> Box:
    """A box whose market runs ten times faster than the computer's clock, so that nobody waits for the next trade."""
    now = time.time_ns()
    return Box(3, supply=generated(3, start_ns=now), start_ns=now, clock=RealClock(now, 10.0), server_ns=time.time_ns)


def account_of(name: str, base: str, kind: Any = ccxt) -> Any:
    made = getattr(kind, name)({"apiKey": KEY.key, "secret": KEY.secret, "enableRateLimit": False, "options": {"watchOrderBook": {"snapshotDelay": 2}}})
    redirect(made, base)
    return made


def on_server(check: Callable[[Box, str], Awaitable[None]]) -> None:
    async def main() -> None:
        async with BoxServer(real_box()) as server:
            await asyncio.wait_for(check(server.box, server.url), 20)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # ccxt's own
        asyncio.run(main())


def cash(box: Box, venue: str) -> Decimal:
    return to_usdt(box.exchanges[venue].account.wallet.balance(QUOTE)).quantize(Decimal("0.01"))


async def until(reached: Callable[[], bool]) -> None:
    """Wait until the box has got what was sent to it."""
    while not reached():
        await asyncio.sleep(0.01)


async def trade(exchange: Any, symbol: str, amount: float, leverage: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """Load markets, set the leverage, rest an order, look it up, cancel it, take a position."""
    await exchange.load_markets()
    await leverage()
    ticker = await exchange.fetch_ticker(symbol)
    assert ticker["bid"] < ticker["ask"]
    low = exchange.price_to_precision(symbol, ticker["bid"] * 0.9)
    resting = await exchange.create_order(symbol, "limit", "buy", amount, float(low), {"clientOrderId": "titan-resting-1"})
    found = await exchange.fetch_order(resting["id"], symbol, {"acknowledged": True} if exchange.id == "bybit" else {})
    assert (found["status"], found["amount"], found["price"], found["filled"]) == ("open", amount, float(low), 0.0)
    assert [each["id"] for each in await exchange.fetch_open_orders(symbol)] == [resting["id"]]
    await exchange.cancel_order(resting["id"], symbol)
    assert await exchange.fetch_open_orders(symbol) == []
    bought = await exchange.create_order(symbol, "market", "buy", amount, None, {"clientOrderId": "titan-market-1"})
    done = await exchange.fetch_order(bought["id"], symbol, {"acknowledged": True} if exchange.id == "bybit" else {})
    assert (done["status"], done["filled"]) == ("closed", amount)
    (position,) = await exchange.fetch_positions([symbol])
    assert (position["side"], position["contracts"]) == ("long", amount)
    balance = await exchange.fetch_balance()
    return {"position": position, "balance": balance, "order": done}


def test_bybit_trades_over_rest() -> None:
    async def check(box: Box, base: str) -> None:
        exchange = account_of("bybit", base)
        try:
            symbol = "BTC/USDT:USDT"
            got = await trade(exchange, symbol, 0.01, lambda: exchange.set_leverage(7, symbol))
            core = box.exchanges["bybit"].account
            position = core.positions[PERP]
            assert (position.lots, position.leverage, got["position"]["leverage"]) == (10, 7, 7.0)
            entry = Decimal(position.entry_value) / 10 / core.listings[PERP].instrument.money_per_tick_lot * Decimal("0.1")
            assert Decimal(str(got["position"]["entryPrice"])) == entry.quantize(Decimal("1e-8"))
            assert Decimal(str(got["balance"]["USDT"]["total"])).quantize(Decimal("0.01")) == cash(box, "bybit")
            trades = await exchange.fetch_my_trades(symbol)
            assert Decimal(str(sum(each["fee"]["cost"] for each in trades))).quantize(Decimal("1e-6")) == to_usdt(
                10_000 * 10**8 - core.wallet.balance(QUOTE)
            ).quantize(Decimal("1e-6"))
            spot = await exchange.create_order("BTC/USDT", "market", "buy", 0.001)
            filled = await exchange.fetch_order(spot["id"], "BTC/USDT", {"acknowledged": True})
            (fill,) = await exchange.fetch_my_trades("BTC/USDT")
            assert (filled["filled"], fill["fee"]["currency"]) == (0.001, "BTC")
            assert (await exchange.fetch_balance())["BTC"]["total"] == pytest.approx(0.000999)
        finally:
            await exchange.close()

    on_server(check)


def test_bybit_trades_over_websockets() -> None:
    async def check(box: Box, base: str) -> None:
        exchange = account_of("bybit", base, pro)
        symbol = "BTC/USDT:USDT"
        try:
            await exchange.load_markets()
            book, trades, ticker = await asyncio.gather(exchange.watch_order_book(symbol, 50), exchange.watch_trades(symbol), exchange.watch_ticker(symbol))
            assert book["bids"][0][0] < book["asks"][0][0] and trades and ticker["last"]
            assert (await exchange.watch_order_book("BTC/USDT", 50))["bids"]
            await exchange.is_unified_enabled()
            orders = asyncio.create_task(exchange.watch_orders())
            mine = asyncio.create_task(exchange.watch_my_trades())
            wallet = asyncio.create_task(exchange.watch_balance())
            await until(lambda: all(topic in box._bybit_private.topics for topic in ("order", "execution", "wallet")))
            made = await exchange.create_order_ws(symbol, "market", "buy", 0.02)
            seen, fills, balance = await asyncio.gather(orders, mine, wallet)
            assert seen[-1]["id"] == made["id"] == fills[-1]["order"]
            (coin,) = balance["info"][0]["coin"]  # ccxt's own total holds the open profit too
            assert Decimal(coin["walletBalance"]).quantize(Decimal("0.01")) == cash(box, "bybit")
            resting = await exchange.create_order_ws(symbol, "limit", "buy", 0.01, float(exchange.price_to_precision(symbol, ticker["last"] * 0.8)))
            await exchange.cancel_order_ws(resting["id"], symbol)
            (position,) = await exchange.fetch_positions([symbol])
            assert position["contracts"] == 0.02 and box.exchanges["bybit"].account.positions[PERP].lots == 20
        finally:
            await exchange.close()

    on_server(check)


def test_mexc_trades_over_rest_and_websocket() -> None:
    async def check(box: Box, base: str) -> None:
        exchange = account_of("mexc", base, pro)
        symbol = "BTC/USDT:USDT"
        try:
            await exchange.load_markets()
            book, trades, ticker = await asyncio.gather(exchange.watch_order_book(symbol), exchange.watch_trades(symbol), exchange.watch_ticker(symbol))
            assert book["bids"][0][0] < book["asks"][0][0] and trades and ticker["last"]
            orders = asyncio.create_task(exchange.watch_orders())
            mine = asyncio.create_task(exchange.watch_my_trades())
            wallet = asyncio.create_task(exchange.watch_balance())
            await until(lambda: "order" in box._mexc.personal)
            got = await trade(exchange, symbol, 50, lambda: exchange.set_leverage(9, symbol, {"openType": 2, "positionType": 1}))
            assert (await orders)[-1]["id"] and (await mine)[-1]["order"] == got["order"]["id"] and (await wallet)["USDT"]["free"] > 0
            core = box.exchanges["mexc"].account
            assert (core.positions[MEXC].lots, core.positions[MEXC].leverage) == (50, 9)
            info = got["balance"]["info"]["data"][0]
            assert Decimal(str(info["cashBalance"])).quantize(Decimal("0.01")) == cash(box, "mexc")
        finally:
            await exchange.close()

    on_server(check)


def test_binance_shows_its_market() -> None:
    async def check(box: Box, base: str) -> None:
        exchange = account_of("binance", base, pro)
        symbol = "BTC/USDT"
        try:
            await exchange.load_markets()
            ticker, book, bars, trades = await asyncio.gather(
                exchange.fetch_ticker(symbol), exchange.fetch_order_book(symbol, 20), exchange.fetch_ohlcv(symbol, "1m", limit=5), exchange.fetch_trades(symbol)
            )
            assert ticker["bid"] < ticker["ask"] and len(book["bids"]) == 20 and trades
            assert [bar[0] % 60_000 for bar in bars] == [0] * len(bars) and bars
            best = await exchange.watch_bids_asks([symbol])
            live, deals, candle = await asyncio.gather(exchange.watch_order_book(symbol), exchange.watch_trades(symbol), exchange.watch_ohlcv(symbol, "1m"))
            assert best[symbol]["bid"] < best[symbol]["ask"] and live["bids"][0][0] < live["asks"][0][0] and deals and candle
        finally:
            await exchange.close()

    on_server(check)


def test_ccxt_trades_in_process_without_a_socket() -> None:
    box = Box(5)

    async def main() -> None:
        exchange = ccxt.bybit({"apiKey": KEY.key, "secret": KEY.secret})
        plug(exchange, box)
        try:
            symbol = "BTC/USDT:USDT"
            got = await trade(exchange, symbol, 0.01, lambda: exchange.set_leverage(7, symbol))
            assert Decimal(str(got["balance"]["USDT"]["total"])).quantize(Decimal("0.01")) == cash(box, "bybit")
        finally:
            await exchange.close()

    run_virtual(main(), box.clock, box)  # type: ignore[arg-type]
    assert box.start_ns == NEW_YEAR_2024 + 4 * 3_600 * 10**9
