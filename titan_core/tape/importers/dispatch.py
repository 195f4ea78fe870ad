"""From a file and what the user said to the right importer."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

from attrs import frozen

from titan_core.errors import UsageError
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.tape.catalog import VENUES, normal_symbol
from titan_core.tape.importers.binance import import_binance_ws
from titan_core.tape.importers.bybit import import_bybit_ws
from titan_core.tape.importers.detect import Format, detect, symbol_from_name, venue_from_name, venue_of
from titan_core.tape.importers.lines import Progress
from titan_core.tape.importers.liquidations import import_liquidations
from titan_core.tape.importers.ohlcv import import_ohlcv
from titan_core.tape.importers.series import import_funding, import_open_interest
from titan_core.tape.importers.target import ImportResult, target_for
from titan_core.tape.manifest import GridSource

MARKETS = {"spot": "-spot", "usdm": "-usdm", "linear": "-linear", "contract": "-contract"}


_IMPORTERS: dict[Format, Callable[..., ImportResult]] = {
    Format.BINANCE_WS: import_binance_ws,
    Format.BYBIT_WS: import_bybit_ws,
    Format.OHLCV: import_ohlcv,
    Format.FUNDING: import_funding,
    Format.OPEN_INTEREST: import_open_interest,
    Format.LIQUIDATIONS: import_liquidations,
}


@frozen(kw_only=True)
class Request:
    """What the user said about a file; None where the file is to tell."""

    format: Format | None = None
    market: str | None = None
    symbol: str | None = None
    venue: str | None = None
    tick: Decimal | None = None
    lot: Decimal | None = None


def import_file(
    path: Path, request: Request, present: Mapping[InstrumentId, tuple[Instrument, GridSource]], *, progress: Progress | None = None
) -> ImportResult:
    """Import a file for a tape that already has the instruments of `present`.

    Raises UsageError where neither the user nor the file says what it is, TapeError where the file cannot be imported as that.
    """
    found = detect(path)
    format = request.format or found.format
    if format is None:
        raise UsageError(f"{path}: its beginning does not tell what it is; give --format, one of {', '.join(Format)}")
    venue = _venue(path, format, request, found.market)
    symbol = _symbol(path, request, found.symbols)
    target = target_for(venue, symbol, request.tick, request.lot, present)
    return _IMPORTERS[format](path, target, progress=progress)


def _venue(path: Path, format: Format, request: Request, found: str | None) -> str:
    if request.market is not None and request.market not in MARKETS:
        raise UsageError(f"--market {request.market}: allowed are {', '.join(MARKETS)}")
    if request.venue is not None:
        return request.venue
    named = venue_from_name(path)
    from_file = venue_of(format, request.market or found)
    if from_file is not None:
        return from_file
    if named is not None and (request.market is None or named.endswith(MARKETS[request.market])):
        return named
    if format in (Format.BINANCE_WS, Format.BYBIT_WS):
        allowed = "spot, usdm" if format is Format.BINANCE_WS else "linear, spot"
        raise UsageError(f"{path}: market {request.market or 'unknown'}; give --market, one of {allowed}")
    raise UsageError(f"{path}: neither the file nor its name tells the venue; give --venue, one of {', '.join(VENUES)}")


def _symbol(path: Path, request: Request, found: tuple[str, ...]) -> str:
    if request.symbol is not None:
        return normal_symbol(request.symbol)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{path}: holds several symbols: {', '.join(found)}; choose one with --symbol")
    named = symbol_from_name(path)
    if named is None:
        raise UsageError(f"{path}: neither the file nor its name tells the symbol; give --symbol, for example --symbol BTCUSDT")
    return named
