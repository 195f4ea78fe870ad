"""The equity curve of a run, computed at sampled times from its fills and the tape's prices in one pass of numpy.

A perpetual is worth its mark price where the tape has a mark stream that has begun, else the mid of its book; spot is worth its bid. A mid may be
half a tick, so values are doubled until the end, where equity is rounded down to 1e-8 USDT.
"""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from titan_core.errors import UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.fill import Fill, FundingPayment
from titan_core.model.instrument import Instrument
from titan_core.model.units import MONEY_PER_USDT, Money
from titan_core.tape.tape import Stream, Tape

Ints = NDArray[np.int64]

LIMIT = 1 << 60
"""No sum of a few doubled amounts below it can overflow 64 bits."""


@frozen(eq=False)
class EquityCurve:
    """Equity and cash (1e-8 USDT) at rising times (ns): multiples of the sampling period, and the last event of the tape."""

    ts_ns: Ints
    equity: Ints
    cash: Ints


def equity_curve(
    tape: Tape,
    fills: Sequence[Fill],
    funding: Sequence[FundingPayment],
    equity_start: Money,
    sample_ns: int,
    *,
    charges: Sequence[tuple[int, int]] = (),
    begin_ns: int | None = None,
    end_ns: int | None = None,
) -> EquityCurve:
    """Return the account's equity as of each multiple of `sample_ns` in (begin, end], and at begin and end.

    Cash falls by the full notional of a purchase and by fees; `charges` are fees (ts_ns, amount) that belong to no fill. What happens at a sampled
    time is in the sample. `begin` and `end` default to the tape's first and last event. Raises UsageError on a period below 1 ns, on a fill of an
    instrument that the tape lacks, and where amounts exceed what 64 bits can add (about ten billion USDT).
    """
    if sample_ns < 1:
        raise UsageError(f"sample_ns must be at least 1 ns, found {sample_ns}")
    begin, end = tape.first_ns if begin_ns is None else begin_ns, tape.last_ns if end_ns is None else end_ns
    at = sample_times(begin, end, sample_ns)
    known = {instrument.id: instrument for instrument in tape.instruments}
    unknown = {fill.instrument for fill in fills} - set(known)
    if unknown:
        raise UsageError(f"fills of {', '.join(sorted(unknown))} cannot be valued: the tape holds {', '.join(known)}")
    flows = [(fill.ts_ns, -fill.signed_lots * fill.price * known[fill.instrument].money_per_tick_lot - fill.fee) for fill in fills]
    flows += [(payment.ts_ns, payment.amount) for payment in funding] + [(ts, -fee) for ts, fee in charges]
    cash = equity_start + _as_of(flows, at)
    value2 = 2 * cash
    for instrument in tape.instruments:
        mine = [(fill.ts_ns, fill.signed_lots) for fill in fills if fill.instrument == instrument.id]
        if mine:
            held, unit, price2 = _as_of(mine, at), instrument.money_per_tick_lot, doubled_price(tape, instrument, at)
            _check(int(np.abs(held).max()) * unit * int(price2.max()), f"the position in {instrument.id}")
            value2 += held * unit * price2
    return EquityCurve(at, value2 >> 1, cash)


def sample_times(begin_ns: int, end_ns: int, sample_ns: int) -> Ints:
    """Return begin, the multiples of the period between, and end, each once."""
    inner = np.arange(begin_ns // sample_ns + 1, -(-end_ns // sample_ns), dtype=np.int64) * sample_ns
    return np.unique(np.concatenate([[begin_ns], inner, [max(begin_ns, end_ns)]])).astype(np.int64)


def doubled_price(tape: Tape, instrument: Instrument, at: Ints) -> Ints:
    """Return twice the price (ticks) that values an instrument as of each time; 0 before any is known."""
    quote = tape.stream(instrument.id, StreamKind.QUOTE)
    if not instrument.is_perp:
        return _latest(quote, "bid", 2, at)
    out = _latest(quote, "mid2", 1, at)
    mark = tape.stream(instrument.id, StreamKind.MARK)
    if mark is not None and mark.rows:
        begun = at >= int(mark.ts[0])
        out[begun] = _latest(mark, "price", 2, at[begun])
    return out


def _latest(stream: Stream | None, column: str, factor: int, at: Ints) -> Ints:
    if stream is None or not stream.rows:
        return np.zeros(len(at), np.int64)
    row = np.searchsorted(stream.ts, at, side="right") - 1
    values: Ints = stream.columns[column][np.maximum(row, 0)].astype(np.int64) * factor
    values[row < 0] = 0
    return values


def _as_of(steps: Sequence[tuple[int, int]], at: Ints) -> Ints:
    """Return the sum of the steps at or before each time."""
    ordered = sorted(steps, key=lambda step: step[0])
    total = [0, *accumulate(amount for _, amount in ordered)]
    _check(max(abs(amount) for amount in total), "cash")
    ts = np.array([step[0] for step in ordered], np.int64)
    out: Ints = np.array(total, np.int64)[np.searchsorted(ts, at, side="right")]
    return out


def _check(amount: int, what: str) -> None:
    """Refuse what 64 bits cannot add."""
    if amount > LIMIT:
        raise UsageError(f"{what} reaches {amount / MONEY_PER_USDT:.3g} USDT, more than the {LIMIT / MONEY_PER_USDT:.3g} that an equity curve can add")
