"""Names of things, so that the type checker keeps a phase from being passed where a venue is meant."""

from typing import NewType

VenueId = NewType("VenueId", str)
"""A market place in one word, for example `binance-spot`, `binance-usdm`, `bybit-linear`, `bybit-spot`, `mexc-contract`."""

InstrumentId = NewType("InstrumentId", str)
"""`SYMBOL.venue`, for example `BTCUSDT.bybit-linear`."""

PhaseId = NewType("PhaseId", str)
StrategyId = NewType("StrategyId", str)
ClientOrderId = NewType("ClientOrderId", str)
"""At most 36 characters; carries phase and strategy, so that every fill has an owner."""

MAX_ORDER_ID_CHARS = 36
"""What Bybit allows for `orderLinkId`."""
MAX_NAME_CHARS = 22
"""How long the names of a phase and of one of its strategies may be together: an order id adds three dots, the activation, a serial and the leg."""

BRAIN = PhaseId("brain")
"""The owner of what no phase owns: adopted positions and the commands of the emergency."""


def instrument_id(symbol: str, venue: VenueId) -> InstrumentId:
    """Join a venue's symbol and the venue to the id that the rest of Titan uses."""
    return InstrumentId(f"{symbol.upper()}.{venue}")
