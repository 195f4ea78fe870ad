"""The instrument of these tests."""

from decimal import Decimal

from titan_core.model.enums import InstrumentKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument

PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))
