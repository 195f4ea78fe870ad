"""Proof that a strategy does not see the future: what it decides up to a moment must not change when everything after that moment is removed."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from attrs import frozen

from titan_core.engine.core import Engine, Governor
from titan_core.engine.forms import Form, make_engine
from titan_core.engine.record import Entry
from titan_core.errors import TitanError
from titan_core.model.enums import StreamKind
from titan_core.tape.columns import SPECS, Columns
from titan_core.tape.tape import StreamKey, Tape, build_tape


class SlottedGovernor(Governor, Protocol):
    """A governor that says how many slots of the account it needs."""

    @property
    def slots(self) -> int:
        """How many slots the account needs."""
        ...


MakeGovernor = Callable[[Tape], SlottedGovernor]
"""Makes a fresh governor, with fresh strategies, for a run over the tape that it is given."""


class LookAheadError(TitanError):
    """A decision depended on what had not happened yet; the author of the strategy must act."""


@frozen
class NoLookAhead:
    """What was proven: the moments at which the future was removed, and how many decisions lay before them, all moments taken together."""

    moments: tuple[int, ...]
    decisions: int


def truncate(tape: Tape, last_ns: int) -> Tape:
    """Return a tape rebuilt from the raw events at or before `last_ns`; all indexes, bars and the basis are made anew. Streams may become empty."""
    raw: dict[StreamKey, Columns] = {}
    for stream in tape.streams:
        if stream.kind is not StreamKind.BASIS:
            rows = int(np.searchsorted(stream.ts, last_ns, side="right"))
            names = [*SPECS[stream.kind].raw, *(["ts_event"] if "ts_event" in stream.columns else [])]
            raw[stream.instrument, stream.kind] = {name: np.array(stream.columns[name][:rows]) for name in names}
    return build_tape(tape.instruments, raw, pairs=tape.pairs, bars_only=tape.bars_only)


def check_no_lookahead(
    tape: Tape,
    make_governor: MakeGovernor,
    *,
    cash: int,
    moments: Sequence[int] | None = None,
    count: int = 5,
    form: Form = Form.REPLAY,
    latency_ns: int = 5_000_000,
    slippage_ticks: int = 0,
) -> NoLookAhead:
    """Run over the whole tape and over the tape cut off at each of some moments, and compare every decision up to the cut.

    `moments` (ns) are `count` event times spread over the tape unless given; `cash` is in 1e-8 USDT. `make_governor` is given the tape of the run:
    whatever a strategy works out beforehand must come from there. Raises LookAheadError with the first decision that differs.
    """

    def run(over: Tape) -> Engine:
        governor = make_governor(over)
        kwargs = {"cash": cash, "slots": governor.slots, "latency_ns": latency_ns, "slippage_ticks": slippage_ticks}
        return make_engine(form, over, governor, **kwargs, say=lambda text: None).run()

    whole = run(tape).record.entries
    chosen = tuple(_spread(tape, count) if moments is None else moments)
    decisions = 0
    for moment in chosen:
        cut = truncate(tape, moment)
        if not cut.ticks:
            continue
        last_ns = cut.last_ns
        expected = [entry for entry in whole if entry[1] <= last_ns]
        _compare(expected, run(cut).record.entries, moment)
        decisions += len(expected)
    return NoLookAhead(chosen, decisions)


def _spread(tape: Tape, count: int) -> list[int]:
    """Return event times at equal distances in events."""
    times = np.unique(np.concatenate([stream.ts for stream in tape.streams]))
    return [int(times[len(times) * (i + 1) // (count + 1)]) for i in range(count)] if len(times) else []


def _compare(expected: Sequence[Entry], found: Sequence[Entry], moment: int) -> None:
    for i, (a, b) in enumerate(zip(expected, found, strict=False)):
        if a != b:
            raise LookAheadError(f"decision {i} depends on what happens after {moment}: with the future {a}, without it {b}")
    if len(expected) != len(found):
        longer, said = (expected, "only with the future") if len(expected) > len(found) else (found, "only without the future")
        extra = longer[min(len(expected), len(found))]
        raise LookAheadError(f"decision {min(len(expected), len(found))} depends on what happens after {moment}: {extra} is made {said}")
