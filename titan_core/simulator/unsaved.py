"""What has changed in an account since it was last written down."""

from collections.abc import Callable

from titan_core.model.ids import InstrumentId
from titan_core.simulator.orders import Order


class Unsaved:
    """Notes of changes: which orders and instruments, and from which execution, closed order and change of the wallet on."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.orders: dict[str, Order] = {}
        self.instruments: dict[InstrumentId, None] = {}
        self.executions = self.closed = self.changes = 0
        """How many of each are written down."""
        self.any = False

    def note(self, order: Order | None = None, instrument: InstrumentId | None = None) -> None:
        """Take note of a change."""
        if order is not None:
            self.instruments[order.instrument] = None
            if order.number:  # what a funding payment is booked under is no order of the book
                self.orders[order.id] = order
        if instrument is not None:
            self.instruments[instrument] = None
        if not self.any:
            self.any = True
            self._on_change()

    def written(self, executions: int, closed: int, changes: int) -> None:
        """Begin anew: everything up to here is written down."""
        self.orders.clear()
        self.instruments.clear()
        self.executions, self.closed, self.changes, self.any = executions, closed, changes, False
