"""The per-event form takes the same decisions as replay and reference on markets whose times are unique."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent, play
from titan_core.engine.reference import Reference
from titan_core.model.units import MONEY_PER_USDT, MS, S
from titan_core.tape.tape import build_tape
from titan_core.testing.chaos import Chaos, random_market
from titan_core.testing.governors import OpenGovernor

EXAMPLES = int(os.environ.get("TITAN_PARITY_EXAMPLES", "60"))
CASH = 100_000 * MONEY_PER_USDT


def governor(seed, budget, first, strategies=1):
    floors = [2 * CASH - 2 * (seed % 97) * i * MONEY_PER_USDT // 10 for i in range(1, 6)] if seed % 3 else []
    return OpenGovernor([Chaos(seed + i, budget=budget, first=first) for i in range(strategies)], floors=floors, drawdown_bps=(0, 5, 30)[seed % 7 % 3])


def run_per_event(tape, seed, budget, first, latency_ns, start_ns=None, end_ns=None, strategies=1, segment_rows=64):
    g = governor(seed, budget, first, strategies)
    engine = PerEvent(Layout.of(tape), g, cash=CASH, slots=g.slots, latency_ns=latency_ns, slippage_ticks=seed % 3, segment_rows=segment_rows)
    play(engine, tape, start_ns, end_ns)
    assert not g.faults, g.faults
    return engine


def run_reference(tape, seed, budget, first, latency_ns, start_ns=None, end_ns=None, strategies=1):
    g = governor(seed, budget, first, strategies)
    engine = Reference(tape, g, cash=CASH, slots=g.slots, latency_ns=latency_ns, slippage_ticks=seed % 3).run(start_ns, end_ns)
    assert not g.faults, g.faults
    return engine


def assert_same(a, b):
    for i, (x, y) in enumerate(zip(a.record.entries, b.record.entries, strict=False)):
        assert x == y, (i, x, y, a.record.entries[max(0, i - 2) : i])
    assert len(a.record.entries) == len(b.record.entries)
    assert a.record.digest == b.record.digest
    assert (a.account.cash, a.account.lots, a.account.fees, a.account.funding) == (b.account.cash, b.account.lots, b.account.fees, b.account.funding)
    assert a.account.equity2(a.value2) == b.account.equity2(b.value2)
    assert (a.fires, a.events, a.now) == (b.fires, b.events, b.now)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**31),
    rows=st.one_of(st.integers(2, 300), st.integers(1000, 4000)),
    step_ns=st.sampled_from([3 * MS, 40 * MS, 300 * MS, 25 * S]),
    volatility=st.sampled_from([0.3, 2.0, 15.0]),
    jump=st.sampled_from([0.0, 0.01]),
    budget=st.integers(20, 300),
    latency_ns=st.sampled_from([1, MS, 250 * MS]),
    first=st.integers(0, 30),
    thin=st.booleans(),
    segment_rows=st.sampled_from([64, 192, 16384]),
)
def test_per_event_equals_reference(seed, rows, step_ns, volatility, jump, budget, latency_ns, first, thin, segment_rows):
    instruments, raw = random_market(seed, rows, step_ns=step_ns, volatility=volatility, jump=jump, ties=False, thin=thin)
    tape = build_tape(instruments, raw)
    assert_same(run_per_event(tape, seed, budget, first, latency_ns, segment_rows=segment_rows), run_reference(tape, seed, budget, first, latency_ns))
