import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from tests.tape.importers.recordings import bybit, dumps, quote, record, stream, trade
from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.tape.catalog import GRIDS, known_instrument, make_instrument, normal_symbol, split_symbol, venue_rules
from titan_core.tape.importers.detect import Format, Layout, detect, symbol_from_name, venue_from_name
from titan_core.tape.importers.dispatch import Request, import_file
from titan_core.tape.importers.target import target_for
from titan_core.tape.manifest import GridSource

BARS = "ts_ms,open,high,low,close,volume\n1700000040000,1,2,1,2,3\n1700000100000,1,2,1,2,3\n"


def test_formats_markets_and_symbols_are_told_from_the_beginning(tmp_path: Path) -> None:
    spot = trade(1, kind=None).replace('"m":false', '"m":false,"M":true')
    assert detect(record(tmp_path / "a", [quote(1)])).market == "usdm" and detect(record(tmp_path / "b", [spot])).market == "spot"
    found = detect(record(tmp_path / "c", [quote(1), stream("trade", {}, "ethusdt")], packed=True))
    assert (found.format, found.layout, found.symbols) == (Format.BINANCE_WS, Layout.STAMPED, ("BTCUSDT", "ETHUSDT"))
    found = detect(record(tmp_path / "d", [bybit("orderbook.50.BTCUSDT", "snapshot", {})]))
    assert (found.format, found.symbols) == (Format.BYBIT_WS, ("BTCUSDT",))
    (tmp_path / "e").write_text(dumps([{"e": "aggTrade", "s": "BTCUSDT"}]))
    assert (detect(tmp_path / "e").format, detect(tmp_path / "e").layout) == (Format.BINANCE_WS, Layout.ARRAY)


@pytest.mark.parametrize(
    ("header", "format"),
    [
        ("ts_ms,open,high,low,close,volume", Format.OHLCV),
        ("timestamp,Open,High,Low,Close,Volume", Format.OHLCV),
        ("ts_ms,venue,coin,o,h,l,c,v", Format.OHLCV),
        ("ts_ms,funding_rate", Format.FUNDING),
        ("ts_ms,label,open_interest,mark_price", Format.OPEN_INTEREST),
        ("id,exchange,symbol,side,raw_side,qty,price,event_ts", Format.LIQUIDATIONS),
        ("ts_ms,coin,total_usd,long_usd", None),
    ],
)
def test_tables_are_told_by_their_columns(tmp_path: Path, header: str, format: Format | None) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(f"{header}\n1,2\n".encode()))
    assert detect(tmp_path / "t.csv.gz").format is format


def test_what_no_importer_reads_is_named(tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(b"PAR1 and so on")
    (tmp_path / "e").write_bytes(b"\n\n")
    for name, text in (("p", "Parquet"), ("e", "is empty"), ("absent", "no such file")):
        with pytest.raises(TapeError, match=text):
            detect(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "venue", "symbol"),
    [
        ("binance_usdm_BTCUSDT_5m_20230101.csv.gz", "binance-usdm", "BTCUSDT"),
        ("bybit_linear_wifusdt_funding.csv", "bybit-linear", "WIFUSDT"),
        ("mexc_contract_BTC-USDT_5m.csv", "mexc-contract", "BTCUSDT"),
        ("prices.csv", None, None),
        ("okx_swap_BTCUSDT_1h.csv", None, None),
    ],
)
def test_venue_and_symbol_in_a_file_name(name: str, venue: str | None, symbol: str | None) -> None:
    assert (venue_from_name(Path(name)), symbol_from_name(Path(name))) == (venue, symbol)


def test_a_file_is_imported_as_what_it_and_its_name_say(tmp_path: Path) -> None:
    (tmp_path / "binance_spot_BTCUSDT_1m.csv").write_text(BARS)
    result = import_file(tmp_path / "binance_spot_BTCUSDT_1m.csv", Request(), {})
    assert result.instrument.id == "BTCUSDT.binance-spot" and result.source.format == "ohlcv"
    assert import_file(record(tmp_path / "r", [quote(1)]), Request(), {}).instrument.id == "BTCUSDT.binance-usdm"


def test_what_the_user_says_wins(tmp_path: Path) -> None:
    (tmp_path / "binance_spot_BTCUSDT_1m.csv").write_text(BARS)
    request = Request(venue="bybit-linear", symbol="eth_usdt", tick=Decimal("0.5"), lot=Decimal("0.1"))
    result = import_file(tmp_path / "binance_spot_BTCUSDT_1m.csv", request, {})
    assert result.instrument.id == "ETHUSDT.bybit-linear" and result.instrument.tick_size == Decimal("0.5") and result.grid is GridSource.GIVEN


def test_the_tapes_instrument_sets_the_grid(tmp_path: Path) -> None:
    held = make_instrument("binance-usdm", "BTCUSDT", Decimal("0.05"), Decimal("0.01"))
    result = import_file(record(tmp_path / "r", [trade(1, "100.1", "0.5")]), Request(), {held.id: (held, GridSource.GIVEN)})
    assert result.raw[StreamKind.TRADE]["price"].tolist() == [2002] and result.instrument == held
    with pytest.raises(UsageError, match="already has BTCUSDT.binance-usdm with a tick size of 0.05"):
        target_for("binance-usdm", "BTCUSDT", Decimal("0.1"), None, {held.id: (held, GridSource.GIVEN)})


@pytest.mark.parametrize(
    ("name", "text", "request_", "message"),
    [
        ("x.csv", "a,b\n1,2\n", Request(), "give --format"),
        ("x.csv", BARS, Request(), "give --venue"),
        ("x.csv", BARS, Request(venue="binance-usdm"), "give --symbol"),
        ("x.csv", BARS, Request(market="swap"), "allowed are spot, usdm, linear, contract"),
        ("x.csv", BARS, Request(venue="binance-futures", symbol="BTCUSDT"), "venue 'binance-futures' is unknown; known are binance-spot"),
        ("r", None, Request(), "choose one with --symbol"),
        ("k", dumps({"e": "trade", "s": "BTCUSDT"}) + "\n", Request(), "give --market, one of spot, usdm"),
    ],
)
def test_what_cannot_be_told_is_asked_for(tmp_path: Path, name: str, text: str | None, request_: Request, message: str) -> None:
    if text is None:
        record(tmp_path / name, [quote(1), stream("trade", {}, "ethusdt")])
    else:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        import_file(tmp_path / name, request_, {})


# -- the catalogue ------------------------------------------------------------------------------------------------
def test_every_known_instrument_can_be_built_and_has_exact_money() -> None:
    built = [known_instrument(venue, symbol) for venue, grids in GRIDS.items() for symbol in grids]
    assert len(built) > 25 and all(i is not None and i.money_per_tick_lot >= 1 and i.quote == "USDT" for i in built)
    assert all(i is not None and (i.max_leverage == 1) == (not i.is_perp) for i in built)
    assert known_instrument("binance-usdm", "NOSUCHUSDT") is None


def test_symbols() -> None:
    assert normal_symbol("btc_usdt") == normal_symbol("BTC-USDT") == "BTCUSDT"
    assert split_symbol("BTCUSDT") == ("BTC", "USDT") and split_symbol("ETHBTC") == ("ETH", "BTC") and split_symbol("USDT") == ("USDT", "USDT")
    with pytest.raises(UsageError, match="known are"):
        venue_rules("nyse")
