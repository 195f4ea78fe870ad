"""A user's own test of an event as a condition: compiled into a search of its own where rows are skipped, called as it is where events come one by one.

A predicate gets the raw columns of one row, times and all, as whole numbers: `(ts_ns, price, signed_lots)` of a trade, `(ts_ns, bid, ask, bid_lots,
ask_lots)` of a quote. It must depend on nothing else, or the forms of the engine would disagree.
"""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from titan_core.errors import StrategyError
from titan_core.model.enums import StreamKind
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Stream

Predicate = Callable[..., Any]


def arguments(kind: StreamKind) -> tuple[str, ...]:
    """Name what a predicate on a stream of that kind is called with."""
    return tuple("ts_ns" if name == "ts" else name for name in SPECS[kind].raw)


def plain(predicate: Predicate) -> Predicate:
    """Return the Python function behind a predicate that may be compiled already."""
    return getattr(predicate, "py_func", predicate)


def check(predicate: Predicate, kind: StreamKind) -> None:
    """Raise StrategyError unless a predicate can be called with one row of a stream."""
    wanted = arguments(kind)
    if not inspect.isfunction(plain(predicate)):
        raise StrategyError(f"a predicate must be a function of ({', '.join(wanted)}), found {type(predicate).__name__}")
    try:
        inspect.signature(plain(predicate)).bind(*wanted)
    except TypeError as error:
        raise StrategyError(f"predicate {plain(predicate).__name__} must take ({', '.join(wanted)}): {error}") from None


def search_of(predicate: Predicate, kind: StreamKind) -> Callable[..., int]:
    """Compile `search(columns, start, end)`: the first row in [start, end) that meets the predicate, or `end`. Raises StrategyError where numba cannot."""
    from numba import int64, njit
    from numba.core.errors import NumbaError

    test: Any = predicate if hasattr(predicate, "py_func") else njit(predicate)
    if kind is StreamKind.TRADE:

        @njit(nogil=True)
        def search(columns: Any, start: int, end: int) -> int:
            ts, price, signed = columns
            for i in range(start, end):
                if test(ts[i], int64(price[i]), int64(signed[i])):
                    return i
            return end

    else:

        @njit(nogil=True)
        def search(columns: Any, start: int, end: int) -> int:
            ts, bid, ask, bid_lots, ask_lots = columns
            for i in range(start, end):
                if test(ts[i], int64(bid[i]), int64(ask[i]), int64(bid_lots[i]), int64(ask_lots[i])):
                    return i
            return end

    def compiled(columns: tuple[Any, ...], start: int, end: int) -> int:
        try:
            return int(search(columns, start, end))
        except NumbaError as error:
            reason = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
            raise StrategyError(f"predicate {plain(predicate).__name__} cannot be compiled: {reason.strip()}") from None

    return compiled


def first_row(predicate: Predicate, stream: Stream, start: int, end: int) -> int:
    """Return the first row of a stream in [start, end) that meets the predicate, or `end`."""
    function = plain(predicate)
    closed_over = tuple(cell.cell_contents for cell in function.__closure__ or ())
    try:
        search = _search_alike((function.__module__, function.__code__, closed_over, function.__defaults__), stream.kind, _Unkeyed(predicate))
    except TypeError:  # something that it closes over cannot be hashed
        search = search_of(predicate, stream.kind)
    return search(tuple(stream.columns[name] for name in SPECS[stream.kind].raw), start, end)


class _Unkeyed:
    """Carries a predicate past the key of the memo: functions made anew by the same line of code are alike."""

    def __init__(self, predicate: Predicate) -> None:
        self.predicate = predicate

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Unkeyed)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=256)
def _search_alike(key: tuple[Any, ...], kind: StreamKind, carried: _Unkeyed) -> Callable[..., int]:
    return search_of(carried.predicate, kind)
