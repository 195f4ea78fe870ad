"""What the Hunter does with a market: where its orders rest, when they are withdrawn, how trades end."""

import attrs
import pytest

from titan_core import BPS, D, H, S
from titan_core.testing.chaos import START
from titan_core.testing.markets import stepped_market, waves_path
from titan_hunter.config import Rule
from titan_hunter.hunt import Hunt

SEEDS = [1, 3, 4]


@pytest.fixture
def blocks(monkeypatch):
    """Every block that an order was planned for, with the plan."""
    seen = []
    real = Hunt.plan_at

    def plan_at(hunt, block, limit, **limits):
        plan = real(hunt, block, limit, **limits)
        seen.append((block, limit, plan))
        return plan

    monkeypatch.setattr(Hunt, "plan_at", plan_at)
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_entries_rest_at_the_near_end_of_a_block_with_stop_and_target(hunts, blocks, seed):
    outcome = hunts.run(hunts.market(seed))
    assert len(outcome.entries) >= 5
    by_limit = {limit: block for block, limit, _ in blocks}
    for _, lots, kind, limit, trigger, stop, target, _tag in outcome.entries:
        side, block = (1 if lots > 0 else -1), by_limit[limit]
        assert (kind, trigger, block.side) == ("limit", None, side)
        assert side * (limit - block.near) * BPS <= block.near * hunts.QUICK.max_improve_bps
        assert stop == limit - side * int(limit * 150 / BPS) and target == limit + side * int(limit * 450 / BPS)
        assert side * (block.far - stop) > 0, "the stop lies beyond the block"


@pytest.mark.parametrize("seed", SEEDS)
def test_entries_are_makers(hunts, seed):
    outcome = hunts.run(hunts.market(seed))
    entries = {entry.client_order_id: entry for entry in outcome.engine.record.fills if entry.tag.startswith("block")}
    assert entries and all(fill.liquidity.value == "maker" for fill in entries.values())


def test_an_entry_follows_a_price_that_turns_away_a_few_times_and_not_far(hunts, blocks):
    hunts.run(hunts.market(3))
    by_block = {}
    for block, limit, _ in blocks:
        by_block.setdefault(id(block), (block, []))[1].append(limit)
    followed = [(block, limits) for block, limits in by_block.values() if len(set(limits)) > 1]
    assert followed
    for block, limits in followed:
        assert all(block.side * (limit - block.near) * BPS <= block.near * hunts.QUICK.max_improve_bps for limit in limits)


def test_without_requotes_an_entry_stays_where_it_is(hunts, blocks):
    hunts.run(hunts.market(3), attrs.evolve(hunts.QUICK, max_requotes=0))
    assert blocks and all(limit == block.near or block.side * (block.near - limit) > 0 for block, limit, _ in blocks)


def test_the_loss_at_the_stop_is_the_share_of_equity_that_was_set(hunts):
    outcome = hunts.run(hunts.market(3), attrs.evolve(hunts.QUICK, risk_per_trade_bps=50))
    spec = next(iter(outcome.strategy.hunts.values())).spec
    for _, lots, _, limit, _, stop, _, _ in outcome.entries:
        loss = spec.loss_at_stop(lots, limit, stop)
        assert loss <= hunts.CASH * 1.2 * 50 / BPS and loss > hunts.CASH * 0.8 * 50 / BPS


def test_trades_end_by_stop_target_time_or_reversal_and_the_tally_adds_up(hunts):
    outcome = hunts.run(hunts.market(3))
    tags = {fill.tag for fill in outcome.engine.record.fills if not fill.tag.startswith("block")}
    assert tags <= {"stop", "target", "time", "reversal"} and {"time", "reversal"} & tags
    tally = outcome.tally
    assert tally["entered"] == tally["won"] + tally["lost"] + bool(any(outcome.engine.account.lots))


def test_a_trade_is_closed_when_its_time_is_over(hunts):
    outcome = hunts.run(hunts.market(1), attrs.evolve(hunts.QUICK, max_hold_s=900, exit_on_reversal=False))
    opened = None
    for fill in outcome.engine.record.fills:
        if fill.tag.startswith("block"):
            opened = opened or fill.ts_ns
        elif opened is not None:
            assert fill.ts_ns - opened <= 902 * S
            opened = None


def test_no_more_trades_a_day_than_allowed(hunts):
    outcome = hunts.run(hunts.market(3), attrs.evolve(hunts.QUICK, max_trades_per_day=1))

    orders = {(fill.ts_ns // D, fill.client_order_id) for fill in outcome.engine.record.fills if fill.tag.startswith("block")}
    assert orders and len(orders) == len({day for day, _ in orders})


def test_flow_that_runs_over_a_block_forbids_entries_that_are_made_without_asking(hunts):
    asked, unasked = (hunts.run(hunts.market(3), attrs.evolve(hunts.QUICK, absorption=rule)).tally for rule in (Rule.REQUIRE, Rule.OFF))
    assert asked["quoted"] < unasked["quoted"] and asked["running"] > 0 and not unasked["running"]


def test_a_judas_swing_forbids_its_own_side(hunts):
    vetoed, needed, ignored = (hunts.run(hunts.market(4), attrs.evolve(hunts.QUICK, judas=rule)).tally for rule in (Rule.VETO, Rule.REQUIRE, Rule.OFF))
    assert vetoed["judas"] > 0 and not ignored["judas"]
    assert needed["quoted"] <= vetoed["quoted"] <= ignored["quoted"] and needed["judas"] > vetoed["judas"]


def test_only_sessions_means_within_hours_of_an_open(hunts):
    outcome = hunts.run(hunts.market(3), attrs.evolve(hunts.QUICK, only_sessions=True, max_requotes=0))
    # the first days of January: London opens at 08:00 UTC, New York at 14:30; an order is placed at a close or between two
    assert outcome.entries
    for entry in outcome.entries:
        hour = entry[0] % D / H
        assert 8 <= hour < 10.26 or 14.5 <= hour < 16.76


def test_after_a_gap_it_rests_and_withdraws(hunts):

    path = waves_path(3, days=4, step_s=15)
    whole = hunts.run(stepped_market(path, step_s=15, start_ns=START))
    first = whole.entries[0][0]
    step = int((first - START) // (15 * S))
    holed = hunts.run(stepped_market(path, step_s=15, start_ns=START, hole=(step + 1, 2)), attrs.evolve(hunts.QUICK, gap_pause_s=3_600))
    again = [entry[0] for entry in holed.entries if entry[0] > first]
    assert holed.entries[0][0] == first and again and again[0] >= first + 3_600 * S


def test_without_a_perpetual_of_its_coins_it_says_that_it_is_idle(hunts):
    outcome = hunts.run(hunts.market(1), attrs.evolve(hunts.QUICK, coins=("ETH",)))
    assert outcome.notes == ["idle: this run has no perpetual of ETH to hunt in"]
    assert not outcome.entries


def test_it_waits_for_the_timeframes_to_agree(hunts):
    strict = attrs.evolve(hunts.QUICK, daily_weight=1.0, four_hour_weight=2.0, quarter_weight=1.0, min_alignment=1.0)
    assert not hunts.run(hunts.market(1, 1.0), strict).entries, "no daily swing can be confirmed within a day"
