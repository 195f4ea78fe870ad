"""How ccxt's exchange objects are led to the box: by address to the server, or by replacing the one method that touches the network."""

import asyncio
from typing import Any

from titan_core.errors import UsageError
from titan_core.simulator.box import Box
from titan_core.simulator.inprocess import BoxHttp


def redirect(exchange: Any, base_url: str) -> None:
    """Lead a ccxt exchange (bybit, mexc or binance; async or pro) to a box at `base_url`, such as `http://127.0.0.1:8899`. Raises UsageError for others."""
    base = base_url.rstrip("/")
    socket = base.replace("http", "ws", 1)
    guides = {"bybit": _bybit, "mexc": _mexc, "binance": _binance}
    name = str(exchange.id)
    if name not in guides:
        raise UsageError(f"the box speaks as {', '.join(guides)}, not as {name}")
    guides[name](exchange, f"{base}/{name}", f"{socket}/{name}")


def _bybit(exchange: Any, base: str, socket: str) -> None:
    api: dict[str, Any] = {name: base for name, url in exchange.urls["api"].items() if isinstance(url, str)}
    public = {category: f"{socket}/v5/public/{category}" for category in ("spot", "linear", "inverse", "option")}
    private = f"{socket}/v5/private"
    api["ws"] = {
        "public": public,
        "private": {"spot": {"unified": private, "nonUnified": private}, "contract": private, "usdc": private, "trade": f"{socket}/v5/trade"},
    }
    exchange.urls["api"] = api
    exchange.options["fetchMarkets"] = {"types": ["spot", "linear"]}


def _mexc(exchange: Any, base: str, socket: str) -> None:
    exchange.urls["api"] = {
        "spot": {"public": base, "private": base},
        "spot2": {"public": f"{base}/open/api/v2", "private": f"{base}/open/api/v2"},
        "contract": {"public": f"{base}/api/v1/contract", "private": f"{base}/api/v1/private"},
        "broker": {"private": f"{base}/api/v3/broker"},
        "ws": {"spot": f"{socket}/ws", "swap": f"{socket}/edge"},
    }
    exchange.options["defaultType"] = "swap"


def _binance(exchange: Any, base: str, socket: str) -> None:
    api: dict[str, Any] = {name: f"{base}/none" for name, url in exchange.urls["api"].items() if isinstance(url, str)}
    api |= {"public": f"{base}/api/v3", "private": f"{base}/api/v3", "v1": f"{base}/api/v1"}
    ws = exchange.urls["api"].get("ws")
    if isinstance(ws, dict):
        api["ws"] = {name: f"{socket}/ws" for name, url in ws.items() if isinstance(url, str)}
    exchange.urls["api"] = api
    exchange.options["fetchMarkets"] = {"types": ["spot"]}
    exchange.options["fetchCurrencies"] = False
    exchange.options["fetchMargins"] = False
    exchange.has["fetchCurrencies"] = False


def plug(exchange: Any, box: Box, latency_s: float = 0.001) -> None:
    """Lead a ccxt async exchange into a box of this process: requests reach it without a socket, time is the box's.

    ccxt's own throttle sleeps by the computer's clock and is switched off; websockets are not led here, use `BoxTransport`.
    """
    redirect(exchange, "http://box")
    http = BoxHttp(box, latency_s)
    exchange.enableRateLimit = False
    exchange.milliseconds = lambda: box.venues[str(exchange.id)].now_ms()

    async def fetch(url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        from ccxt.base.errors import ExchangeNotAvailable, RequestTimeout

        sent = exchange.prepare_request_headers(headers)
        try:
            async with asyncio.timeout(exchange.timeout / 1000):
                response = await http.request(method, url, dict(sent), body.encode() if body else b"")
        except TimeoutError:
            raise RequestTimeout(f"{exchange.id} {method} {url}") from None
        except ConnectionError:
            raise ExchangeNotAvailable(f"{exchange.id} {method} {url}") from None
        text, known = response.body.decode("utf-8", "replace"), dict(response.headers)
        text = exchange.on_rest_response(response.status, "", url, method, known, text, sent, body)
        document = exchange.parse_json(text)
        exchange.last_http_response, exchange.last_json_response, exchange.last_response_headers = text, document, known
        exchange.handle_errors(response.status, "", url, method, known, text, document, sent, body)
        exchange.handle_http_status_code(response.status, "", url, method, text)
        return document if document is not None else text

    exchange.fetch = fetch
