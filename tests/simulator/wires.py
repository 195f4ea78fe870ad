"""Signed requests and open sockets, without sockets."""

from typing import Any

import msgspec

from titan_core.simulator.box import Box
from titan_core.simulator.sockets import BoxSocket
from titan_core.simulator.wire import Credential, Outcome, Request, Response, encode, signature

KEY = Credential()


def bybit_request(box: Box, method: str, path: str, values: dict[str, Any] | None = None, *, key: Credential = KEY, stamp: int | None = None) -> Request:
    at = str(box.venues["bybit"].server_ms() if stamp is None else stamp)
    query = "&".join(f"{name}={value}" for name, value in (values or {}).items()) if method == "GET" else ""
    body = encode(values or {}) if method == "POST" else b""
    headers = {"x-bapi-api-key": key.key, "x-bapi-timestamp": at, "x-bapi-recv-window": "5000"}
    headers["x-bapi-sign"] = signature(key.secret, at + key.key + "5000" + (query or body.decode()))
    return Request(method, path, query, headers, body)


def mexc_request(box: Box, method: str, path: str, values: Any = None, *, stamp: int | None = None) -> Request:
    at = str(box.venues["mexc"].server_ms() if stamp is None else stamp)
    query = "&".join(f"{name}={values[name]}" for name in sorted(values or {})) if method == "GET" else ""
    body = encode(values if values is not None else {}) if method == "POST" else b""
    headers = {"apikey": KEY.key, "request-time": at, "signature": signature(KEY.secret, KEY.key + at + (query or body.decode()))}
    return Request(method, path, query, headers, body)


def body_of(outcome: Outcome) -> Any:
    assert isinstance(outcome, Response), outcome
    return msgspec.json.decode(outcome.body)


def bybit(box: Box, method: str, path: str, values: dict[str, Any] | None = None, **options: Any) -> Any:
    return body_of(box.handle_http("bybit", bybit_request(box, method, path, values, **options)))


def mexc(box: Box, method: str, path: str, values: Any = None, **options: Any) -> Any:
    return body_of(box.handle_http("mexc", mexc_request(box, method, path, values, **options)))


def binance(box: Box, path: str, query: str = "") -> Any:
    return body_of(box.handle_http("binance", Request("GET", path, query)))


def buy(box: Box, **fields: Any) -> Any:
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.010"}
    return bybit(box, "POST", "/v5/order/create", order | fields)


class Client:
    """A websocket that keeps what it got."""

    def __init__(self, box: Box, venue: str, path: str) -> None:
        self.frames: list[Any] = []
        self.closed: list[str] = []
        self.box = box
        self.socket: BoxSocket = box.open_socket(venue, path, lambda frame: self.frames.append(msgspec.json.decode(frame)), self.closed.append)

    def send(self, message: Any) -> Any:
        before = len(self.frames)
        self.socket.receive(encode(message))
        return self.frames[before] if len(self.frames) > before else None

    def topic(self, name: str) -> list[Any]:
        return [each for each in self.frames if each.get("topic") == name or each.get("channel") == name or each.get("stream") == name]


def public(box: Box, *topics: str, category: str = "linear") -> Client:
    made = Client(box, "bybit", f"/v5/public/{category}")
    assert made.send({"op": "subscribe", "req_id": "1", "args": list(topics)})["success"]
    return made


def private(box: Box, *topics: str) -> Client:
    made = Client(box, "bybit", "/v5/private")
    expires = box.venues["bybit"].server_ms() + 10_000
    assert made.send({"op": "auth", "args": [KEY.key, expires, signature(KEY.secret, f"GET/realtime{expires}")]})["success"]
    assert made.send({"op": "subscribe", "args": list(topics)})["success"]
    return made


def trade_socket(box: Box) -> Client:
    made = Client(box, "bybit", "/v5/trade")
    expires = box.venues["bybit"].server_ms() + 10_000
    assert made.send({"op": "auth", "args": [KEY.key, expires, signature(KEY.secret, f"GET/realtime{expires}")]})["retCode"] == 0
    return made


def trade_message(box: Box, **fields: Any) -> dict[str, Any]:
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.010"} | fields
    header = {"X-BAPI-TIMESTAMP": str(box.venues["bybit"].server_ms()), "X-BAPI-RECV-WINDOW": "5000"}
    return {"reqId": "r1", "header": header, "op": "order.create", "args": [order]}


def mexc_private(box: Box) -> Client:
    made = Client(box, "mexc", "/edge")
    at = str(box.venues["mexc"].server_ms())
    login = {"apiKey": KEY.key, "reqTime": at, "signature": signature(KEY.secret, KEY.key + at)}
    assert made.send({"method": "login", "param": login})["channel"] == "rs.login"
    return made
