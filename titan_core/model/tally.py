"""Counting what becomes of a strategy's ideas, day by day."""

from collections import Counter
from collections.abc import Callable, Iterable

from titan_core.model.units import D

PREFIX = "day: "


class DayTally(Counter[str]):
    """Counts by word since 00:00 UTC. A strategy calls `turn` before it counts; what a day has come to is noted when the next one begins."""

    def __init__(self) -> None:
        """Start before any day."""
        super().__init__()
        self._day = -1

    def turn(self, now_ns: int, note: Callable[[str], None]) -> bool:
        """Note and clear the counts where a new day has begun; return whether one has, the first included."""
        day = now_ns // D
        if day == self._day:
            return False
        if self:
            note(PREFIX + ", ".join(f"{word} {count}" for word, count in self.items()))
            self.clear()
        self._day = day
        return True

    def with_notes(self, notes: Iterable[str]) -> Counter[str]:
        """Return the counts of all days, those of past ones read back from their notes."""
        total = Counter(self)
        for text in notes:
            if text.startswith(PREFIX):
                for part in text.removeprefix(PREFIX).split(", "):
                    word, _, count = part.rpartition(" ")
                    total[word] += int(count)
        return total
