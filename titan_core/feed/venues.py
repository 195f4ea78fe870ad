"""Where the venues are and who speaks their words; which hosts may be spoken to at all says `hosts.py`."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial

from attrs import frozen

from titan_core.feed.codecs.binance_spot import VENUE as BINANCE
from titan_core.feed.codecs.binance_spot import BinanceSpot
from titan_core.feed.codecs.bybit_v5 import LINEAR, SPOT, BybitV5
from titan_core.feed.codecs.mexc_contract import VENUE as MEXC
from titan_core.feed.codecs.mexc_contract import MexcContract
from titan_core.feed.port import Codec, Sink
from titan_core.feed.rest.binance import BinanceRest
from titan_core.feed.rest.bybit import BybitRest
from titan_core.feed.rest.mexc import MexcRest
from titan_core.feed.rest.port import Fetch, VenueRest
from titan_core.model.ids import VenueId


@frozen
class Endpoint:
    """Where a venue's public market data is to be had."""

    websocket_url: str
    rest_url: str


PUBLIC: Mapping[VenueId, Endpoint] = {
    BINANCE: Endpoint("wss://stream.binance.com:9443/stream", "https://api.binance.com"),
    LINEAR: Endpoint("wss://stream.bybit.com/v5/public/linear", "https://api.bybit.com"),
    SPOT: Endpoint("wss://stream.bybit.com/v5/public/spot", "https://api.bybit.com"),
    MEXC: Endpoint("wss://contract.mexc.com/edge", "https://contract.mexc.com"),
}

_BOX_PATHS = {BINANCE: ("binance", "/stream"), LINEAR: ("bybit", "/v5/public/linear"), SPOT: ("bybit", "/v5/public/spot"), MEXC: ("mexc", "/edge")}

Codecs = Mapping[VenueId, Callable[[Sink], Codec]]

CODECS: Codecs = {
    BINANCE: BinanceSpot,
    LINEAR: BybitV5,
    SPOT: lambda sink: BybitV5(sink, SPOT),
    MEXC: MexcContract,
}


def compiled_codecs() -> Codecs:
    """Return the codecs, those with a compiled form in that form where numba is installed; the rows are the same.

    Loads and compiles, so it is to be called before the loop runs: some tenths of a second, and seconds the first time on a machine.
    """
    try:
        compiled = importlib.import_module("titan_core.feed.compiled")
    except ImportError:
        return CODECS
    compiled.warm_up()
    return {**CODECS, BINANCE: partial(BinanceSpot, compiled=compiled)}


def box_endpoints(url: str) -> dict[VenueId, Endpoint]:
    """Return the endpoints of a venue in a box that listens at `url`, such as `http://127.0.0.1:8899`."""
    socket = "ws" + url.removeprefix("http")
    return {venue: Endpoint(f"{socket}/{name}{path}", f"{url}/{name}") for venue, (name, path) in _BOX_PATHS.items()}


def rests(endpoints: Mapping[VenueId, Endpoint], fetch: Fetch) -> dict[VenueId, VenueRest]:
    """Return the public REST of each venue."""
    makers: dict[VenueId, Callable[[str], VenueRest]] = {
        BINANCE: lambda base: BinanceRest(fetch, base),
        LINEAR: lambda base: BybitRest(fetch, LINEAR, base),
        SPOT: lambda base: BybitRest(fetch, SPOT, base),
        MEXC: lambda base: MexcRest(fetch, base),
    }
    return {venue: makers[venue](endpoint.rest_url) for venue, endpoint in endpoints.items()}
