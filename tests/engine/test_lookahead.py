"""No decision depends on what has not happened yet."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from titan_core.engine.forms import Form
from titan_core.engine.open_governor import OpenGovernor
from titan_core.model.enums import StreamKind
from titan_core.model.units import MIN, MONEY_PER_USDT, S
from titan_core.ports import Strategy
from titan_core.tape.tape import build_tape
from titan_core.testing.chaos import Chaos, random_market
from titan_core.testing.lookahead import LookAheadError, check_no_lookahead, truncate

pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

CASH = 100_000 * MONEY_PER_USDT


def market(seed, rows, **kwargs):
    return build_tape(*random_market(seed, rows, **kwargs))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**31), rows=st.integers(20, 1500), step_ns=st.sampled_from([3_000_000, 300_000_000, 25 * S]), jump=st.sampled_from([0.0, 0.01]))
def test_removing_the_future_changes_no_decision_of_the_replay(seed, rows, step_ns, jump):
    def governor(tape):
        return OpenGovernor([Chaos(seed, budget=150, first=seed % 20)], drawdown_bps=(0, 20)[seed % 2])

    proven = check_no_lookahead(market(seed, rows, step_ns=step_ns, jump=jump), governor, cash=CASH, count=3)
    assert len(proven.moments) <= 3


@pytest.mark.parametrize("form", list(Form))
def test_it_says_how_much_was_proven(form):
    proven = check_no_lookahead(market(3, 800), lambda tape: OpenGovernor([Chaos(3)]), cash=CASH, count=4, form=form)
    assert len(proven.moments) == 4 and proven.decisions > 200


class Clairvoyant(Strategy):
    """Notes each minute whether the price will be higher at the end of its tape."""

    def __init__(self, tape):
        trades = next(stream for stream in tape.streams if stream.kind is StreamKind.TRADE)
        self._last = int(trades.columns["price"][-1])

    def on_start(self, market):
        market.every(S, self._look)

    def _look(self, market, timer):
        market.note("up" if (market.instruments[0].last() or 0) < self._last else "down")


def test_a_strategy_that_was_prepared_on_the_whole_tape_is_found_out():
    tape = market(1, 3000, volatility=15.0)
    with pytest.raises(
        LookAheadError, match=r"depends on what happens after \d+: with the future .*up.*, without it .*down|with the future .*down.*, without it .*up"
    ):
        check_no_lookahead(tape, lambda seen: OpenGovernor([Clairvoyant(seen)]), cash=CASH)


def test_a_decision_more_or_less_is_found_out():
    class Talkative(Strategy):
        def __init__(self, tape):
            self._words = len(tape.streams[0].ts) // 100

        def on_start(self, market):
            for i in range(self._words):
                market.note(str(i))

    with pytest.raises(LookAheadError, match="is made only with the future"):
        check_no_lookahead(market(1, 3000), lambda seen: OpenGovernor([Talkative(seen)]), cash=CASH)


def test_a_tape_cut_off_holds_what_happened_until_then_and_nothing_derived_from_later():
    tape = market(2, 2000, step_ns=S)
    moment = tape.first_ns + (tape.last_ns - tape.first_ns) // 2
    cut = truncate(tape, moment)
    assert [(s.instrument, s.kind, s.rank) for s in cut.streams] == [(s.instrument, s.kind, s.rank) for s in tape.streams]
    for whole, part in zip(tape.streams, cut.streams, strict=True):
        assert part.rows == int((whole.ts <= moment).sum()) < whole.rows
        for name, column in part.columns.items():
            if name in ("ts", "bid", "price", "sum_signed", "milli_bps"):
                assert (column == whole.columns[name][: len(column)]).all()
        if part.kind is StreamKind.TRADE:
            assert len(part.columns["bar_c"]) == int(part.ts[-1]) // MIN - int(part.ts[0]) // MIN + 1
    assert truncate(tape, tape.first_ns - 1).ticks == 0
