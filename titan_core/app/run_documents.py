"""What stands in the run folder of a replay, as rows and documents."""

from collections.abc import Iterable, Mapping
from typing import Any

from titan_core import __version__
from titan_core.app.code_digest import code_digest
from titan_core.app.results import Results, usdt
from titan_core.config.load import Config
from titan_core.ledger.trades import RoundTrip
from titan_core.model.instrument import Instrument
from titan_core.telemetry.run_folder import FORMAT, KIND

DECISION_FIELDS: Mapping[str, tuple[str, ...]] = {
    "approved": ("client_order_id", "instrument", "signed_lots", "order_type", "limit", "trigger", "stop", "target", "tag"),
    "refused": ("client_order_id", "instrument", "signed_lots", "code", "observed", "limit"),
    "fill": ("client_order_id", "instrument", "signed_lots", "price", "fee", "liquidity", "cash"),
    "closed": ("client_order_id", "status", "leaves_lots"),
    "funding": ("instrument", "signed_lots", "mark", "rate_e8", "amount"),
    "charged": ("instrument", "phase", "fee"),
    "handed_over": ("instrument", "signed_lots", "giver", "taker", "mark2"),
    "deposited": ("amount", "reason"),
    "chart": ("trigger", "source", "destination", "guards"),
    "note": ("author", "text"),
}
"""Names of the values that follow kind and time in an entry of the record."""


def manifest(results: Results, config: Config, *, source: Mapping[str, Any], packages: Iterable[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Describe what ran."""
    tape = results.composition.tape
    return {
        "kind": KIND,
        "format": FORMAT,
        "titan": __version__,
        "digest": results.composition.engine.record.digest,
        "engine": results.composition.engine.form,
        "config_digest": config.digest,
        "code_digest": code_digest(packages),
        "packages": sorted(packages),
        "tape": {
            **source,
            "digest": tape.digest,
            "ticks": tape.ticks,
            "first_ns": tape.first_ns,
            "last_ns": tape.last_ns,
            "instruments": [str(i.id) for i in tape.instruments],
            "bars_only": {str(name): length for name, length in tape.bars_only.items()},
        },
        "phases": [str(book.id) for book in results.composition.governor.books],
        "arguments": dict(arguments),
    }


def decisions(results: Results) -> Iterable[dict[str, Any]]:
    """Yield every entry of the record with its values named."""
    for kind, ts_ns, *values in results.composition.engine.record.entries:
        yield {"kind": kind, "ts_ns": ts_ns, **dict(zip(DECISION_FIELDS[kind], values, strict=True))}


def chart(results: Results) -> Iterable[dict[str, Any]]:
    """Yield the transitions of the chart with their guard values by name."""
    for kind, ts_ns, *values in results.composition.engine.record.entries:
        if kind == "chart":
            trigger, source, destination, guards = values
            yield {"ts_ns": ts_ns, "trigger": trigger, "source": source, "destination": destination, "guards": dict(guards)}


def trades(results: Results) -> Iterable[dict[str, Any]]:
    """Yield the round trips, prices and amounts as the exchange writes them."""
    known = {instrument.id: instrument for instrument in results.composition.tape.instruments}
    for trip in results.ledger.trips:
        yield _trade(trip, known[trip.instrument])


def _trade(trip: RoundTrip, instrument: Instrument) -> dict[str, Any]:
    tick = float(instrument.tick_size)
    return {
        "event": "trade",
        "phase": trip.phase,
        "strategy": trip.strategy,
        "instrument": trip.instrument,
        "side": "long" if trip.max_lots > 0 else "short",
        "entry_ns": trip.entry_ns,
        "exit_ns": trip.exit_ns,
        "quantity": str(instrument.quantity(abs(trip.max_lots))),
        "entry_price": round(trip.average_entry * tick, 10),
        "exit_price": round(trip.average_exit * tick, 10),
        "gross": usdt(trip.gross),
        "fees": usdt(trip.fees),
        "funding": usdt(trip.funding),
        "net": usdt(trip.net),
        "fills": trip.fills,
        "handed_over": trip.handed_over,
        "tag": trip.tag,
    }


def fills(results: Results) -> Iterable[dict[str, Any]]:
    """Yield the executions with the cash after each."""
    known = {instrument.id: instrument for instrument in results.composition.tape.instruments}
    record = results.composition.engine.record
    for fill, cash in zip(record.fills, record.cash_after, strict=True):
        instrument = known[fill.instrument]
        yield {
            "ts_ns": fill.ts_ns,
            "phase": fill.phase,
            "strategy": fill.strategy,
            "client_order_id": fill.client_order_id,
            "instrument": fill.instrument,
            "side": "buy" if fill.signed_lots > 0 else "sell",
            "quantity": str(instrument.quantity(abs(fill.signed_lots))),
            "price": str(instrument.price(fill.price)),
            "fee": usdt(fill.fee),
            "liquidity": fill.liquidity,
            "tag": fill.tag,
            "cash": usdt(cash),
        }


def funding(results: Results) -> Iterable[dict[str, Any]]:
    """Yield the settlements of funding."""
    known = {instrument.id: instrument for instrument in results.composition.tape.instruments}
    for paid in results.composition.engine.record.funding:
        instrument = known[paid.instrument]
        yield {
            "ts_ns": paid.ts_ns,
            "phase": paid.phase,
            "instrument": paid.instrument,
            "quantity": str(instrument.quantity(paid.signed_lots)),
            "mark": str(instrument.price(paid.mark)),
            "rate": paid.rate_e8 / 1e8,
            "amount": usdt(paid.amount),
        }


def equity_csv(results: Results) -> str:
    """Return the equity curve: `ts_ns,equity,cash` in USDT."""
    curve = results.curve
    rows = zip(curve.ts_ns.tolist(), curve.equity.tolist(), curve.cash.tolist(), strict=True)
    return "ts_ns,equity,cash\n" + "".join(f"{ts},{equity / 1e8:.8f},{cash / 1e8:.8f}\n" for ts, equity, cash in rows)
