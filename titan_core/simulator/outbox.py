"""What the venue says waits here while the account's change that it tells of is not yet written down."""

from collections import deque
from collections.abc import Callable


class Outbox:
    """Holds messages back from `hold` to `settle`, which writes first and then lets them go in their order."""

    def __init__(self) -> None:
        self.holding = False
        self.write: Callable[[], None] = lambda: None
        """Writes down what has changed. Where it raises, nothing is let go; the next `settle` tries again."""
        self._kept: deque[Callable[[], None]] = deque()

    def hold(self) -> None:
        """Hold messages back from now on."""
        self.holding = True

    def keep(self, send: Callable[[], None]) -> None:
        """Send later."""
        self._kept.append(send)

    def settle(self) -> None:
        """Write down what has changed and let all messages go. Raises StoreError where it cannot be written."""
        if not self.holding:
            return
        self.write()
        self.holding = False
        while self._kept and not self.holding:  # whoever is told may act at once, and settles that itself
            self._kept.popleft()()
