"""Collects what the engine wants sent until the moment that wants it is on disk."""

from titan_core.app.live.entries import Leave, Protect, Sent, Submit, Verify, Withdraw
from titan_core.model.ids import ClientOrderId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved


class CollectingOutbox:
    """Implements `titan_core.engine.mirror.Outbox`."""

    def __init__(self) -> None:
        self.pending: list[Sent] = []
        self.approved: dict[ClientOrderId, Approved] = {}
        """The approvals behind the submits in `pending` and those that wait for the disk."""

    def submit(self, approved: Approved, is_leaving: bool) -> None:
        """Send an order once its moment is durable."""
        self.approved[approved.intent.client_order_id] = approved
        self.pending.append(Submit.of(approved, is_leaving))

    def cancel(self, client_order_id: ClientOrderId) -> None:
        """Withdraw an order."""
        self.pending.append(Withdraw(client_order_id))

    def protect(self, instrument: Instrument, stop: int | None, target: int | None) -> None:
        """Set what rests at the venue for a position."""
        self.pending.append(Protect(instrument.id, stop, target))

    def leave(self) -> None:
        """Leave the venue out of band."""
        self.pending.append(Leave())

    def verify(self) -> None:
        """Read all positions twice."""
        self.pending.append(Verify())

    def take(self) -> tuple[Sent, ...]:
        """Return what is pending, and forget it."""
        taken = tuple(self.pending)
        self.pending.clear()
        return taken
