"""What a strategy may ask of the market, and what it is told when that has no meaning."""

import numpy as np
import pytest

from tests.engine.tiny import CASH, FORMS, PERP, Events, Script, fills, make_engine, run
from titan_core.engine.open_governor import OpenGovernor
from titan_core.errors import StrategyError
from titan_core.model.enums import StreamKind
from titan_core.tape.tape import build_tape


@pytest.fixture(params=FORMS)
def form(request):
    return request.param


def market():
    return Events().quote(0, 1000, 1001).trade(10, 1000).trade(200, 1000).trade(300, 1000)


def raised(events, step):
    """Return what a step of a strategy raises."""
    governor = OpenGovernor([Script({100: step})])
    engine = make_engine("reference", events.tape() if isinstance(events, Events) else events, governor, cash=CASH)
    engine.run()
    ((_, error),) = governor.faults
    return error


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda m: m.arm(m.perp.above(1000.5), print), "level of a condition must be a whole number, found 1000.5"),
        (lambda m: m.arm(m.perp.trail_from_high(2.5), print), "window of a condition must be a whole number, found 2.5"),
        (lambda m: m.enter(m.perp, 1.5), "size of an order in lots must be a whole number, found 1.5"),
        (lambda m: m.enter(m.perp, 1, limit=999.5), "price of an order in ticks must be a whole number, found 999.5"),
        (lambda m: m.enter(m.perp, 1, stop=float("nan")), "must be a whole number, found nan"),
        (lambda m: m.exit(m.perp, lots=0.5), "must be a whole number, found 0.5"),
        (lambda m: m.arm(m.perp.flow_above(0, 5), print), "window of at least 1 ns, found 0"),
        (lambda m: m.arm(m.perp.flow_below(-5, 5), print), "window of at least 1 ns, found -5"),
        (lambda m: m.enter(m.perp, 1, limit=999, trigger=1005), "a limit or a trigger, not both"),
        (lambda m: m.every(0, print), "period above 0"),
    ],
)
def test_what_has_no_meaning_is_refused_with_what_was_found(step, words):
    error = raised(market(), step)
    assert isinstance(error, StrategyError)
    assert words in str(error)


def test_numpy_integers_are_whole_numbers(form):
    script = Script({100: lambda m: m.enter(m.perp, np.int64(3), limit=np.int32(1001)), 120: lambda m: m.arm(m.perp.above(np.int64(1000)), script.hit)})
    engine = run(form, market(), script)
    assert fills(engine) == [(110, 3, 1001, "taker")] and type(engine.account.cash) is int
    assert [ns for ns, _ in script.hits] == [200]


def test_without_prints_only_market_orders_have_a_meaning():
    quotes = {"ts": np.array([1, 1000]), "bid": np.int32([100, 100]), "ask": np.int32([101, 101]), "bid_lots": np.int32([1, 1]), "ask_lots": np.int32([1, 1])}
    tape = build_tape((PERP,), {(PERP.id, StreamKind.QUOTE): quotes})
    for kwargs in ({"limit": 99}, {"trigger": 99}, {"stop": 90}):
        governor = OpenGovernor([script := Script({})])
        script.on_start = lambda m, kwargs=kwargs: m.at(100, lambda m, t: m.enter(m.perp, 1, **kwargs))
        make_engine("reference", tape, governor).run()
        ((_, error),) = governor.faults
        assert "has no trade stream in this run" in str(error)
    governor = OpenGovernor([script := Script({})])
    script.on_start = lambda m: m.at(100, lambda m, t: m.enter(m.perp, 1))
    assert len(make_engine("reference", tape, governor, latency_ns=1).run().record.fills) == 1


def test_an_instrument_that_the_tape_lacks_a_stream_of_says_what_there_is():
    error = raised(market(), lambda m: m.perp.next_funding())
    assert "has no funding stream in this run (it has: quote, trade)" in str(error)


def test_a_strategy_that_raises_is_reported_and_the_others_go_on(form):
    good, bad = Script({100: lambda m: m.enter(m.perp, 1)}), Script({50: lambda m: 1 // 0, 100: lambda m: m.enter(m.perp, 1)})
    governor = OpenGovernor([bad, good])
    with pytest.raises(AssertionError):
        run(form, market(), governor=governor)
    assert [(phase, type(error)) for phase, error in governor.faults] == [("phase0", ZeroDivisionError)]
    assert governor.engine.account.lots == [1]
