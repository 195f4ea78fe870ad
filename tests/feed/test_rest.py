"""What the venues answer by REST: the values of their own documents, and of all three venues in a box."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from tests.feed.boxes import Bench, on_box
from titan_core.errors import VenueUnavailable
from titan_core.feed.codecs.bybit_v5 import LINEAR
from titan_core.feed.codecs.bybit_v5 import SPOT as BYBIT_SPOT
from titan_core.feed.hosts import HostPolicy, HostRefused
from titan_core.feed.rest.aiohttp_fetch import AiohttpFetch
from titan_core.feed.rest.binance import BinanceRest
from titan_core.feed.rest.bybit import BybitRest
from titan_core.feed.rest.mexc import MexcRest
from titan_core.feed.rest.port import Fetch, Kline, Print
from titan_core.feed.venues import PUBLIC, box_endpoints
from titan_core.model.units import MIN, MS, S
from titan_core.tape.catalog import known_instrument

BINANCE, BYBIT, MEXC = (known_instrument(venue, "BTCUSDT") for venue in ("binance-spot", "bybit-linear", "mexc-contract"))
assert BINANCE is not None and BYBIT is not None and MEXC is not None


def answering(body: bytes, status: int = 200) -> Fetch:
    async def fetch(url: str) -> tuple[int, bytes]:
        return status, body

    return fetch


def document(path: Path) -> bytes:
    """The JSON of a fixture that begins with method, path and a flag, or is JSON alone."""
    text = path.read_text()
    return text[text.index("{") if not text.lstrip().startswith(("[", "{")) else 0 :].encode()


# -- documents ------------------------------------------------------------------------------------------------------------
def test_binance_documents(market_data: Path) -> None:
    folder = market_data / "fixtures/binance/nautilus_spot/http_json"
    body = document(folder / "exchange_info_response.json")
    made, refused = asyncio.run(BinanceRest(answering(body)).instruments())
    listed = {row["symbol"]: row for row in json.loads(body)["symbols"] if row["status"] == "TRADING"}
    assert {each.symbol for each in made} | {text.partition(":")[0] for text in refused} == set(listed)
    for each in made:
        filters = {one["filterType"]: one for one in listed[each.symbol]["filters"]}
        assert each.tick_size == Decimal(filters["PRICE_FILTER"]["tickSize"]) and each.lot_size == Decimal(filters["LOT_SIZE"]["stepSize"])
        assert (each.base, each.quote) == (listed[each.symbol]["baseAsset"], listed[each.symbol]["quoteAsset"])
    time_body = document(folder / "server_time_response.json")
    assert asyncio.run(BinanceRest(answering(time_body)).server_time_ns()) == json.loads(time_body)["serverTime"] * MS


def test_bybit_documents(market_data: Path) -> None:
    folder = market_data / "fixtures/bybit_v5/nautilus"
    for venue, name in ((LINEAR, "http_get_instruments_linear"), (BYBIT_SPOT, "http_get_instruments_spot")):
        body = document(folder / f"{name}.json")
        made, refused = asyncio.run(BybitRest(answering(body), venue).instruments())
        rows = {row["symbol"]: row for row in json.loads(body)["result"]["list"] if row["status"] == "Trading"}
        assert made and {each.symbol for each in made} <= set(rows) and len(made) + len(refused) == len(rows)
        for each in made:
            sizes = rows[each.symbol]["lotSizeFilter"]
            assert each.tick_size == Decimal(rows[each.symbol]["priceFilter"]["tickSize"])
            assert each.lot_size == Decimal(sizes["qtyStep"] if venue == LINEAR else sizes["basePrecision"])


def test_mexc_documents(market_data: Path) -> None:
    folder = market_data / "fixtures/mexc_contract/jkorf_endpoints"
    made, refused = asyncio.run(MexcRest(answering(document(folder / "ExchangeData_GetSymbols.txt"))).instruments())
    bitcoin = next(each for each in made if each.symbol == "BTCUSDT")
    assert (bitcoin.tick_size, bitcoin.lot_size, bitcoin.max_leverage, bitcoin.maintenance_margin_bps) == (Decimal("0.5"), Decimal("0.0001"), 125, 40)
    assert (bitcoin.taker_fee_ppm, bitcoin.maker_fee_ppm, bitcoin.base, bitcoin.quote) == (600, 200, "BTC", "USDT")
    prints, complete = asyncio.run(MexcRest(answering(document(folder / "ExchangeData_GetRecentTrades.txt"))).trades(MEXC, "", 1609831234759 * MS))
    assert prints == [Print("", 1609831235985 * MS, 311_990, 18)] and complete


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}", b"[]", b'{"retCode":0,"result":{"list":[{"execId"', b"null"])
@pytest.mark.parametrize("make", [BinanceRest, BybitRest, MexcRest])
def test_what_is_no_answer_is_no_data(make: Callable[[Fetch], BinanceRest | BybitRest | MexcRest], body: bytes) -> None:
    rest = make(answering(body))
    instrument = {BinanceRest: BINANCE, BybitRest: BYBIT, MexcRest: MEXC}[make]  # type: ignore[index]
    for ask in (rest.server_time_ns, rest.instruments, lambda: rest.newest(instrument), lambda: rest.klines(instrument, 1, 3)):
        if body != b"[]" or ask is rest.server_time_ns:
            with pytest.raises(VenueUnavailable):
                asyncio.run(ask())  # type: ignore[arg-type]
    with pytest.raises(VenueUnavailable, match="status 503"):
        asyncio.run(make(answering(body, 503)).server_time_ns())


def test_errors_that_venues_name_are_told() -> None:
    with pytest.raises(VenueUnavailable, match="10006 Too many visits"):
        asyncio.run(BybitRest(answering(b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}')).newest(BYBIT))
    with pytest.raises(VenueUnavailable, match="1001 Contract not exists"):
        asyncio.run(MexcRest(answering(b'{"success":false,"code":1001,"message":"Contract not exists"}')).newest(MEXC))


# -- the box ----------------------------------------------------------------------------------------------------------------
def test_the_venues_of_the_box_answer_everything() -> None:
    async def main(bench: Bench) -> None:
        await asyncio.sleep(30)
        for venue, rest in bench.rests.items():
            instrument = next(each for each in bench.instruments if each.venue == venue and each.symbol == "BTCUSDT")
            bid, ask = await rest.newest(instrument)
            assert 0 < bid < ask
            (*_, bar) = await rest.klines(instrument, 1, 2)
            assert isinstance(bar, Kline) and bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high and bar.open_ns % MIN == 0
            assert abs(await rest.server_time_ns() - bench.box.now_ns()) < S
            made, refused = await rest.instruments()
            assert not refused and (instrument.tick_size, instrument.lot_size) in [(each.tick_size, each.lot_size) for each in made if each.symbol == "BTCUSDT"]
            prints, _ = await rest.trades(instrument, 0 if venue == "binance-spot" else "", 0)
            assert prints == sorted(prints, key=lambda each: each.event_ns)
            later, complete = await rest.trades(instrument, prints[-3].id, prints[-3].event_ns)
            assert complete and later[-1].id == prints[-1].id

    on_box(main)


# -- aiohttp ----------------------------------------------------------------------------------------------------------------
def serving(client: Callable[[str], Awaitable[None]]) -> None:
    async def main() -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            if request.path == "/slow":
                await asyncio.sleep(5)
            if request.path == "/away":
                raise web.HTTPFound("/here")
            return web.Response(body=b"here", status=200 if request.path == "/here" else 404)

        app = web.Application()
        app.router.add_get("/{any:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            await client(f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    asyncio.run(main())


def test_fetching_over_aiohttp_gives_status_and_body_or_says_why_not() -> None:
    async def client(url: str) -> None:
        async with AiohttpFetch(timeout_s=0.3) as fetch:
            assert await fetch(f"{url}/here") == (200, b"here")
            assert (await fetch(f"{url}/nowhere"))[0] == 404
            assert (await fetch(f"{url}/away"))[0] == 302, "a redirect is not followed"
            with pytest.raises(VenueUnavailable, match="no answer"):
                await fetch(f"{url}/slow")
            with pytest.raises(VenueUnavailable, match="no answer"):
                await fetch("http://127.0.0.1:1/")
        with pytest.raises(VenueUnavailable, match="closed"):
            await fetch(f"{url}/here")

    serving(client)


# -- hosts --------------------------------------------------------------------------------------------------------------------
def test_the_venues_are_where_titan_may_go_and_the_box_only_where_it_is_asked_for() -> None:
    live, box = HostPolicy.of(PUBLIC), HostPolicy.of([], simulator=True)
    for endpoint in PUBLIC.values():
        live.check(endpoint.websocket_url)
        live.check(endpoint.rest_url)
        with pytest.raises(HostRefused):
            box.check(endpoint.rest_url)
    for endpoint in box_endpoints("http://127.0.0.1:8899").values():
        box.check(endpoint.websocket_url)
        with pytest.raises(HostRefused):
            live.check(endpoint.rest_url)
