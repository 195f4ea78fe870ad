"""What hears the private stream before there is a service that understands it."""

from typing import Any

from titan_core.execution.client import Listener


class Relay:
    """Passes the private stream on to the service once there is one; what comes before is asked for then."""

    def __init__(self) -> None:
        self.to: Listener | None = None

    def on_report(self, report: Any) -> None:
        """Where an order stands."""
        if self.to is not None:
            self.to.on_report(report)

    def on_execution(self, execution: Any) -> None:
        """An execution."""
        if self.to is not None:
            self.to.on_execution(execution)

    def on_stream(self, is_up: bool, reason: str) -> None:
        """The stream has begun or ended."""
        if self.to is not None:
            self.to.on_stream(is_up, reason)
