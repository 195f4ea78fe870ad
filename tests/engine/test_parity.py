"""Replay and reference take the same decisions: random markets against a random strategy."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from titan_core.engine.reference import Reference
from titan_core.model.units import MONEY_PER_USDT, MS, S
from titan_core.tape.tape import build_tape
from titan_core.testing.chaos import Chaos, random_market
from titan_core.testing.governors import OpenGovernor

replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

EXAMPLES = int(os.environ.get("TITAN_PARITY_EXAMPLES", "60"))
CASH = 100_000 * MONEY_PER_USDT


def governor(seed, budget, first, strategies=1):
    floors = [2 * CASH - 2 * (seed % 97) * i * MONEY_PER_USDT // 10 for i in range(1, 6)] if seed % 3 else []
    return OpenGovernor([Chaos(seed + i, budget=budget, first=first) for i in range(strategies)], floors=floors, drawdown_bps=(0, 5, 30)[seed % 7 % 3])


def run_both(tape, seed, budget, first, latency_ns, chunk=64, end_ns=None, start_ns=None):
    book_bits = 6 if seed % 2 else 16
    prepared = replay.Prepared(tape)
    from titan_core.engine.levels import LevelBook

    g = governor(seed, budget, first)
    fast = replay.Replay(
        prepared, g, cash=CASH, slots=g.slots, latency_ns=latency_ns, slippage_ticks=seed % 3, chunk=chunk,
        book=LevelBook(prepared.descriptors, capacity=2, alive_bits=book_bits),
    ).run(start_ns, end_ns)  # fmt: skip
    h = governor(seed, budget, first)
    slow = Reference(tape, h, cash=CASH, slots=h.slots, latency_ns=latency_ns, slippage_ticks=seed % 3).run(start_ns, end_ns)
    assert not g.faults and not h.faults, (g.faults, h.faults)
    return fast, slow


def assert_same(fast, slow):
    for i, (a, b) in enumerate(zip(fast.record.entries, slow.record.entries, strict=False)):
        assert a == b, (i, a, b, fast.record.entries[max(0, i - 2) : i])
    assert len(fast.record.entries) == len(slow.record.entries)
    assert fast.record.digest == slow.record.digest
    assert (fast.account.cash, fast.account.lots, fast.account.fees, fast.account.funding) == (
        slow.account.cash,
        slow.account.lots,
        slow.account.fees,
        slow.account.funding,
    )
    assert fast.account.equity2(fast.value2) == slow.account.equity2(slow.value2)
    assert fast.fires == slow.fires


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
    chunk=st.sampled_from([1, 64, 65536]),
    thin=st.booleans(),
)
def test_replay_equals_reference(seed, rows, step_ns, volatility, jump, budget, latency_ns, first, chunk, thin):
    instruments, raw = random_market(seed, rows, step_ns=step_ns, volatility=volatility, jump=jump, thin=thin)
    tape = build_tape(instruments, raw)
    assert_same(*run_both(tape, seed, budget, first, latency_ns, chunk))
