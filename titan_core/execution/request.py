"""What is asked of a venue, and its answer, in words that are the same for all venues."""

from msgspec import Struct

from titan_core.execution.outcomes import Outcome
from titan_core.model.enums import OrderType, TimeInForce
from titan_core.model.ids import ClientOrderId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved


class OrderRequest(Struct, frozen=True, gc=False, kw_only=True):
    """An order as it goes to a venue: sizes in lots, prices in ticks. `stop` and `target` rest at the venue from the first fill on."""

    client_order_id: ClientOrderId
    instrument: Instrument
    signed_lots: int
    order_type: OrderType = OrderType.MARKET
    limit: int | None = None
    trigger: int | None = None
    stop: int | None = None
    target: int | None = None
    reduce_only: bool = False
    post_only: bool = False
    time_in_force: TimeInForce = TimeInForce.GTC

    @classmethod
    def of(cls, approved: Approved) -> "OrderRequest":
        """Make the request of an approved intent: there is no other way to one."""
        i = approved.intent
        return cls(
            client_order_id=i.client_order_id,
            instrument=i.instrument,
            signed_lots=approved.signed_lots,
            order_type=i.order_type,
            limit=i.limit,
            trigger=i.trigger,
            stop=i.stop,
            target=i.target,
            reduce_only=i.reduce_only,
            post_only=i.post_only,
            time_in_force=i.time_in_force,
        )


class Answer(Struct, frozen=True, gc=False):
    """What a venue has answered to one request."""

    outcome: Outcome
    code: int | None = None
    message: str = ""
    venue_order_id: str = ""
