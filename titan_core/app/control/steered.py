"""A session as the control socket drives it."""

from collections.abc import Sequence

from titan_core.app.control.port import CommandRefused
from titan_core.app.live.picture import take_picture, trade_line
from titan_core.app.live.session import Session
from titan_core.app.live.status import SessionStatus, TradeLine
from titan_core.engine.heard import Wish
from titan_core.errors import TitanError


class SteeredSession:
    """Implements `titan_core.app.control.port.Session` for a session that runs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def status(self) -> SessionStatus:
        """Return the picture of this moment."""
        return take_picture(self._session)

    def trades(self, last: int) -> Sequence[TradeLine]:
        """Return the newest round trips, oldest first."""
        if not self._session.is_ready.is_set() or last <= 0:
            return ()
        return [trade_line(self._session.known[trip.instrument], trip) for trip in self._session.ledger.trips[-last:]]

    def stop(self, *, flatten: bool) -> None:
        """Begin to stop."""
        try:
            self._session.begin_stop("the operator's stop", flatten=flatten)
        except TitanError as error:
            raise CommandRefused(str(error)) from None

    def panic(self, reason: str) -> None:
        """Begin the emergency."""
        self._ask(Wish.PANIC, reason)

    def resume(self, reason: str) -> None:
        """Leave a lock or a halt."""
        self._ask(Wish.RESUME, reason)

    def _ask(self, wish: Wish, reason: str) -> None:
        if not self._session.is_ready.is_set():
            raise CommandRefused(f"the session is {self._session.stage}; it trades nothing yet, stop it with Ctrl-C or wait")
        refusal = self._session.ask(wish, reason)
        if refusal:
            raise CommandRefused(refusal)
