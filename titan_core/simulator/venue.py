"""What a wire layer works on: the market as one venue shows it, the exchange behind it, and the time on its servers."""

from collections.abc import Callable, Mapping, Sequence

from attrs import define, field

from titan_core.errors import UsageError
from titan_core.model.ids import InstrumentId, VenueId
from titan_core.model.units import MS
from titan_core.simulator.depth import Depth
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.listings import Listing
from titan_core.simulator.market import Market
from titan_core.simulator.wire import Credential


@define(eq=False)
class Venue:
    """One venue. `server_ns` is its servers' clock, which faults may step; `now_ns` is the market's."""

    name: str
    market: Market
    depth: Depth
    listings: Mapping[InstrumentId, Listing]
    now_ns: Callable[[], int]
    server_ns: Callable[[], int]
    credentials: Sequence[Credential] = ()
    exchange: Exchange | None = None
    maintenance: bool = False
    by_symbol: dict[tuple[VenueId, str], Listing] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.by_symbol = {(listing.instrument.venue, listing.symbol): listing for listing in self.listings.values()}

    @property
    def account_exchange(self) -> Exchange:
        """The exchange, where this venue takes orders."""
        if self.exchange is None:
            raise UsageError(f"{self.name} takes no orders in the box")
        return self.exchange

    def now_ms(self) -> int:
        """Return the market's time in ms."""
        return self.now_ns() // MS

    def server_ms(self) -> int:
        """Return the servers' time in ms."""
        return self.server_ns() // MS

    def credential(self, key: str) -> Credential | None:
        """Return the API key of that name."""
        return next((each for each in self.credentials if each.key == key), None)
