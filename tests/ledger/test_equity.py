from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.errors import UsageError
from titan_core.ledger.equity import equity_curve, sample_times
from titan_core.ledger.ledger import Ledger
from titan_core.model.enums import InstrumentKind, Liquidity, StreamKind
from titan_core.model.fill import Fill, FundingPayment
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MIN, Money
from titan_core.tape.generate import generate
from titan_core.tape.tape import Tape, build_tape

SPOT = Instrument(venue=VenueId("binance-spot"), symbol="BTCUSDT", kind=InstrumentKind.SPOT, base="BTC", tick_size="0.01", lot_size="0.00001")
PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size="0.1", lot_size="0.001")
FINE = Instrument(venue=VenueId("mexc-contract"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size="0.01", lot_size="0.000001")
HUNTER = PhaseId("hunter")
START = Money(10**11)


def fill(ts: int, instrument: Instrument, lots: int, price: int, fee: int) -> Fill:
    return Fill(ts, instrument.id, HUNTER, StrategyId("main"), ClientOrderId("c"), lots, price, Money(fee), Liquidity.TAKER, "")


def paid(ts: int, amount: int) -> FundingPayment:
    return FundingPayment(ts, PERP.id, HUNTER, 1, 1, 10_000, Money(amount))


def slow_equity(
    tape: Tape, fills: Sequence[Fill], funding: Sequence[FundingPayment], charges: Sequence[tuple[int, int]], at: Sequence[int]
) -> list[tuple[int, int]]:
    """Cash and equity of each time, event by event in Python integers."""
    out = []
    for now in at:
        cash, lots = int(START), {instrument.id: 0 for instrument in tape.instruments}
        for f in fills:
            if f.ts_ns <= now:
                cash -= f.signed_lots * f.price * tape.instrument(f.instrument).money_per_tick_lot + f.fee
                lots[f.instrument] += f.signed_lots
        cash += sum(p.amount for p in funding if p.ts_ns <= now) - sum(fee for ts, fee in charges if ts <= now)
        doubled = 2 * cash
        for instrument in tape.instruments:
            price2 = 0
            for kind in (StreamKind.QUOTE, StreamKind.MARK):
                stream = tape.stream(instrument.id, kind)
                if stream is None or (kind is StreamKind.MARK and not instrument.is_perp):
                    continue
                for row in range(stream.rows):
                    if int(stream.ts[row]) <= now:
                        c = {name: int(stream.columns[name][row]) for name in ("bid", "ask", "price") if name in stream.columns}
                        price2 = 2 * c["price"] if kind is StreamKind.MARK else c["bid"] + c["ask"] if instrument.is_perp else 2 * c["bid"]
            doubled += lots[instrument.id] * instrument.money_per_tick_lot * price2
        out.append((cash, doubled // 2))
    return out


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    raw = {}
    for instrument in (SPOT, PERP, FINE):
        ts = sorted(draw(st.sets(st.integers(1, 300), min_size=1, max_size=8)))
        bid = draw(st.lists(st.integers(1_000, 9_000_000), min_size=len(ts), max_size=len(ts)))
        width = draw(st.lists(st.integers(1, 5), min_size=len(ts), max_size=len(ts)))
        one, bids = np.ones(len(ts), np.int32), np.array(bid, np.int32)
        asks = bids + np.array(width, np.int32)
        raw[instrument.id, StreamKind.QUOTE] = {"ts": np.array(ts, np.int64), "bid": bids, "ask": asks, "bid_lots": one, "ask_lots": one}
    if draw(st.booleans()):
        ts = sorted(draw(st.sets(st.integers(1, 300), min_size=1, max_size=8)))
        price = draw(st.lists(st.integers(1_000, 9_000_000), min_size=len(ts), max_size=len(ts)))
        raw[PERP.id, StreamKind.MARK] = {"ts": np.array(ts, np.int64), "price": np.array(price, np.int32), "index": np.array(price, np.int32)}
    return build_tape((SPOT, PERP, FINE), raw)


times = st.integers(0, 320)
some_fills = st.lists(
    st.builds(fill, times, st.sampled_from([SPOT, PERP, FINE]), st.integers(-10_000, 10_000).filter(bool), st.integers(1, 9_000_000), st.integers(-500, 10**7)),
    max_size=8,
)
some_funding = st.lists(st.builds(paid, times, st.integers(-(10**9), 10**9)), max_size=3)
some_charges = st.lists(st.tuples(times, st.integers(0, 10**9)), max_size=3)


@settings(max_examples=150, deadline=None)
@given(tapes(), some_fills, some_funding, some_charges, st.integers(1, 400))
def test_the_curve_is_exact_to_the_unit(tape: Tape, fills: list[Fill], funding: list[FundingPayment], charges: list[tuple[int, int]], sample_ns: int) -> None:
    curve = equity_curve(tape, fills, funding, START, sample_ns, charges=charges)
    assert list(zip(curve.cash.tolist(), curve.equity.tolist(), strict=True)) == slow_equity(tape, fills, funding, charges, curve.ts_ns.tolist())


def test_the_curve_of_a_generated_day_ends_where_the_ledger_does() -> None:
    tape = build_tape(*generate(1, 5, ticks_per_day=200_000))
    trades = {instrument.id: tape.stream(instrument.id, StreamKind.TRADE) for instrument in tape.instruments}
    fills, ledger = [], Ledger(tape.instruments, START)
    for instrument in tape.instruments:
        stream = trades[instrument.id]
        assert stream is not None
        for n, row in enumerate(range(0, stream.rows, stream.rows // 500)):
            lots, price = (1 if n % 3 else -2) * 10, int(stream.columns["price"][row])
            fills.append(fill(int(stream.ts[row]), instrument, lots, price, int(instrument.fee(lots, price, maker=False))))
    for f in sorted(fills, key=lambda f: f.ts_ns):
        ledger.fill(f)
    curve = equity_curve(tape, fills, [], START, MIN)
    assert len(curve.ts_ns) == 1_441
    assert np.count_nonzero(np.diff(curve.equity)) > 1_000
    last = {}
    for instrument in tape.instruments:
        stream = tape.stream(instrument.id, StreamKind.MARK if instrument.is_perp else StreamKind.QUOTE)
        assert stream is not None
        last[instrument.id] = int(stream.columns["price" if instrument.is_perp else "bid"][-1])
    assert curve.equity[-1] == ledger.equity(last)
    assert curve.cash[-1] == ledger.cash


def test_a_perpetual_is_worth_its_mid_until_the_first_mark_and_its_mark_from_then_on() -> None:
    one = np.ones(1, np.int32)
    raw = {
        (PERP.id, StreamKind.QUOTE): {"ts": np.array([1], np.int64), "bid": one * 100, "ask": one * 103, "bid_lots": one, "ask_lots": one},
        (PERP.id, StreamKind.MARK): {"ts": np.array([3], np.int64), "price": one * 200, "index": one * 200},
    }
    curve = equity_curve(build_tape([PERP], raw), [fill(1, PERP, 2, 100, 0)], [], START, 1, end_ns=3)
    assert curve.ts_ns.tolist() == [1, 2, 3]
    assert ((curve.equity - START) // PERP.money_per_tick_lot).tolist() == [3, 3, 200]


@given(st.integers(0, 1_000), st.integers(0, 1_000), st.integers(1, 300))
def test_samples_are_the_multiples_between_begin_and_end_and_both_ends(begin: int, length: int, period: int) -> None:
    end = begin + length
    expected = sorted({begin, end, *(t for t in range(0, end, period) if t > begin)})
    assert sample_times(begin, end, period).tolist() == expected


def test_a_part_of_the_tape_can_be_asked_for() -> None:
    tape = build_tape(*generate(1, 5, ticks_per_day=200_000))
    begin = tape.first_ns + 60 * MIN
    curve = equity_curve(tape, [], [], START, MIN, begin_ns=begin, end_ns=begin + 5 * MIN)
    assert curve.ts_ns[0] == begin and curve.ts_ns[-1] == begin + 5 * MIN
    assert set(curve.equity.tolist()) == {START}


def test_a_foreign_fill_a_zero_period_and_sums_beyond_64_bits_are_refused() -> None:
    one = np.ones(1, np.int32)
    tape = build_tape([PERP], {(PERP.id, StreamKind.QUOTE): {"ts": np.array([1], np.int64), "bid": one, "ask": one * 2, "bid_lots": one, "ask_lots": one}})
    with pytest.raises(UsageError, match=r"BTCUSDT\.binance-spot cannot be valued"):
        equity_curve(tape, [fill(1, SPOT, 1, 1, 0)], [], START, 1)
    with pytest.raises(UsageError, match="at least 1 ns"):
        equity_curve(tape, [], [], START, 0)
    with pytest.raises(UsageError, match="more than the"):
        equity_curve(tape, [fill(1, PERP, 2**31, 2**30, 0)], [], START, 1)
