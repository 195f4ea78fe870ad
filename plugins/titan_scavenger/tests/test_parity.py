"""The decisions are the same tick by tick and skipping ahead, depend on nothing later, and the cost of a fire is printed."""

from functools import cache
from time import perf_counter

import attrs
import pytest

from titan_core import D, S
from titan_core.tape.generate import generate
from titan_core.tape.tape import build_tape
from titan_scavenger.config import Execution, Mode, ScavengerConfig

BOTH = ScavengerConfig(mode=Mode.BOTH)
RESTLESS = ScavengerConfig(mode=Mode.BOTH, rearm_s=120, warmup_bars=0, cooldown_s=0, loss_cooldown_s=0, flow_share=0.1, max_trades_per_day=500, max_hold_s=120)


@cache
def market(seed, ticks=200_000):
    return build_tape(*generate(1, seed, ticks_per_day=ticks))


@pytest.mark.parametrize(
    ("seed", "config"),
    [(11, BOTH), (12, RESTLESS), (13, attrs.evolve(RESTLESS, execution=Execution.LIMIT, limit_ticks=3))],
    ids=["both", "restless", "limit"],
)
def test_reference_and_replay_take_the_same_decisions(scenes, seed, config):
    tape = market(seed)
    slow, fast = (scenes.run(tape, config, engine=engine) for engine in ("reference", "replay"))
    for ours, theirs in zip(slow.engine.record.entries, fast.engine.record.entries, strict=False):
        assert ours == theirs
    assert slow.engine.record.digest == fast.engine.record.digest
    assert slow.tally == fast.tally and slow.engine.fires == fast.engine.fires
    assert len(fast.fills) >= 10


def test_event_by_event_too(scenes):
    fast, live = (scenes.run(scenes.busy, RESTLESS, engine=engine) for engine in ("replay", "per-event"))
    assert fast.engine.record.entries == live.engine.record.entries and len(live.fills) >= 10


def test_hand_made_markets_too(scenes):
    for tape in (scenes.busy, scenes.shifted(scenes.busy, D - 80 * 60 * S), scenes.break_out(flow=0, then=[150, 0, -150, -150])):
        slow, fast = (scenes.run(tape, RESTLESS, engine=engine) for engine in ("reference", "replay"))
        assert slow.engine.record.digest == fast.engine.record.digest and slow.fills


@pytest.mark.parametrize("hour", [5, 9, 14, 20])
def test_deleting_the_future_changes_no_decision(scenes, hour):
    tape = market(12)
    end = tape.first_ns + hour * 3_600 * S + 123_456_789
    known = scenes.run(scenes.until(tape, end), RESTLESS, engine="replay").engine.record.entries
    whole = scenes.run(tape, RESTLESS, engine="replay").engine.record.entries
    assert known == [entry for entry in whole if entry[1] <= end] and len(known) >= 10


def test_a_second_run_is_the_first(scenes):
    assert scenes.run(market(12), RESTLESS, engine="replay").engine.record.digest == scenes.run(market(12), RESTLESS, engine="replay").engine.record.digest


def test_the_habit_of_an_ordinary_day(scenes, capsys):
    """10 to 20 trades; the cost is printed and not judged, since machines differ."""
    tape = market(1, 1_200_000)
    scenes.run(tape, ScavengerConfig(), engine="replay")  # compiles and builds the bars
    started = perf_counter()
    outcome = scenes.run(tape, ScavengerConfig(), engine="replay")
    wall = perf_counter() - started
    with capsys.disabled():
        print(f"\n{tape.ticks:,} ticks, {outcome.engine.fires} fires, {outcome.tally['entered']} trades, {wall / outcome.engine.fires * 1e6:.1f} us a fire")
    assert 10 <= outcome.tally["entered"] <= 20
    assert outcome.engine.fires >= 500
