"""Market events at the edge: what a feed codec makes and a tape's row means.

Prices are ticks and sizes lots of the instrument. Each event has two times: `ts_event_ns` of the venue (0 where the venue sends none) and
`ts_init_ns`, when it was received; order is always by `ts_init_ns`.
"""

import enum

from attrs import frozen

from titan_core.model.ids import InstrumentId


@frozen
class Quote:
    """Best bid and ask of a book."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    bid: int
    ask: int
    bid_lots: int
    ask_lots: int


@frozen
class Trade:
    """A print. `signed_lots` is positive when the taker bought."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    price: int
    signed_lots: int


@frozen
class MarkPrice:
    """The venue's mark price, which values positions and triggers liquidations."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    price: int


@frozen
class FundingRate:
    """A settlement: longs pay `rate_e8` × 1e-8 of their notional at mark to shorts (the reverse when negative)."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    rate_e8: int


@frozen
class OpenInterest:
    """Open contracts, in lots."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    lots: int


@frozen
class Liquidation:
    """A forced order on the venue. `signed_lots` is negative when a long was liquidated (the order sells)."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    price: int
    signed_lots: int


class GapReason(enum.IntEnum):
    """Why a stretch of a tape cannot be trusted to be complete."""

    SEQUENCE = 1
    RECONNECT = 2
    SILENCE = 3
    TRUNCATED = 4
    HOLE = 5


@frozen
class Gap:
    """The stretch that ends at `ts_init_ns` lasted `length_ns` and may lack events."""

    instrument: InstrumentId
    ts_event_ns: int
    ts_init_ns: int
    length_ns: int
    reason: GapReason
