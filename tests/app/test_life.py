"""One account through several tapes: what is carried from each to the next, and what is not."""

from collections.abc import Sequence

import pytest
from attrs import evolve

from titan_core.app.life import Chapter, in_order, live_through, whole
from titan_core.app.replay_run import END_OF_TAPE, ReplayRequest
from titan_core.config.load import Config, load_config
from titan_core.errors import UsageError
from titan_core.model.units import MONEY_PER_USDT, H, Money
from titan_core.plugin_host import LoadedPhase, discover
from titan_core.tape.generate import generate
from titan_core.tape.tape import Tape, build_tape

pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")

CASH = Money(1_000 * MONEY_PER_USDT)


@pytest.fixture(scope="module")
def tape() -> Tape:
    return build_tape(*generate(2, 5, ticks_per_day=200_000))


@pytest.fixture(scope="module")
def phases() -> Sequence[LoadedPhase]:
    found = [phase for phase in discover().phases if phase.id == "scavenger"]
    if not found:
        pytest.skip("the Scavenger is not installed")
    return found


@pytest.fixture(scope="module")
def config(phases: Sequence[LoadedPhase]) -> Config:
    return load_config(None, [phase.declaration for phase in phases], environ={})


def parts(tape: Tape, *hours: int, equity: Money = CASH) -> list[ReplayRequest]:
    """Cut a tape at hours after its beginning."""
    edges = [tape.first_ns - 1, *(tape.first_ns + hour * H for hour in hours), tape.last_ns]
    return [
        ReplayRequest(tape, {"path": f"part-{number}"}, equity, start_ns=start + 1, end_ns=end)
        for number, (start, end) in enumerate(zip(edges, edges[1:], strict=False), 1)
    ]


@pytest.fixture(scope="module")
def life(tape: Tape, phases: Sequence[LoadedPhase], config: Config) -> list[Chapter]:
    return list(live_through(parts(tape, 15, 30), phases, config))


def test_the_money_goes_on_to_the_last_unit(life: list[Chapter]) -> None:
    for before, after in zip(life, life[1:], strict=False):
        assert after.results.statistics.equity_start == before.results.composition.engine.account.cash
    assert whole(life)["equity_end"] == life[-1].figures["equity_end"] != life[0].figures["equity_start"]


def test_nothing_is_open_between_two_tapes(life: list[Chapter]) -> None:
    for chapter in life:
        assert not any(chapter.results.composition.engine.account.lots) and not chapter.figures["positions"]


def test_what_is_open_at_the_end_of_a_tape_is_closed_there(tape: Tape, phases: Sequence[LoadedPhase], config: Config) -> None:
    """Cut while a trade is open."""
    (alone,) = live_through([ReplayRequest(tape, {}, CASH)], phases, config)
    trip = max(alone.results.ledger.trips, key=lambda each: each.exit_ns - each.entry_ns)
    middle = (trip.entry_ns + trip.exit_ns) // 2
    cut = [ReplayRequest(tape, {}, CASH, end_ns=middle), ReplayRequest(tape, {}, CASH, start_ns=middle + 1)]
    first, _ = live_through(cut, phases, config)
    last = first.results.composition.engine.record.fills[-1]
    assert last.ts_ns == middle and last.tag == END_OF_TAPE


def test_figures_of_a_chapter_are_its_own_and_add_up(life: list[Chapter]) -> None:
    figures = whole(life)
    assert figures["fees"] == pytest.approx(sum(fill.fee for chapter in life for fill in chapter.results.composition.engine.record.fills) / MONEY_PER_USDT)
    assert figures["trades"] == sum(len(chapter.results.ledger.trips) for chapter in life) > 5
    net = sum(row["net"] for row in figures["by_phase"].values())
    assert figures["equity_end"] - figures["equity_start"] == pytest.approx(net)


def test_the_phase_on_duty_goes_on_without_a_dwell(life: list[Chapter]) -> None:
    for chapter in life[1:]:
        (first,) = [entry for entry in chapter.results.composition.engine.record.entries if entry[0] == "chart" and entry[2] == "scavenger.activate"][:1]
        assert first[1] <= (chapter.request.start_ns or 0) + 60 * 10**9


def test_a_life_is_the_same_again(tape: Tape, phases: Sequence[LoadedPhase], config: Config, life: list[Chapter]) -> None:
    assert whole(list(live_through(parts(tape, 15, 30), phases, config)))["digest"] == whole(life)["digest"]


@pytest.fixture(scope="module")
def strict(phases: Sequence[LoadedPhase]) -> Config:
    settings = ["brain.drawdown_warning_bps=5", "brain.drawdown_reduced_bps=6", "brain.drawdown_emergency_bps=7"]
    return load_config(None, [phase.declaration for phase in phases], settings, environ={})


class TestALockedBrain:
    def test_stays_locked(self, tape: Tape, phases: Sequence[LoadedPhase], strict: Config) -> None:
        chapters = list(live_through(parts(tape, 24), phases, strict))
        assert [chapter.figures["brain"] for chapter in chapters] == ["emergency.locked"] * 2
        assert chapters[0].figures["turns"]["panic"] == 1 and not chapters[1].figures["fills"]

    def test_is_unlocked_where_an_operator_resumes_it(self, tape: Tape, phases: Sequence[LoadedPhase], strict: Config) -> None:
        chapters = list(live_through(parts(tape, 24), phases, strict, resumes=True))
        assert chapters[1].figures["turns"]["scavenger activate"] >= 1


class TestOrder:
    def test_what_overlaps_is_lived_once(self, tape: Tape) -> None:
        one, other = (ReplayRequest(tape, {"path": name}, CASH, end_ns=tape.first_ns + hour * H) for name, hour in (("a", 4), ("b", 9)))
        first, second = in_order([one, other])
        assert second.start_ns == (first.end_ns or 0) + 1

    def test_what_goes_back_is_refused(self, tape: Tape) -> None:
        one, other = parts(tape, 20)
        with pytest.raises(UsageError, match=r"part-1 ends at .*, and the tapes before it reach to .*; a life goes forward"):
            in_order([other, one])

    def test_a_tape_outside_the_window_is_left_out(self, tape: Tape) -> None:
        one, other = parts(tape, 20)
        outside = evolve(one, end_ns=tape.first_ns - 5, start_ns=None)
        assert in_order([outside, other]) == in_order([other])
        with pytest.raises(UsageError, match="none of the tapes"):
            in_order([outside])
