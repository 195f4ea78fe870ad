"""What can be asked of a running session, whoever carries the question."""

from collections.abc import Sequence
from typing import Protocol

from titan_core.app.live.status import SessionStatus, TradeLine
from titan_core.errors import TitanError


class CommandRefused(TitanError):
    """The session understood and will not; the message tells why and what would help."""


class Session(Protocol):
    """A session as the control socket drives it. Everything is called on the session's loop; times are wall clock."""

    def status(self) -> SessionStatus:
        """Return the picture of this moment."""
        ...

    def trades(self, last: int) -> Sequence[TradeLine]:
        """Return the newest round trips, oldest first."""
        ...

    def stop(self, *, flatten: bool) -> None:
        """Begin to stop: no new entries, then the end. Positions stay under their stops at the venue unless `flatten`. Returns at once."""
        ...

    def panic(self, reason: str) -> None:
        """Begin the emergency. The gate is shut when this returns; the rest follows."""
        ...

    def resume(self, reason: str) -> None:
        """Leave `locked`, or a halt that waits for the operator. Raises CommandRefused where the chart does not allow it from here."""
        ...
