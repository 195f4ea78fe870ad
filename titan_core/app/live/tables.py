"""A session's journal as SQLite tables, for questions about the past: made from the journal alone, brought up to date when somebody asks.

Prices and sizes are ticks and lots of the instrument (its terms stand in `instruments`), money is 1e-8 USDT, times are ns since 1970.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import cattrs
import msgspec

from titan_core.app.live.entries import Entry, Moment, Started, entry_codec
from titan_core.errors import UsageError
from titan_core.journal.codec import Record
from titan_core.journal.projection import Projection
from titan_core.ledger.ledger import Ledger
from titan_core.model.fill import Booking, Deposit, Fill, FundingPayment
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.units import Money
from titan_core.tape.manifest import InstrumentEntry

NAME = "tables.sqlite"
TABLES = (
    "CREATE TABLE processes (boot INTEGER PRIMARY KEY, ts_ns INTEGER, wall_ns INTEGER, mode TEXT, feed TEXT, config TEXT, code TEXT, equity_start INTEGER)",
    "CREATE TABLE instruments (name TEXT PRIMARY KEY, terms TEXT)",
    "CREATE TABLE bookings (seq INTEGER, place INTEGER, kind TEXT, ts_ns INTEGER, body TEXT, PRIMARY KEY (seq, place))",
    "CREATE TABLE fills (seq INTEGER, ts_ns INTEGER, instrument TEXT, phase TEXT, strategy TEXT, client_order_id TEXT, signed_lots INTEGER, price INTEGER, "
    "fee INTEGER, liquidity TEXT, tag TEXT)",
    "CREATE TABLE funding (seq INTEGER, ts_ns INTEGER, instrument TEXT, phase TEXT, signed_lots INTEGER, mark INTEGER, rate_e8 INTEGER, amount INTEGER)",
    "CREATE TABLE deposits (seq INTEGER, ts_ns INTEGER, amount INTEGER, reason TEXT)",
    "CREATE TABLE decisions (seq INTEGER, ts_ns INTEGER, kind TEXT, details TEXT)",
)


def tables_of(folder: Path) -> Projection[Entry]:
    """Return the tables of the session in `folder`."""
    return Projection(folder / NAME, TABLES, _apply)


def catch_up(folder: Path) -> Path:
    """Bring the tables of a session up to date and return their file. Raises UsageError where there is no journal."""
    journal = folder / "journal"
    if not journal.is_dir():
        raise UsageError(f"{folder} holds no journal; `titan run` writes one")
    tables_of(folder).catch_up(journal, entry_codec())
    return folder / NAME


def _apply(record: Record[Entry], db: sqlite3.Connection) -> None:
    entry, seq = record.entry, record.seq
    if isinstance(entry, Started):
        row = (entry.boot, entry.ts_ns, entry.wall_ns, entry.mode, entry.feed, entry.config_digest, entry.code_digest, entry.equity_start)
        db.execute("INSERT INTO processes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        for name, terms in zip(entry.instruments, entry.terms, strict=False):
            db.execute("INSERT OR REPLACE INTO instruments VALUES (?, ?)", (name, _text(terms)))
        _book(db, seq, entry.bookings)
    elif isinstance(entry, Moment):
        _book(db, seq, entry.bookings)
        for kind, ts_ns, *values in entry.decisions:
            db.execute("INSERT INTO decisions VALUES (?, ?, ?, ?)", (seq, ts_ns, kind, _text(values)))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _book(db: sqlite3.Connection, seq: int, bookings: Sequence[Booking]) -> None:
    for place, booking in enumerate(bookings):
        kind = str(type(booking).__struct_config__.tag)
        db.execute("INSERT INTO bookings VALUES (?, ?, ?, ?, ?)", (seq, place, kind, booking.ts_ns, _text(booking)))
        if isinstance(booking, Fill):
            f = booking
            row = (seq, f.ts_ns, f.instrument, f.phase, f.strategy, f.client_order_id, f.signed_lots, f.price, f.fee, str(f.liquidity), f.tag)
            db.execute("INSERT INTO fills VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        elif isinstance(booking, FundingPayment):
            p = booking
            db.execute("INSERT INTO funding VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (seq, p.ts_ns, p.instrument, p.phase, p.signed_lots, p.mark, p.rate_e8, p.amount))
        elif isinstance(booking, Deposit):
            db.execute("INSERT INTO deposits VALUES (?, ?, ?, ?)", (seq, booking.ts_ns, booking.amount, booking.reason))


def read_ledger(file: Path) -> tuple[dict[InstrumentId, Instrument], Ledger]:
    """Return the instruments and the ledger of a session from its tables."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        terms = [msgspec.json.decode(row[0]) for row in db.execute("SELECT terms FROM instruments")]
        first = db.execute("SELECT equity_start FROM processes ORDER BY boot LIMIT 1").fetchone()
        rows = db.execute("SELECT body FROM bookings ORDER BY seq, place").fetchall()
    known = {made.id: made for made in (cattrs.structure(each, InstrumentEntry).instrument() for each in terms)}
    ledger = Ledger(known.values(), Money(first[0] if first else 0))
    for (body,) in rows:
        ledger.book(msgspec.json.decode(body, type=Booking))
    return known, ledger
