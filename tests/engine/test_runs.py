"""Runs as a whole: where they begin and end, the shape of their tapes, several strategies at once, and that nothing but the input decides them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.test_live import assert_same
from tests.engine.tiny import CASH, FORMS, OTHER, PERP, T0, Events, Script, fills, make_engine, run
from titan_core.engine.live import play
from titan_core.engine.open_governor import OpenGovernor
from titan_core.errors import TapeError, UsageError
from titan_core.model.enums import StreamKind
from titan_core.model.units import S
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import build_tape
from titan_core.testing.chaos import ETH, Chaos, random_market

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def chaos(form, tape, seeds, start=None, end=None, **kwargs):
    governor = OpenGovernor([Chaos(seed, budget=120, first=12) for seed in seeds], drawdown_bps=20)
    engine = make_engine(form, tape, governor, slots=governor.slots, **kwargs)
    if form == "per-event":
        play(engine, tape, start, end)
    else:
        engine.run(start, end)
    assert not governor.faults, governor.faults
    return engine


def market(seed, rows=1500, **kwargs):
    return build_tape(*random_market(seed, rows, ties=False, **kwargs))


# -- the same again ---------------------------------------------------------------------------------------------------
def test_two_runs_in_one_process_are_the_same(form):
    tape = market(7)
    first, second = chaos(form, tape, [1]), chaos(form, tape, [1])
    assert len(first.record.fills) > 20
    assert first.record.digest == second.record.digest


DIGESTS = """
from tests.engine.test_runs import chaos, market, FORMS
print(*[chaos(form, market(7), [1, 2]).record.digest for form in FORMS])
"""


def test_runs_in_two_processes_are_the_same_whatever_their_hash_seeds():
    out = set()
    for seed in ("0", "4711"):
        env = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run([sys.executable, "-c", DIGESTS], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        out |= set(ran.stdout.split())
    assert out == {chaos("reference", market(7), [1, 2]).record.digest}


# -- several at once --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(10, 16))
def test_several_strategies_share_an_account_and_all_forms_agree(seed):
    tape = market(seed, 1200, thin=bool(seed % 2))
    engines = [chaos(form, tape, [seed, seed + 100, seed + 200], slippage_ticks=seed % 2) for form in FORMS]
    for other in engines[1:]:
        assert_same(other, engines[0])
    assert sum(engines[0].account.flow2) == 2 * (engines[0].account.cash - CASH)
    assert len({fill.phase for fill in engines[0].record.fills}) == 3


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), rows=st.integers(30, 900), begin=st.floats(0, 1), length=st.floats(0, 1))
def test_all_forms_agree_on_any_stretch_of_a_tape(seed, rows, begin, length):
    tape = market(seed, rows)
    times = np.unique(np.concatenate([stream.ts for stream in tape.streams if stream.kind in (StreamKind.QUOTE, StreamKind.TRADE)]))
    first = int(begin * (len(times) - 1))
    last = first + int(length * (len(times) - 1 - first))
    for shift in (0, 1, -1):
        start, end = min(int(times[first]) + shift, int(times[-1])), int(times[last]) + max(0, shift)
        engines = [chaos(form, tape, [seed], start, end) for form in FORMS]
        for other in engines[1:]:
            assert_same(other, engines[0])
        assert all(start - 1 <= entry[1] <= end for entry in engines[0].record.entries)


# -- beginnings and ends ----------------------------------------------------------------------------------------------
def day():
    return Events().quote(0, 1000, 1001).trade(10, 1000).quote(100, 1010, 1011).trade(110, 1010).quote(200, 1020, 1021).trade(210, 1020)


def test_what_lies_before_the_start_is_history(form):
    script = Script({})
    script.on_start = lambda m: script.hits.append((m.now_ns - T0, m.perp.last(), m.perp.quote()[:2], m.perp.cvd(1000))) or m.arm(m.perp.above(0), script.hit)
    run(form, day(), script, start=110)
    # it starts a nanosecond before 110: the quote of 100 is known, the print of 110 is an event
    assert script.hits == [(109, 1000, (1010, 1011), -1), (110, None)]


def test_both_ends_belong_to_the_run(form):
    script = Script({150: lambda m: m.arm(m.perp.above(0), script.hit), 211: lambda m: 1, 210: lambda m: 1})
    engine = run(form, day(), script, start=100, end=210)
    assert script.hits == [(210, None)]
    assert script.results.keys() == {150, 210} and engine.now == T0 + 210
    script = Script({150: lambda m: m.arm(m.perp.above(0), script.hit), 209: lambda m: 1, 210: lambda m: 1})
    run(form, day(), script, start=100, end=209)
    assert script.hits == [] and script.results.keys() == {150, 209}


def test_a_run_may_lie_between_two_events(form):
    script = Script({150: lambda m: m.perp.last(), 90: lambda m: 1, 199: lambda m: 1})
    engine = run(form, day(), script, start=120, end=180)
    assert script.results == {90: 1, 150: 1010}  # a time that has passed means the next nanosecond
    assert engine.now == T0 + 180


def test_orders_that_have_not_arrived_when_the_tape_ends_are_never_filled(form):
    script = Script({205: lambda m: m.enter(m.perp, 1), 199: lambda m: m.enter(m.perp, 2)})
    engine = run(form, day(), script)
    assert fills(engine) == [(209, 2, 1021, "taker")]
    assert len(engine.venue.working) == 1


@pytest.mark.parametrize("window", [{"start": 300}, {"end": -1}, {"start": 200, "end": 100}])
def test_a_window_that_holds_nothing_of_the_tape_is_an_error(form, window):
    with pytest.raises(UsageError, match="nothing of the tape lies between the start and the end"):
        run(form, day(), Script({}), **window)


def test_a_tape_without_events_is_an_error(form):
    empty = {name: np.zeros(0, dtype) for name, dtype in SPECS[StreamKind.QUOTE].raw.items()}
    tape = build_tape((PERP,), {(PERP.id, StreamKind.QUOTE): empty})
    with pytest.raises(TapeError, match="the tape holds no event"):
        run(form, tape, Script({}))


# -- shapes of tapes --------------------------------------------------------------------------------------------------
def test_streams_of_one_row_and_of_none(form):
    tape = Events().quote(0, 1000, 1001).trade(200, 1001, 1).tape()
    raw = {(PERP.id, stream.kind): {name: stream.columns[name] for name in SPECS[stream.kind].raw} for stream in tape.streams}
    for kind in (StreamKind.MARK, StreamKind.FUNDING, StreamKind.OPEN_INTEREST, StreamKind.LIQUIDATION, StreamKind.GAP):
        raw[PERP.id, kind] = {name: np.zeros(0, dtype) for name, dtype in SPECS[kind].raw.items()}
    raw[PERP.id, StreamKind.DEPTH] = {
        name: np.zeros((0,) if name == "ts" else (0, SPECS[StreamKind.DEPTH].width), dtype) for name, dtype in SPECS[StreamKind.DEPTH].raw.items()
    }
    script = Script({})

    def start(m):
        for condition in (m.perp.above(1001), m.perp.mark_above(1), m.perp.open_interest_below(9**9), m.perp.next_funding(), m.perp.next_gap()):
            m.arm(condition, script.hit)
        m.arm(m.perp.flow_above(1000, 1), script.hit, "flow")
        m.arm(m.perp.trail_from_high(1), script.hit, "trail")
        script.hits.append((m.perp.mark(), m.perp.funding_rate(), m.perp.range_high(m.now_ns), m.perp.bars(60 * S).count, m.perp.vwap(5)))
        m.after(100, lambda m, t: m.enter(m.perp, 1, limit=1000, stop=900, target=1100))

    script.on_start = start
    run(form, build_tape((PERP,), raw), script)
    assert script.hits == [(None, None, None, 0, None), (200, None), (200, "flow")]


def test_a_single_instrument_needs_no_spot(form):
    script = Script({50: lambda m: (m.pairs, m.perp.spec.id, [i.spec.id for i in m.instruments])})
    run(form, day(), script)
    assert script.results[50] == ([], PERP.id, [PERP.id])


def test_three_instruments_and_a_pair_among_them(form):
    instruments, raw = random_market(5, 1200, ties=False)
    assert len(instruments) == 3 and instruments[2] is ETH
    tape = build_tape(instruments, raw)
    engine = chaos(form, tape, [3, 4])
    assert {fill.instrument for fill in engine.record.fills} == {instrument.id for instrument in instruments}
    assert engine.record.digest == chaos("reference", tape, [3, 4]).record.digest


def test_two_perpetuals_without_spot(form):
    events = Events(PERP, OTHER).quote(0, 1000, 1001).quote(1, 50, 51, on=OTHER).trade(10, 1000).trade(11, 50, on=OTHER).trade(200, 1).trade(201, 1, on=OTHER)
    script = Script({50: lambda m: [m.enter(i, n) for i, n in zip(m.instruments, (1, -2), strict=True)]})
    engine = run(form, events, script)
    assert engine.account.lots == [1, -2] and fills(engine) == [(60, 1, 1001, "taker"), (60, -2, 50, "taker")]


# -- the per-event form's own doors -----------------------------------------------------------------------------------
def per_event(script, **kwargs):
    governor = OpenGovernor([script])
    return make_engine("per-event", day().tape(), governor, **kwargs)


def test_silence_is_advanced_through():
    script = Script({50: lambda m: 1, 70: lambda m: 2})
    engine = per_event(script)
    engine.start(T0 - 1)
    engine.on_event(T0, 0, (1000, 1001, 1, 1))
    engine.advance(T0 + 60)
    assert (script.results, engine.now) == ({50: 1}, T0 + 60)
    engine.on_event(T0 + 60, 0, (1000, 1001, 1, 1))  # the time advanced to may still bring an event
    engine.advance(T0 + 10)
    assert engine.now == T0 + 60
    engine.finish(T0 + 80)
    assert (script.results, engine.now) == ({50: 1, 70: 2}, T0 + 80)


def test_times_must_increase_and_the_message_says_where():
    engine = per_event(Script({}))
    engine.start(T0 - 1)
    engine.on_event(T0 + 5, 0, (1000, 1001, 1, 1))
    for late in (T0 + 5, T0 + 4):
        with pytest.raises(TapeError, match=f"event of stream 1 at {late} comes after {T0 + 5} has been processed"):
            engine.on_event(late, 1, (1000, 1))
    engine.advance(T0 + 10)
    with pytest.raises(TapeError, match=f"comes after {T0 + 10}"):
        engine.on_event(T0 + 9, 1, (1000, 1))


def test_history_comes_before_the_start_and_the_start_comes_once():
    engine = per_event(Script({}))
    engine.warm(T0, 0, (1000, 1001, 1, 1))
    with pytest.raises(TapeError, match="history reaches to"):
        engine.start(T0 - 1)
    engine.start(T0)
    assert engine.quote(0) == (1000, 1001, 1, 1)
    with pytest.raises(TapeError, match="must be fed before the start"):
        engine.warm(T0 + 5, 0, (1000, 1001, 1, 1))
    with pytest.raises(TapeError, match="the run has started"):
        engine.start(T0 + 9)
    with pytest.raises(TapeError):
        engine.on_event(T0, 0, (1000, 1001, 1, 1))


def test_basis_events_are_not_fed_and_tapes_with_ties_neither():
    instruments, raw = random_market(1, 200, ties=True)
    tape = build_tape(instruments, raw)
    governor = OpenGovernor([Chaos(1)])
    engine = make_engine("per-event", tape, governor)
    with pytest.raises(TapeError, match="follow from quotes"):
        engine.start(tape.first_ns - 1).on_event(tape.first_ns, len(tape.streams) - 1, (5,))
    with pytest.raises(TapeError, match="makes times unique"):
        play(make_engine("per-event", tape, OpenGovernor([Chaos(1)])), tape)
