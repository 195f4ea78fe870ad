"""What the per-event form compares an event with: the nearest armed level of each side, and the running sums of the bounds."""

from heapq import heapify, heappop, heappush

from titan_core.engine.conditions import Bound, Condition
from titan_core.model.units import NEVER, share


class LevelSide:
    """The armed levels of one column in one direction; `near[slot]` always holds the nearest of them."""

    __slots__ = ("column", "dead", "heap", "near", "sign", "slot")

    def __init__(self, near: list[int], column: int, rising: bool) -> None:
        """Watch a searched column of the stream whose nearest levels `near` holds."""
        self.near = near
        self.column = column
        self.sign = 1 if rising else -1
        self.slot = 2 * column + (0 if rising else 1)
        self.heap: list[tuple[int, int, Condition]] = []
        self.dead = 0

    def push(self, condition: Condition) -> None:
        """Add an armed condition."""
        heap = self.heap
        heappush(heap, (condition.level * self.sign, condition.seq, condition))
        if heap[0][1] == condition.seq:
            self.near[self.slot] = condition.level

    def drop(self, condition: Condition) -> None:
        """Take note that a condition was disarmed. It stays in the heap until it comes up or the dead are too many."""
        heap = self.heap
        self.dead += 1
        if self.dead > 64 and 2 * self.dead > len(heap):
            heap[:] = [entry for entry in heap if entry[2].alive and entry[2].seq == entry[1]]
            heapify(heap)
            self.dead = 0
        self.refresh()

    def refresh(self) -> None:
        """Drop the dead from the top and note the nearest level."""
        heap = self.heap
        while heap and not (heap[0][2].alive and heap[0][2].seq == heap[0][1]):
            heappop(heap)
        self.near[self.slot] = (heap[0][0] if heap else NEVER) * self.sign

    def take(self, value: int, due: list[Condition]) -> None:
        """Move the conditions that `value` reaches to `due`."""
        heap, key = self.heap, value * self.sign
        if not heap or heap[0][0] > key:
            return
        while heap and heap[0][0] <= key:
            _, seq, condition = heappop(heap)
            if condition.alive and condition.seq == seq:
                due.append(condition)
        self.refresh()


class BoundWatch:
    """An armed bound: its running sum and the sum at or below which it is due."""

    __slots__ = ("bound", "condition", "floor", "total")

    def __init__(self, condition: Condition, total: int) -> None:
        """Start from the sum as of now."""
        self.condition = condition
        self.bound: Bound = condition.extra
        self.total = total
        self.floor = self.lowest()

    def lowest(self) -> int:
        """Return the sum at or below which the bound is due, given its peak."""
        b = self.bound
        return max(b.low, b.peak - share(b.peak, b.bps) - b.strict) if b.bps > 0 else b.low


class BoundLeg:
    """One instrument of an armed bound."""

    __slots__ = ("known", "seen", "watch", "weight")

    def __init__(self, watch: BoundWatch, weight: int, known: int) -> None:
        """Start from the value as of now."""
        self.watch = watch
        self.weight = weight
        self.known = known
        self.seen: int | None = None
        """The value last looked at; None before the first event, which is looked at even where it changes nothing."""

    def moved(self, value: int) -> bool:
        """Take in a new value; returns whether the bound is due."""
        watch = self.watch
        bound = watch.bound
        total = watch.total = watch.total + self.weight * (value - self.known)
        self.known = self.seen = value
        if total > bound.peak:
            bound.peak = total
            watch.floor = watch.lowest()
        return total <= watch.floor or total >= bound.high
