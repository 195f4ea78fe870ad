"""One websocket of the box: a session behind the faults that its messages may meet on the way."""

from collections.abc import Callable
from random import Random

from titan_core.model.units import S
from titan_core.simulator.faults import FRAME_KINDS, FaultKind, FaultScript, Rule
from titan_core.simulator.outbox import Outbox
from titan_core.simulator.session import Session
from titan_core.simulator.timers import Timers

OnFrame = Callable[[bytes], None]
OnClosed = Callable[[str], None]


class BoxSocket:
    """What the client holds. `on_frame` gets what the venue sends, `on_closed` once the reason when the venue closes."""

    def __init__(
        self, venue: str, path: str, faults: FaultScript, timers: Timers, now_ns: Callable[[], int], outbox: Outbox, on_frame: OnFrame, on_closed: OnClosed
    ) -> None:
        self.venue, self.path = venue, path
        self._faults, self._timers, self._now, self._outbox = faults, timers, now_ns, outbox
        self._on_frame, self._on_closed = on_frame, on_closed
        self._session: Session | None = None
        self._held: list[bytes] = []
        self._random = Random(f"{faults.seed}:{path}")
        self.is_open = True
        self.black = False
        self.heard = True
        """Whether the client has spoken since somebody last looked."""

    def attach(self, session: Session) -> None:
        """Join the session that the socket leads to."""
        self._session = session

    def receive(self, frame: bytes) -> None:
        """Take a message of the client."""
        if not self.is_open or self.is_black or self._session is None:
            return
        if self._faults.strike((FaultKind.DROP_REQUEST,), self.venue, f"{self.path} request", self._now()) is not None:
            return
        self.heard = True
        for answer in self._session.receive(frame):
            self.deliver(answer, "answer")
        self._outbox.settle()

    @property
    def is_black(self) -> bool:
        """Whether the socket carries nothing any more."""
        if not self.black:
            self.black = self._faults.strike((FaultKind.BLACK_HOLE,), self.venue, self.path, self._now()) is not None
        return self.black

    def deliver(self, frame: bytes, topic: str) -> None:
        """Send a message to the client, through whatever may happen to it."""
        if not self.is_open or self.is_black:
            return
        if self._faults.rules:
            rule = self._faults.strike(FRAME_KINDS, self.venue, f"{self.path} {topic}", self._now())
            if rule is not None:
                self._strike(rule, frame)
                return
        self._hand(frame)

    def _hand(self, frame: bytes) -> None:
        if self._outbox.holding:
            self._outbox.keep(lambda: self._on_frame(frame))
        else:
            self._on_frame(frame)

    def _strike(self, rule: Rule, frame: bytes) -> None:
        if rule.kind is FaultKind.DUPLICATE:
            self._hand(frame)
            self._timers.call_at(self._now() + int(rule.seconds * S), lambda: self._late(frame))
        elif rule.kind is FaultKind.SHUFFLE:
            if not self._held:
                self._timers.call_at(self._now() + int(rule.seconds * S), self._release)
            self._held.append(frame)

    def _late(self, frame: bytes) -> None:
        if self.is_open and not self.is_black:
            self._hand(frame)

    def _release(self) -> None:
        held, self._held = self._held, []
        self._random.shuffle(held)
        for frame in held:
            self._late(frame)

    def hang_up(self, reason: str) -> None:
        """Close from the venue's side."""
        if self.is_open:
            self.close()
            if self._outbox.holding:
                self._outbox.keep(lambda: self._on_closed(reason))
            else:
                self._on_closed(reason)

    def close(self) -> None:
        """Close from the client's side."""
        if self.is_open:
            self.is_open = False
            if self._session is not None:
                self._session.close()
