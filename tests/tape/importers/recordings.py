"""Hand-made Binance and Bybit messages, written the way the exchanges write them."""

import gzip
import json
from pathlib import Path
from typing import Any

START = 1_700_000_000_000_000_000
MS = 1_000_000

Levels = list[tuple[str, str]]


def dumps(message: Any) -> str:
    return json.dumps(message, separators=(",", ":"))


def stream(name: str, data: dict[str, Any], symbol: str = "btcusdt") -> str:
    return dumps({"stream": f"{symbol}@{name}", "data": data})


def quote(u: int, bid: str = "100.1", ask: str = "100.2", bid_size: str = "1.5", ask_size: str = "2.5", at: int = 0, spot: bool = False) -> str:
    data = {"u": u, "s": "BTCUSDT", "b": bid, "B": bid_size, "a": ask, "A": ask_size}
    return stream("bookTicker", data if spot else {"e": "bookTicker", **data, "T": START // MS + at, "E": START // MS + at})


def trade(number: int, price: str = "100.1", size: str = "0.5", maker: bool = False, at: int = 0, kind: str | None = "MARKET") -> str:
    data: dict[str, Any] = {"e": "trade", "E": START // MS + at, "T": START // MS + at, "s": "BTCUSDT", "t": number, "p": price, "q": size}
    return stream("trade", data | ({"X": kind} if kind else {}) | {"m": maker})


def depth(first: int, last: int, before: int | None, bids: Levels, asks: Levels, at: int = 0) -> str:
    data: dict[str, Any] = {"e": "depthUpdate", "E": START // MS + at, "T": START // MS + at, "s": "BTCUSDT", "U": first, "u": last}
    return stream("depth@100ms", data | ({} if before is None else {"pu": before}) | {"b": bids, "a": asks})


def snapshot(last: int, bids: Levels, asks: Levels) -> str:
    return dumps({"lastUpdateId": last, "bids": bids, "asks": asks})


def record(path: Path, messages: list[str], *, step_ns: int = MS, times: list[int] | None = None, unit: int = 1, packed: bool = False) -> Path:
    """Write messages with receive times `step_ns` apart (or the given ones), in ns divided by `unit`."""
    stamps = times if times is not None else [START + place * step_ns for place in range(len(messages))]
    text = "".join(f"{stamp // unit} {message}\n" for stamp, message in zip(stamps, messages, strict=True)).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    return path


def bybit(topic: str, kind: str, data: Any, at: int = 0) -> str:
    return dumps({"topic": topic, "type": kind, "ts": START // MS + at, "data": data, "cts": START // MS + at})


def book(depth_of: int, kind: str, u: int, bids: Levels, asks: Levels, at: int = 0) -> str:
    return bybit(f"orderbook.{depth_of}.BTCUSDT", kind, {"s": "BTCUSDT", "b": bids, "a": asks, "u": u, "seq": 1000 + u}, at)
