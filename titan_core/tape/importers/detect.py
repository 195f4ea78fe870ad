"""Telling what a file is from its beginning: format, market, layout, symbols."""

import re
from enum import StrEnum
from pathlib import Path

from attrs import field, frozen

from titan_core.errors import TapeError
from titan_core.tape.catalog import VENUES, normal_symbol
from titan_core.tape.importers.lines import head, preview


class Format(StrEnum):
    """What can be imported."""

    BINANCE_WS = "binance-ws"
    BYBIT_WS = "bybit-ws"
    OHLCV = "ohlcv"
    FUNDING = "funding"
    OPEN_INTEREST = "open-interest"
    LIQUIDATIONS = "liquidations"


class Layout(StrEnum):
    """How a recording writes its messages down."""

    STAMPED = "receive time, space, message"
    CRYPTOFEED = "cryptofeed"
    BARE = "one message per line"
    ARRAY = "JSON array"
    TRADES_CSV = "CSV of trades"
    TABLE = "CSV"


@frozen
class Detected:
    """What the beginning of a file tells; None where it does not. `market` is spot, usdm or linear."""

    format: Format | None
    layout: Layout
    market: str | None = None
    symbols: tuple[str, ...] = ()
    columns: tuple[str, ...] = field(default=())


_STREAM = re.compile(rb'"stream":\s?"([a-z0-9_]+)@(\w+)')
_TOPIC = re.compile(rb'"topic":\s?"([A-Za-z]+)(?:\.\w+)*\.([A-Z0-9]+)"')
_OLD_TOPIC = re.compile(rb'"topic":\s?"(orderBookL2_\w+|instrument_info|trade|insurance)\.|stream\.bybit\.com/realtime')
_EVENT = re.compile(rb'"e":\s?"(?:trade|aggTrade|depthUpdate|bookTicker|markPriceUpdate)"')
_SYMBOL = re.compile(rb'"s":\s?"([A-Z0-9]+)"')
_STAMPED = re.compile(rb"\d{10,19} \{")
_CRYPTOFEED = re.compile(rb"(?:(?:wss|https)://\S+ (?:<->|<-|->) )?\d{10}\.\d+(?:: .*)?$", re.DOTALL)
_USDM_ONLY = re.compile(rb'"pu":|"X":\s?"|markPriceUpdate|"e":\s?"bookTicker"|fstream\.binance')
_SPOT_ONLY = re.compile(rb'"M":\s?(?:true|false)|stream\.binance\.com')


def detect(path: Path) -> Detected:
    """Look at the beginning of a file. Raises TapeError for a file that no importer can read, saying what it is."""
    lines = [line for line in head(path) if line.strip()][:200]
    if not lines:
        raise TapeError(f"{path}: is empty; give a recording or a CSV file")
    first = lines[0]
    if first.startswith(b"PAR1"):
        raise TapeError(f"{path}: is a Parquet file; importable are {', '.join(Format)} as text or gzip: convert it to CSV")
    if re.match(rb"[A-Za-z_]+(,[A-Za-z_0-9]+)+\s*$", first):
        return _table(first)
    text = b"\n".join(lines)
    if _OLD_TOPIC.search(text):
        number, line = next((n, line) for n, line in enumerate(lines, 1) if _OLD_TOPIC.search(line))
        raise TapeError(
            f"{path}: line {number} speaks the Bybit protocol from before V5: {preview(line)}; "
            "allowed are the V5 topics publicTrade, tickers and orderbook: record wss://stream.bybit.com/v5/public"
        )
    if b'"channel":"push.' in text or b'"channel":"rs.' in text:
        raise TapeError(f"{path}: is a MEXC contract recording, which no importer reads; importable are {', '.join(Format)}")
    layout = _layout(first)
    if _TOPIC.search(text):
        symbols = {m.group(2).decode() for m in _TOPIC.finditer(text)}
        return Detected(Format.BYBIT_WS, layout, None, tuple(sorted(symbols)))
    if _STREAM.search(text) or _EVENT.search(text) or b'"lastUpdateId"' in text:
        return Detected(Format.BINANCE_WS, layout, _binance_market(text), _binance_symbols(text))
    return Detected(None, layout)


def _layout(first: bytes) -> Layout:
    if first.startswith(b"["):
        return Layout.ARRAY
    if _STAMPED.match(first):
        return Layout.STAMPED
    return Layout.CRYPTOFEED if _CRYPTOFEED.match(first) else Layout.BARE


def _binance_market(text: bytes) -> str | None:
    usdm, spot = bool(_USDM_ONLY.search(text)), bool(_SPOT_ONLY.search(text))
    return None if usdm == spot else "usdm" if usdm else "spot"


def _binance_symbols(text: bytes) -> tuple[str, ...]:
    symbols = {m.group(1).decode().upper() for m in _STREAM.finditer(text)} or {m.group(1).decode() for m in _SYMBOL.finditer(text)}
    return tuple(sorted(symbols))


def _table(header: bytes) -> Detected:
    columns = tuple(header.decode().strip().split(","))
    names = {column.lower() for column in columns}
    if "timestampofreceive" in names:
        market = "usdm" if "xunknownparameter" in names else "spot"
        return Detected(Format.BINANCE_WS, Layout.TRADES_CSV, market, columns=columns)
    tells = (
        ({"open", "high", "low", "close"}, Format.OHLCV),
        ({"o", "h", "l", "c"}, Format.OHLCV),
        ({"raw_side", "qty", "price"}, Format.LIQUIDATIONS),
        ({"side", "qty", "price", "event_ts"}, Format.LIQUIDATIONS),
        ({"open_interest"}, Format.OPEN_INTEREST),
        ({"funding_rate", "ts_ms"}, Format.FUNDING),
    )
    format = next((name for needed, name in tells if needed <= names), None)
    return Detected(format, Layout.TABLE, columns=columns)


_VENUE_IN_NAME = re.compile(r"(binance_spot|binance_usdm|bybit_linear|bybit_spot|mexc_contract)")
_SYMBOL_IN_NAME = re.compile(r"(?:spot|usdm|linear|contract)_([A-Za-z0-9-]+?)_")


def venue_from_name(path: Path) -> str | None:
    """Return the venue that a file name like `binance_usdm_BTCUSDT_5m.csv` speaks of, or None."""
    match = _VENUE_IN_NAME.search(path.name.lower())
    venue = match.group(1).replace("_", "-") if match else None
    return venue if venue in VENUES else None


def symbol_from_name(path: Path) -> str | None:
    """Return the symbol in a file name of that kind, or None."""
    match = _SYMBOL_IN_NAME.search(path.name)
    return normal_symbol(match.group(1)) if match else None


def venue_of(format: Format, market: str | None) -> str | None:
    """Return the venue that a recording's format and market mean, or None where they do not tell."""
    exchange = {Format.BINANCE_WS: "binance", Format.BYBIT_WS: "bybit"}.get(format)
    venue = f"{exchange}-{market}"
    return venue if exchange and market and venue in VENUES else None
