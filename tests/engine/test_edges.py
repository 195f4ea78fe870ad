"""All forms agree where edges are hit again and again. The cases are fixed: they are also what kills the mutants (tests/mutants)."""

import pytest

from tests.engine.edges import GRID, Edgy, edge_market
from tests.engine.test_live import assert_same
from tests.engine.tiny import FORMS, make_engine
from titan_core.engine.live import play
from titan_core.engine.open_governor import OpenGovernor
from titan_core.model.units import MONEY_PER_USDT

CASH = 2 * MONEY_PER_USDT
FAST = [form for form in FORMS if form != "reference"]


def run(form, tape, seed, budget=150, **kwargs):
    """Run two strategies over a small account, whose equity therefore crosses bounds all the time."""
    floors = [2 * CASH - 2 * i * (seed % 5 + 1) * MONEY_PER_USDT // 1000 for i in range(1, 40)] if seed % 3 else []
    governor = OpenGovernor([Edgy(seed, budget), Edgy(seed + 1000, budget)], floors=floors, drawdown_bps=(0, 3, 20)[seed % 7 % 3])
    latency = (1, GRID, GRID // 2, 3 * GRID)[seed % 4]
    engine = make_engine(form, tape, governor, slots=governor.slots, cash=CASH, latency_ns=latency, slippage_ticks=seed % 2, **kwargs)
    if form == "per-event":
        play(engine, tape)
    else:
        engine.run()
    assert not governor.faults, governor.faults
    return engine


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("form", FAST)
def test_forms_agree_at_edges(form, seed):
    tape = edge_market(seed, (40, 150, 400)[seed % 3], ties=form == "replay" and seed % 8 < 6, dense=seed % 2 == 0)
    assert_same(run(form, tape, seed), run("reference", tape, seed))


@pytest.mark.skipif("replay" not in FORMS, reason="numba is not installed")
@pytest.mark.parametrize("seed", range(3))
def test_forms_agree_on_streams_of_many_blocks(seed):
    """Enough rows for blocks of 4,096; few decisions, far apart."""
    tape = edge_market(seed, 9_000, span=40, dense=True)
    assert_same(run("replay", tape, seed, budget=60), run("reference", tape, seed, budget=60))


def test_the_cases_do_what_they_are_there_for():
    """Fills of all kinds, bounds, liquidations, funding, stops, targets, cancels: a test over markets in which nothing happens proves nothing."""
    seen = {}
    for seed in range(28):
        tape = edge_market(seed, (40, 150, 400)[seed % 3], ties=seed % 8 < 6, dense=seed % 2 == 0)
        for entry in run("reference", tape, seed).record.entries:
            kinds = [entry[0], f"{entry[0]} {entry[7]}" if entry[0] == "fill" else "", f"closed {entry[3]}" if entry[0] == "closed" else ""]
            kinds.append(entry[2] if entry[0] == "note" and entry[2] in ("governor", "venue") else "")
            kinds += [tag for tag in ("stop", "target", "liquidation") if entry[0] == "fill" and f".{tag}." in entry[2]]
            for kind in filter(None, kinds):
                seen[kind] = seen.get(kind, 0) + 1
    wanted = {"fill taker": 500, "fill maker": 200, "closed cancelled": 100, "closed rejected": 10, "closed expired": 10, "funding": 100}
    wanted |= {"governor": 200, "stop": 30, "target": 30, "approved": 500}
    missing = {kind: seen.get(kind, 0) for kind, least in wanted.items() if seen.get(kind, 0) < least}
    assert not missing, (missing, seen)
