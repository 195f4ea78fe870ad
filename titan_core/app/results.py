"""Turns a finished run into figures: ledger, statistics, equity curve, and the summary that commands print."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from titan_core.app.compose import Composition
from titan_core.ledger.equity import EquityCurve, equity_curve
from titan_core.ledger.ledger import Ledger
from titan_core.ledger.statistics import RunStatistics, TradeStatistics, run_statistics
from titan_core.model.fill import Charge
from titan_core.model.ids import PhaseId
from titan_core.model.units import MIN, MONEY_PER_USDT, PPM, Money

SAMPLES = 5_000
"""An equity curve has about this many points at most, and none closer than a minute."""


@frozen(eq=False)
class Results:
    """What a run has made."""

    composition: Composition
    ledger: Ledger
    curve: EquityCurve
    statistics: RunStatistics
    wall_s: float

    @property
    def ticks(self) -> int:
        """Market events in the span of the run's tape."""
        return self.composition.tape.ticks


@frozen(eq=False)
class Booked:
    """The ledger of a run, and the charges that belong to no execution as (time, fee)."""

    ledger: Ledger
    charges: list[tuple[int, int]]


def book(composition: Composition, equity_start: Money) -> Booked:
    """Book everything that the run recorded."""
    engine = composition.engine
    ledger = Ledger(composition.tape.instruments, equity_start)
    charges = []
    for booking in engine.record.bookings:
        ledger.book(booking)
        if isinstance(booking, Charge):
            charges.append((booking.ts_ns, int(booking.fee)))
    return Booked(ledger, charges)


def collect(composition: Composition, booked: Booked, equity_start: Money, start_ns: int, end_ns: int, wall_s: float) -> Results:
    """Compute the figures of a booked run over [start, end]."""
    engine, tape, ledger, charges = composition.engine, composition.tape, booked.ledger, booked.charges
    step = max(MIN, (end_ns - start_ns) // SAMPLES // MIN * MIN)
    curve = equity_curve(tape, engine.record.fills, engine.record.funding, equity_start, step, charges=charges, begin_ns=start_ns, end_ns=end_ns)
    open_since = [(phase, book.trip.first.ts_ns) for (phase, _), book in ledger.books.items() if book.trip is not None]
    return Results(composition, ledger, curve, run_statistics(ledger.trips, curve.ts_ns, curve.equity, equity_start, open_since), wall_s)  # type: ignore[arg-type]


def usdt(amount: int | None) -> float | None:
    """Convert 1e-8 USDT to a JSON number of USDT."""
    return None if amount is None else amount / MONEY_PER_USDT


def summary(results: Results) -> dict[str, Any]:
    """Return the figures as plain values: amounts in USDT, shares as fractions of 1, times in ns."""
    engine, governor, statistics = results.composition.engine, results.composition.governor, results.statistics
    record = engine.record
    sampled = statistics.max_drawdown
    # the curve is sampled, the governor looked at the very moments at which equity was at its worst
    drawdown = max(sampled.fraction if sampled else 0.0, governor.worst_drawdown_ppm / PPM)
    states: Mapping[PhaseId, Any] = governor.machine.configuration.phases
    return {
        "digest": record.digest,
        "engine": engine.form,
        "events": engine.events,
        "fires": engine.fires,
        "fills": len(record.fills),
        "ticks": results.ticks,
        "wall_s": results.wall_s,
        "ticks_per_s": results.ticks / results.wall_s if results.wall_s else None,
        "first_ns": int(results.curve.ts_ns[0]),
        "last_ns": int(results.curve.ts_ns[-1]),
        "equity_start": usdt(statistics.equity_start),
        "equity_end": usdt(statistics.equity_end),
        "total_return": statistics.total_return,
        "fees": usdt(engine.account.fees),
        "funding": usdt(engine.account.funding),
        "max_drawdown": drawdown,
        "sharpe": statistics.sharpe,
        "sharpe_30d": statistics.sharpe_30d,
        **_trades(statistics.total),
        "refused": dict(Counter(entry[5] for entry in record.entries if entry[0] == "refused")),
        "liquidations": engine.liquidator.count,
        "brain": str(governor.machine.configuration),
        "positions": {str(i.id): lots for i, lots in zip(engine.layout.instruments, engine.account.lots, strict=True) if lots},
        "by_phase": {
            str(book.id): {
                "state": str(states.get(book.id, governor.machine.configuration.mode)),
                "quarantined": book.broken or None,
                "equity": usdt(governor.phase_equity2(book) // 2),
                "activations": book.activations,
                **_trades(statistics.by_phase.get(book.id)),
            }
            for book in governor.books
        },
    }


def _trades(figures: TradeStatistics | None) -> dict[str, Any]:
    if figures is None:
        return {"trades": 0, "win_rate": None, "profit_factor": None, "net": 0.0, "trade_fees": 0.0, "trade_funding": 0.0, "trades_per_day": 0.0}
    return {
        "trades": figures.trades,
        "win_rate": figures.win_rate,
        "profit_factor": figures.profit_factor,
        "net": usdt(figures.net),
        "trade_fees": usdt(figures.fees),
        "trade_funding": usdt(figures.funding),
        "trades_per_day": figures.trades_per_day,
    }
