"""Pushes a Binance Spot recording through real loopback sockets, as fast as whoever listens takes it. `_feed_server.py FILE`.

One process, one port: websockets on `/stream?streams=...` (combined frames) and on `/ws/...` or `/stream` (sent once the streams have been subscribed to), and
the REST answers that clients ask for before they trust a book. All frames are laid out before anybody listens and leave in one blocking write, so that the
server costs next to nothing and is never what is waited for. Where `aggTrade` is asked for, each trade is sent under that name, which is the only kind of trade
that some clients know.
"""

import base64
import gzip
import hashlib
import json
import socket
import socketserver
import struct
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import parse_qs, urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
QUIET_S = 0.3
"""How long nothing is subscribed to before frames flow: clients fetch their snapshots meanwhile."""
SEND_BUFFER = 4 << 20
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
STREAMS = ("btcusdt@trade", "btcusdt@bookTicker", "btcusdt@depth@100ms")
INFO = {
    "timezone": "UTC",
    "serverTime": 1723161255208,
    "rateLimits": [],
    "exchangeFilters": [],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "baseAssetPrecision": 8,
            "quoteAsset": "USDT",
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": ["SPOT"],
            "permissionSets": [["SPOT"]],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
                {"filterType": "NOTIONAL", "minNotional": "5.0"},
            ],
        }
    ],
}
"""The least that clients want to know of the instrument."""


def load(path: Path) -> tuple[list[tuple[str, bytes, bytes]], bytes]:
    """Return the messages as (stream, combined, bare) and the REST snapshot."""
    messages, snapshot = [], b""
    with gzip.open(path) as lines:
        for line in lines:
            text = line.rstrip(b"\n").partition(b" ")[2]
            if text.startswith(b'{"lastUpdateId"'):
                snapshot = text
                continue
            stream = text[11 : text.index(b'"', 11)].decode()
            messages.append((stream, text, text[text.index(b'"data":') + 7 : -1]))
    return messages, snapshot


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Lay out one unmasked frame."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    if size < 126:
        return head + bytes([size]) + payload
    return head + (struct.pack("!BH", 126, size) if size < 65_536 else struct.pack("!BQ", 127, size)) + payload


def as_aggregate(text: bytes) -> bytes:
    """Rename a trade."""
    return text.replace(b"btcusdt@trade", b"btcusdt@aggTrade").replace(b'"e":"trade"', b'"e":"aggTrade"').replace(b'"t":', b'"a":')


class Recorded:
    """What is pushed and answered."""

    def __init__(self, path: Path) -> None:
        self._messages, self.snapshot = load(path)
        self._laid_out: dict[tuple[frozenset[str], bool], bytes] = {}

    def frames(self, streams: frozenset[str], bare: bool) -> bytes:
        """Return all frames of some streams in one piece."""
        known = self._laid_out.get((streams, bare))
        if known is None:
            renamed = any("aggTrade" in stream for stream in streams)
            parts = []
            for stream, combined, data in self._messages:
                name = stream.replace("@trade", "@aggTrade") if renamed else stream
                if name in streams:
                    text = data if bare else combined
                    parts.append(frame(as_aggregate(text) if name != stream else text))
            known = self._laid_out[streams, bare] = b"".join(parts)
        return known

    def answer(self, path: str) -> bytes:
        """Return the body of a REST answer."""
        return self.snapshot if path.endswith("/depth") else json.dumps(INFO if path.endswith("/exchangeInfo") else {}).encode()


class Conversation(socketserver.StreamRequestHandler):
    """One connection: REST requests, or a websocket."""

    server: "Pusher"

    def handle(self) -> None:
        """Answer until the client has had enough."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError, EOFError):
            while True:
                target, headers = self._request()
                if headers.get("upgrade", "").lower() == "websocket":
                    return self._websocket(target, headers["sec-websocket-key"])
                body = self.server.recorded.answer(urlsplit(target).path)
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def _request(self) -> tuple[str, dict[str, str]]:
        lines: list[str] = []
        while (line := self.rfile.readline()) != b"\r\n":
            if not line:
                raise EOFError
            lines.append(line.decode("latin-1"))
        return lines[0].split(" ", 2)[1], {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    def _websocket(self, target: str, key: str) -> None:
        accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest())
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        parts = urlsplit(target)
        streams, bare = set(parse_qs(parts.query).get("streams", [""])[0].split("/")) - {""}, parts.path.startswith("/ws")
        pushing = self._push_soon(streams, bare)
        try:
            while True:
                opcode, payload = read_frame(cast(BinaryIO, self.rfile))
                if opcode == TEXT:
                    asked = json.loads(payload)
                    if asked.get("method") == "SUBSCRIBE":
                        pushing.cancel()
                        streams |= set(asked["params"])
                        pushing = self._push_soon(streams, bare)
                    self.wfile.write(frame(json.dumps({"result": None, "id": asked.get("id")}).encode()))
                elif opcode == PING:
                    self.wfile.write(frame(payload, PONG))
                elif opcode == CLOSE:
                    self.wfile.write(frame(payload, CLOSE))
                    return
        finally:
            pushing.cancel()

    def _push_soon(self, streams: set[str], bare: bool) -> threading.Timer:
        def push() -> None:
            with suppress(OSError):
                self.connection.sendall(self.server.recorded.frames(frozenset(streams), bare))

        timer = threading.Timer(QUIET_S, push)
        if streams:
            timer.start()
        return timer


def read_frame(stream: BinaryIO) -> tuple[int, bytes]:
    """Read one masked frame. Raises EOFError at the end."""

    def exactly(size: int) -> bytes:
        data = stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    first, second = exactly(2)
    size = second & 127
    if size >= 126:
        size = int.from_bytes(exactly(2 if size == 126 else 8), "big")
    mask = exactly(4) if second & 128 else bytes(4)
    return first & 15, bytes(byte ^ mask[place & 3] for place, byte in enumerate(exactly(size)))


class Pusher(socketserver.ThreadingTCPServer):
    """Serves one recording on a free port of the loopback address."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.recorded = Recorded(path)
        for bare in (True, False):
            for streams in (frozenset(STREAMS), *(frozenset({stream}) for stream in STREAMS)):
                self.recorded.frames(streams, bare)
        super().__init__(("127.0.0.1", 0), Conversation)


def main(path: Path) -> None:
    """Serve until standard input ends; say where on standard output."""
    with Pusher(path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(json.dumps({"ready": True, "port": server.server_address[1]}), flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
