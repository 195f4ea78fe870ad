"""Spans of the market made ready to be replayed, in a thread ahead of time where somebody is held to a pace.

Making a day and sorting its million events takes most of a second. Numpy does most of that without the interpreter's lock, so a loop in another thread goes on.
"""

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.model.enums import StreamKind
from titan_core.simulator.bars import summed
from titan_core.simulator.chunks import Streams, Supply
from titan_core.simulator.listings import Role
from titan_core.tape.columns import view

EVENTS = (StreamKind.QUOTE, StreamKind.DEPTH, StreamKind.TRADE, StreamKind.MARK, StreamKind.OPEN_INTEREST, StreamKind.LIQUIDATION)
Minutes = tuple[int, NDArray[np.int64]]


@frozen(eq=False)
class Span:
    """A span of the market with its events in order: of each the time, the stream (its place in `keys`) and the row in that stream."""

    streams: Streams
    keys: list[tuple[Role, StreamKind]]
    values: list[dict[str, Any]]
    times: NDArray[np.int64]
    codes: NDArray[np.int8]
    rows: NDArray[np.int32]
    minutes: dict[Role, Minutes]
    """Bars of a minute, of each book that has trades."""
    state: bytes | None
    """The generator's state before this span; None where it cannot be told."""

    @classmethod
    def of(cls, streams: Streams, state: bytes | None = None) -> "Span":
        """Put the events of all streams in order of time; of one time in the order of books and kinds."""
        keys = sorted((key for key in streams if key[1] in EVENTS), key=lambda key: (key[0] != Role.SPOT, EVENTS.index(key[1])))
        columns = [streams[key] for key in keys]
        times: NDArray[np.int64] = np.concatenate([each["ts"] for each in columns]).astype(np.int64) if columns else np.zeros(0, np.int64)
        order = np.argsort(times, kind="stable")
        codes = np.concatenate([np.full(len(each["ts"]), place, np.int8) for place, each in enumerate(columns)])[order] if columns else np.zeros(0, np.int8)
        rows = np.concatenate([np.arange(len(each["ts"]), dtype=np.int32) for each in columns])[order] if columns else np.zeros(0, np.int32)
        values = [{name: view(column) for name, column in each.items() if column.ndim == 1} for each in columns]
        minutes = {}
        for role in Role:
            trades = streams.get((role, StreamKind.TRADE))
            if trades is not None and len(trades["ts"]):
                minutes[role] = summed(trades["ts"], trades["price"], trades["signed_lots"])  # type: ignore[arg-type]
        return cls(streams, keys, values, times[order], codes, rows, minutes, state)


class Spans(Iterator[Span]):
    """The spans of a supply, one after another. `prepare` begins with the next one in a thread; `next` waits for it."""

    def __init__(self, supply: Supply) -> None:
        self._supply = supply
        self._thread: threading.Thread | None = None
        self._made: Span | BaseException | None = None

    def prepare(self) -> None:
        """Make the next span beforehand. Does nothing where it is being made already."""
        if self._thread is None:
            # a daemon, so that a program that ends does not wait for a day that nobody will see
            self._thread = threading.Thread(target=self._make, name="next day of the market", daemon=True)
            self._thread.start()

    def _make(self) -> None:
        try:
            self._made = self._next()
        except BaseException as failure:
            self._made = failure

    def _next(self) -> Span:
        state = self._supply.state() if self._supply.state is not None else None
        return Span.of(next(self._supply.spans), state)

    def __next__(self) -> Span:
        """Return the next span."""
        if self._thread is None:
            return self._next()
        self._thread.join()
        made, self._made, self._thread = self._made, None, None
        if isinstance(made, BaseException):
            raise made
        assert made is not None
        return made
