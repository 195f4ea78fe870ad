"""What the file of a box holds, as records: a head, the clock, and one record for each change. All amounts as in the exchange, in whole numbers.

Orders and positions are written as they are; a field that they get later needs a default, or a new `VERSION`.
"""

from collections.abc import Iterator

from msgspec import Struct

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.simulator.listings import Role
from titan_core.simulator.market import Bookmark
from titan_core.simulator.orders import FillKind, Order
from titan_core.simulator.positions import Cause, Position

FORMAT = "titan box"
VERSION = 1
PIECE = 500
"""At most this many orders or fills in one record."""


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a box is and stays."""

    format: str = FORMAT
    version: int = VERSION
    market: str
    """The name of its supply."""
    seed: int
    ticks_per_day: int
    """Of a generated market; 0 for another."""
    start_ns: int
    deposit: int
    """What each account began with, in 1e-8 USDT."""
    extra_coins: int
    first: dict[Role, int]
    """The bids with which the market began, in ticks of its books."""


class ClockRecord(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the market is. `next_ns` and `done` are its place, see `market.Resumed`."""

    now_ns: int
    shown_ns: int
    """Nobody has been shown the market later than this."""
    next_ns: int
    done: int
    last: dict[Role, tuple[int, int]]
    """Of each book the price of the last trade, and how it differed from the one before that was different."""
    hour_ns: int
    """The hour whose funding was the last to be settled."""


class Fill(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An execution, with its order's id; what a funding payment is booked under is written whole."""

    seq: int
    id: str
    order: str
    kind: FillKind
    side: Side
    price: int
    lots: int
    value: int
    fee: int
    fee_coin: str
    fee_rate_e8: int
    maker: bool
    closed_lots: int
    profit: int
    mark: int
    index: int
    ts_ns: int
    leaves: int
    marker: Order | None = None


class Taken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What market orders have taken from one side of a book that still stands as it did."""

    instrument: InstrumentId
    side: Side
    best: tuple[int, int, int, int]
    lots: list[tuple[int, int]]
    """Price and lots taken."""


class AccountRecord(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What has changed in an account: new values of what is there, and what has been added."""

    venue: str
    seq: int
    digest: str
    drawn: int
    numbered: int
    rested: int
    coins: dict[str, int] = {}
    totals: list[tuple[str, Cause, int]] = []
    orders: list[Order] = []
    closed: list[str] = []
    fills: list[Fill] = []
    positions: list[Position] = []
    taken: list[Taken] = []
    shut: list[InstrumentId] = []
    """Instruments that are delisted."""

    def pieces(self) -> Iterator["AccountRecord"]:
        """Yield the same as records of a bearable size."""
        most = max(len(self.orders), len(self.closed), len(self.fills), 1)
        for begin in range(0, most, PIECE):
            part = slice(begin, begin + PIECE)
            rest = self if begin == 0 else AccountRecord(**{name: getattr(self, name) for name in ("venue", "seq", "digest", "drawn", "numbered", "rested")})
            yield AccountRecord(
                **{name: getattr(rest, name) for name in AccountRecord.__struct_fields__ if name not in ("orders", "closed", "fills")},
                orders=self.orders[part],
                closed=self.closed[part],
                fills=self.fills[part],
            )


class Change(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line of the file."""

    clock: ClockRecord
    accounts: list[AccountRecord] = []
    bookmark: Bookmark | None = None
    """Where the generator may begin when the market is resumed."""
