"""Makes the picture of a session's moment, for screens and other processes."""

import os
from collections.abc import Sequence

from titan_core.app.live.session import Session
from titan_core.app.live.status import (
    FeedStatus,
    FillLine,
    JournalLine,
    LinkStatus,
    OrderStatusLine,
    PhaseStatus,
    PositionStatus,
    SessionStatus,
    TradeLine,
)
from titan_core.engine.account import NOBODY
from titan_core.engine.phases import OPERATING, PhaseBook
from titan_core.ledger.trades import RoundTrip
from titan_core.model.enums import StreamKind
from titan_core.model.fill import Fill
from titan_core.model.ids import BRAIN
from titan_core.model.instrument import Instrument
from titan_core.model.units import MONEY_PER_USDT, Money, S


def take_picture(session: Session) -> SessionStatus:
    """Return the picture of this moment; before the engine stands it holds no more than how far the start has come."""
    who, setup = session.setup.identity, session.setup
    notes = tuple(session.notes)
    if not session.is_ready.is_set():
        memory = session.kept.memory
        cash = Money(memory.cash if memory else 0)
        return SessionStatus(
            name=who.name, pid=os.getpid(), mode=who.mode, feed=who.feed, speed=setup.speed(), started_ns=session.started_ns, now_ns=setup.clock(),
            stage=session.stage, brain="booting", risk="", gate="closed", equity=cash, peak=Money(memory.peak2 // 2 if memory else 0), drawdown_ppm=0,
            start_equity=Money(session.kept.equity_start), cash=cash, fees=Money(0), funding=Money(0), trades=0, wins=0, notes=notes, seed=who.seed,
            journal=_journal(session) if session.has_journal else None,
        )  # fmt: skip
    governor, account = session.governor, session.engine.account
    configuration = governor.machine.configuration
    equity2, peak2 = governor.equity2(), max(governor.peak2, governor.watch.peak2(), governor.equity2())
    trips = session.ledger.trips
    return SessionStatus(
        name=who.name, pid=os.getpid(), mode=who.mode, feed=who.feed, speed=setup.speed(), started_ns=session.started_ns, now_ns=setup.clock(),
        stage=session.stage, brain=str(configuration), risk=str(configuration.risk or ""),
        gate="open" if governor.machine.gate_open else "reducing" if configuration.is_in("operational") else "closed",
        equity=Money(equity2 // 2), peak=Money(peak2 // 2), drawdown_ppm=max(0, (peak2 - equity2) * 1_000_000 // peak2) if peak2 > 0 else 0,
        start_equity=Money(session.ledger.equity_start), cash=Money(session.view.wallet_cash(account.cash)),
        fees=Money(account.fees), funding=Money(account.funding),
        trades=len(trips), wins=sum(trip.net > 0 for trip in trips),
        phases=tuple(_phase(session, book) for book in governor.books), positions=tuple(_position(session, k) for k in account.held()),
        orders=tuple(_orders(session)), feeds=tuple(_feed(session, k) for k in range(len(setup.instruments))), link=_link(session), journal=_journal(session),
        fills=tuple(_fill(session, fill) for fill in session.journalling.fills), notes=notes, seed=who.seed,
    )  # fmt: skip


def _phase(session: Session, book: PhaseBook) -> PhaseStatus:
    governor, band = session.governor, book.binding.declaration.band
    state = governor.state_of(book)
    upper = "∞" if band is None or band.upper is None else f"{band.upper // MONEY_PER_USDT:,}"
    equity2 = governor.phase_equity2(book) if state is not None else 0
    return PhaseStatus(
        id=book.id,
        state=str(state) if state is not None else governor.machine.configuration.mode,
        band=f"{(band.lower if band else 0) // MONEY_PER_USDT:,}–{upper} USDT",
        equity=Money(equity2 // 2),
        day_result=Money((equity2 - book.base2) // 2 if state in OPERATING else 0),
        positions=len(governor.closing.held(book)),
        broken=book.broken,
    )


def _position(session: Session, k: int) -> PositionStatus:
    engine, instrument = session.engine, session.setup.instruments[k]
    slot, lots, value2 = engine.account.owner[k], engine.account.lots[k], engine.value2(k)
    phase = engine.phase_of(slot) if slot != NOBODY else BRAIN
    book = session.ledger.books.get((phase, instrument.id))
    entry = book.position.average_entry if book is not None else 0.0
    known = engine.venue.protection.get(k)
    unit = instrument.money_per_tick_lot
    return PositionStatus(
        instrument=instrument.id,
        phase=phase,
        quantity=str(instrument.quantity(lots)),
        entry_price=_average(instrument, entry),
        mark_price=str(instrument.price(value2 // 2)),
        notional=Money(abs(lots) * unit * value2 // 2),
        unrealised=Money(lots * unit * value2 // 2 - book.position.cost if book is not None else 0),
        stop=str(instrument.price(known.stop)) if known is not None and known.stop is not None else "",
        target=str(instrument.price(known.target)) if known is not None and known.target is not None else "",
    )


def _average(instrument: Instrument, ticks: float) -> str:
    digits = max(0, -int(instrument.tick_size.normalize().as_tuple().exponent)) + 1
    return f"{ticks * float(instrument.tick_size):.{digits}f}"


def _orders(session: Session) -> Sequence[OrderStatusLine]:
    lines = []
    for order in session.engine.venue.working.values():
        instrument, price = order.intent.instrument, order.intent.limit or order.intent.trigger
        lines.append(
            OrderStatusLine(
                client_order_id=order.client_order_id,
                phase=order.desk.phase,
                instrument=instrument.id,
                side="buy" if order.sign > 0 else "sell",
                order_type=str(order.intent.order_type),
                quantity=str(instrument.quantity(order.lots)),
                leaves=str(instrument.quantity(order.leaves_lots)),
                price=str(instrument.price(price)) if price is not None else "",
                status=str(order.status),
            )  # fmt: skip
        )
    return lines


def _feed(session: Session, k: int) -> FeedStatus:
    engine, instrument = session.engine, session.setup.instruments[k]
    rank = engine.layout.rank(k, StreamKind.QUOTE)
    quote, seen = engine.quote(k), engine.latest_ts(rank)
    return FeedStatus(
        instrument=instrument.id,
        bid=str(instrument.price(quote[0])) if quote else "",
        ask=str(instrument.price(quote[1])) if quote else "",
        events=session.rows.get(str(instrument.id), 0),
        age_s=max(0.0, (session.setup.clock() - seen) / S) if seen is not None else 0.0,
        doubt=session.feeds.doubt(instrument.id),
    )


def _link(session: Session) -> LinkStatus:
    watching = session.watching
    return LinkStatus(
        venue=session.trading.client.family,
        is_answering=watching.is_answering,
        is_streaming=session.trading.service.is_streaming,
        clock_offset_s=session.offset_ns / S,
        trouble=watching.trouble,
        reconciled_ns=watching.reconciled_ns,
    )


def _journal(session: Session) -> JournalLine:
    return JournalLine(status=str(session.journal_status), last_seq=session.journal.last_seq, durable_seq=session.journal.durable_seq)


def _fill(session: Session, fill: Fill) -> FillLine:
    instrument = session.known[fill.instrument]
    return FillLine(
        ts_ns=fill.ts_ns, phase=fill.phase, instrument=fill.instrument, side="buy" if fill.signed_lots > 0 else "sell",
        quantity=str(instrument.quantity(abs(fill.signed_lots))), price=str(instrument.price(fill.price)), fee=fill.fee, liquidity=str(fill.liquidity),
        tag=fill.tag,
    )  # fmt: skip


def trade_line(instrument: Instrument, trip: RoundTrip) -> TradeLine:
    """Return a round trip as the exchange would write it."""
    return TradeLine(
        phase=trip.phase, instrument=trip.instrument, side="long" if trip.max_lots > 0 else "short", quantity=str(instrument.quantity(abs(trip.max_lots))),
        entry_ns=trip.entry_ns, exit_ns=trip.exit_ns, entry_price=_average(instrument, trip.average_entry), exit_price=_average(instrument, trip.average_exit),
        fees=trip.fees, funding=trip.funding, net=trip.net, tag=trip.tag,
    )  # fmt: skip
