"""The level book: every armed level of every column, kept in compiled heaps.

One call finds the next event at which any level is due and pops all levels due at it, so 1,024 armed levels cost as much as 4: only the nearest
level of each side is ever searched, and its hit is remembered until a nearer level arrives.
"""

from typing import Any

import numpy as np
from numba import carray, int64  # type: ignore[attr-defined]
from numpy.typing import NDArray

from titan_core.engine.scan import ROWS, TS, compiled, first_ge, first_le, p32, p64, pos_right
from titan_core.tape.columns import view

SIDE_SIZE = 12
"""Words of a side: heap of levels, heap of ids, size, capacity, hit row, level that was searched, dirty, rank, searched column, 1 if falling."""
S_LEVELS, S_IDS, S_SIZE, S_CAPACITY, S_HIT, S_SEARCHED, S_DIRTY, S_RANK, S_COLUMN, S_FALLING = range(10)
"""Levels of a falling side ("<= level") are stored negated, so every heap is a min-heap."""

C_SIDES, C_COUNT, C_ALIVE, C_ALIVE_MASK, C_STREAMS, C_OUT, C_OUT_SIZE = range(7)
"""Words of the control array: address of the sides, how many, address and mask of the alive table, address of the descriptors' addresses, output."""
O_TS, O_RANK, O_ROW = range(3)
FIRST_SLOT = 6
NONE = -1


@compiled
def _less(levels, ids, a, b):
    return levels[a] < levels[b] or (levels[a] == levels[b] and ids[a] < ids[b])


@compiled
def _sift_up(levels, ids, i):
    while i > 0:
        parent = (i - 1) >> 1
        if not _less(levels, ids, i, parent):
            break
        levels[i], levels[parent] = levels[parent], levels[i]
        ids[i], ids[parent] = ids[parent], ids[i]
        i = parent
    return i


@compiled
def _pop(levels, ids, side):
    n = side[S_SIZE] - 1
    side[S_SIZE] = n
    levels[0] = levels[n]
    ids[0] = ids[n]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            break
        if child + 1 < n and _less(levels, ids, child + 1, child):
            child += 1
        if not _less(levels, ids, child, i):
            break
        levels[i], levels[child] = levels[child], levels[i]
        ids[i], ids[child] = ids[child], ids[i]
        i = child


@compiled
def push_level(control, which, level, ident):
    """Add a level (already negated on a falling side). Returns False where the heap is full: grow it and call again."""
    side = carray(p64(control[C_SIDES] + which * SIDE_SIZE * 8), SIDE_SIZE)
    n = side[S_SIZE]
    levels = carray(p64(side[S_LEVELS]), side[S_CAPACITY])
    ids = carray(p64(side[S_IDS]), side[S_CAPACITY])
    if n == side[S_CAPACITY]:
        alive = carray(p64(control[C_ALIVE]), control[C_ALIVE_MASK] + 1)
        kept = int64(0)
        for j in range(n):
            if alive[ids[j] & control[C_ALIVE_MASK]] == ids[j]:
                levels[kept] = levels[j]
                ids[kept] = ids[j]
                kept += 1
        for j in range(1, kept):
            _sift_up(levels, ids, j)
        side[S_SIZE] = kept
        side[S_DIRTY] = 1
        n = kept
        if n == side[S_CAPACITY]:
            return False
    levels[n] = level
    ids[n] = ident
    side[S_SIZE] = n + 1
    if _sift_up(levels, ids, n) == 0:
        side[S_DIRTY] = 1
    return True


@compiled
def _refresh(side, levels, ids, alive, mask, d, position):
    """Bring the remembered hit of a dirty side up to date."""
    side[S_DIRTY] = 0
    while side[S_SIZE] > 0 and alive[ids[0] & mask] != ids[0]:
        _pop(levels, ids, side)
    if side[S_SIZE] == 0:
        side[S_HIT] = NONE
        return
    level = levels[0]
    hit = side[S_HIT]
    start = position
    end = d[ROWS]
    if hit >= 0:
        if level == side[S_SEARCHED] and hit >= position:
            return
        if level <= side[S_SEARCHED]:
            if hit >= position:
                end = hit  # a nearer level is reached no later
        elif hit > position:
            start = hit  # a farther level is reached no sooner
    if side[S_FALLING] == 0:
        side[S_HIT] = first_ge(d, side[S_COLUMN], start, end, level)
    else:
        side[S_HIT] = first_le(d, side[S_COLUMN], start, end, -level)
    side[S_SEARCHED] = level


@compiled
def next_due(control, now, rank, row, limit_ts, limit_rank, limit_row):
    """Find the earliest event after (now, rank, row) at which a level is due, and pop every level due at it.

    Returns how many ids it wrote to the output, 0 if the limit comes first. A level due at the limit itself is popped too.
    """
    count = control[C_COUNT]
    mask = control[C_ALIVE_MASK]
    alive = carray(p64(control[C_ALIVE]), mask + 1)
    streams = carray(p64(control[C_STREAMS]), 1 << 20)
    out = carray(p64(control[C_OUT]), control[C_OUT_SIZE])
    best_ts = int64(1) << 62
    best_rank = int64(0)
    best_row = int64(0)
    for s in range(count):
        side = carray(p64(control[C_SIDES] + s * SIDE_SIZE * 8), SIDE_SIZE)
        if side[S_SIZE] == 0:
            continue
        r = side[S_RANK]
        d = carray(p64(streams[r]), 20)
        if side[S_DIRTY] != 0:
            levels = carray(p64(side[S_LEVELS]), side[S_CAPACITY])
            ids = carray(p64(side[S_IDS]), side[S_CAPACITY])
            if r == rank:
                position = row + 1
            elif r < rank:
                position = pos_right(d, now)
            else:
                position = pos_right(d, now - 1)
            _refresh(side, levels, ids, alive, mask, d, position)
            if side[S_SIZE] == 0:
                continue
        hit = side[S_HIT]
        if hit < 0 or hit >= d[ROWS]:
            continue
        t = carray(p64(d[TS]), d[ROWS])[hit]
        if t < best_ts or (t == best_ts and (r < best_rank or (r == best_rank and hit < best_row))):
            best_ts = t
            best_rank = r
            best_row = hit
    if best_ts == int64(1) << 62:
        return 0
    if best_ts > limit_ts or (best_ts == limit_ts and (best_rank > limit_rank or (best_rank == limit_rank and best_row > limit_row))):
        return 0
    out[O_TS] = best_ts
    out[O_RANK] = best_rank
    out[O_ROW] = best_row
    found = 0
    for s in range(count):
        side = carray(p64(control[C_SIDES] + s * SIDE_SIZE * 8), SIDE_SIZE)
        if side[S_SIZE] == 0 or side[S_RANK] != best_rank or side[S_HIT] != best_row:
            continue
        d = carray(p64(streams[best_rank]), 20)
        value = int64(carray(p32(d[FIRST_SLOT + 3 * side[S_COLUMN]]), d[ROWS])[best_row])
        if side[S_FALLING] != 0:
            value = -value
        levels = carray(p64(side[S_LEVELS]), side[S_CAPACITY])
        ids = carray(p64(side[S_IDS]), side[S_CAPACITY])
        while side[S_SIZE] > 0 and levels[0] <= value and FIRST_SLOT + found < control[C_OUT_SIZE]:
            ident = ids[0]
            _pop(levels, ids, side)
            if alive[ident & mask] == ident:
                out[FIRST_SLOT + found] = ident
                found += 1
        side[S_DIRTY] = 1
    return found


class LevelBook:
    """The Python half: allocates and grows the heaps, maps ids to conditions."""

    def __init__(self, descriptors: list[NDArray[np.int64]], *, capacity: int = 64, alive_bits: int = 16) -> None:
        """Hold the descriptors of all streams in rank order. The capacities are small in tests, so that growth is exercised."""
        self._descriptors = descriptors
        self._streams = np.array([d.ctypes.data for d in descriptors], np.int64)
        self._capacity = capacity
        self._sides = np.zeros((8, SIDE_SIZE), np.int64)
        self._alive = np.zeros(1 << alive_bits, np.int64)
        self._out = np.zeros(FIRST_SLOT + capacity, np.int64)
        self._heaps: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._which: dict[int, int] = {}
        """Which side holds the levels of `rank << 3 | column << 1 | rising`: a number is hashed faster than a tuple."""
        self.control = np.zeros(8, np.int64)
        self.conditions: dict[int, Any] = {}
        self._bind()

    def _bind(self) -> None:
        self.control[: C_OUT_SIZE + 1] = (
            self._sides.ctypes.data,
            len(self._heaps),
            self._alive.ctypes.data,
            len(self._alive) - 1,
            self._streams.ctypes.data,
            self._out.ctypes.data,
            len(self._out),
        )
        self.alive = view(self._alive)
        self.mask = len(self._alive) - 1
        self.out = view(self._out)
        self.sides = view(self._sides.reshape(-1))

    def _side(self, key: int, rank: int, column: int, rising: bool) -> int:
        which = self._which[key] = len(self._heaps)
        if which == len(self._sides):
            self._sides = np.concatenate([self._sides, np.zeros_like(self._sides)])
        levels, ids = np.zeros(self._capacity, np.int64), np.zeros(self._capacity, np.int64)
        self._heaps.append((levels, ids))
        self._sides[which] = (levels.ctypes.data, ids.ctypes.data, 0, self._capacity, NONE, 0, 0, rank, column, 0 if rising else 1, 0, 0)
        self._make_room()
        return which

    def _make_room(self) -> None:
        """Size the output so that every level may be due at one event."""
        self._out = np.zeros(FIRST_SLOT + sum(len(heap[0]) for heap in self._heaps), np.int64)
        self._bind()

    def _grow(self, which: int) -> None:
        levels, ids = (np.concatenate([heap, np.zeros_like(heap)]) for heap in self._heaps[which])
        self._heaps[which] = (levels, ids)
        self._sides[which, S_LEVELS], self._sides[which, S_IDS] = levels.ctypes.data, ids.ctypes.data
        self._sides[which, S_CAPACITY] = len(levels)
        self._make_room()

    def _widen(self) -> None:
        """Double the alive table until no two live ids share a place."""
        size = len(self._alive)
        while True:
            size *= 2
            table = np.zeros(size, np.int64)
            if len({ident & (size - 1) for ident in self.conditions}) == len(self.conditions):
                break
        for ident in self.conditions:
            table[ident & (size - 1)] = ident
        self._alive = table
        self._bind()

    def push(self, condition: Any) -> None:
        """Add an armed level condition."""
        ident, rising = condition.seq, condition.rising
        taken = self.alive[ident & self.mask]
        self.conditions[ident] = condition
        if taken and taken in self.conditions:
            self._widen()
        self.alive[ident & self.mask] = ident
        key = condition.rank << 3 | condition.column << 1 | rising
        which = self._which.get(key)
        if which is None:
            which = self._side(key, condition.rank, condition.column, rising)
        level = condition.level if rising else -condition.level
        while not push_level(self.control, which, level, ident):
            self._grow(which)

    def remove(self, condition: Any) -> None:
        """Forget a level condition that was disarmed."""
        ident = condition.seq
        if self.conditions.pop(ident, None) is None:
            return
        self.alive[ident & self.mask] = 0
        which = self._which[condition.rank << 3 | condition.column << 1 | condition.rising]
        self.sides[which * SIDE_SIZE + S_DIRTY] = 1
