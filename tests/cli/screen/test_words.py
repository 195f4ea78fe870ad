"""What a picture is said to mean."""

import pytest

from tests.app.control.pictures import LINK, NOW, calm, emergency, feed, phase, position, troubled
from titan_core.app.live.status import JournalLine
from titan_core.brain.vocabulary import Emergency
from titan_core.cli.screen.words import STEPS, ago, emergency_step, market_words, regions, troubles, verdict


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "TRADING"),
        ({"risk": "warning"}, "TRADING"),
        ({"risk": "reduced"}, "HALF SIZE"),
        ({"phases": (phase(state="dormant"),)}, "WATCHING"),
        ({"gate": "reducing"}, "EXITS ONLY"),
        ({"gate": "closed"}, "GATE CLOSED"),
        ({"stage": "starting", "gate": "closed"}, "STARTING"),
        ({"stage": "recovering", "gate": "closed"}, "RECOVERING"),
        ({"stage": "stopping", "gate": "closed"}, "STOPPING"),
        ({"stage": "stopped", "gate": "closed"}, "STOPPED"),
        ({"brain": "emergency.verifying", "stage": "stopping"}, "EMERGENCY"),
        ({"brain": "emergency.locked", "stage": "running"}, "LOCKED"),
        ({"brain": "something new", "gate": "something new"}, "GATE CLOSED"),
    ],
)
def test_the_most_serious_thing_is_the_verdict(changes: dict[str, object], word: str) -> None:
    assert verdict(calm(**changes)).word == word


def test_it_is_said_why_the_gate_is_closed() -> None:
    assert verdict(troubled()).meaning == "halted, `titan resume` lifts it; no venue is tradable; paused by the operator; the journal is full"
    assert regions(troubled()) == {"risk": "halted", "link": "down", "control": "paused"}
    assert regions(emergency()) == {}


@pytest.mark.parametrize("step", Emergency)
def test_each_step_of_an_emergency_is_told(step: Emergency) -> None:
    status = emergency(str(step))
    assert emergency_step(status) is step
    assert STEPS[step][1] in verdict(status).meaning and verdict(status).colour == "red"


def test_an_emergency_of_another_version_is_one_all_the_same() -> None:
    assert emergency_step(emergency("something_new")) is Emergency.CLOSING_GATE


def test_every_trouble_is_told_worst_first() -> None:
    told = [text for _, text in troubles(troubled())]
    assert told == [
        "without a stop: BTCUSDT.bybit-linear",
        "journal full: no entries until the disk has room again",
        "bybit does not answer: no answer to 3 requests",
        "hunter is in quarantine: titan_on_bar raised ZeroDivisionError: division by zero",
        "BTCUSDT.binance-spot: no row for 84 s",
        "ETHUSDT.bybit-linear: the book lacks updates 88121 to 88140",
    ]
    assert list(troubles(calm())) == []


def test_a_broken_journal_comes_before_everything() -> None:
    status = calm(journal=JournalLine(status="broken", last_seq=2, durable_seq=1), positions=(position(stop=""),))
    assert [text.partition(":")[0] for _, text in troubles(status)] == ["journal broken", "without a stop"]


def test_positions_that_are_being_closed_need_no_stop() -> None:
    assert list(troubles(emergency())) == []


def test_a_stream_that_is_down_is_told() -> None:
    from msgspec.structs import replace

    assert [text for _, text in troubles(calm(link=replace(LINK, is_streaming=False)))] == ["bybit: private stream down, executions are polled"]
    assert [text for _, text in troubles(calm(feeds=(feed(doubt="crossed"),)))] == ["BTCUSDT.bybit-linear: crossed"]


def test_market_and_speed_are_plainly_said() -> None:
    assert market_words(calm()) == "built-in market 60x"
    assert market_words(calm(speed=1.0)) == "built-in market 1x"
    assert market_words(emergency()) == "live market"
    assert NOW == calm().now_ns


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.04, "0.0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (99, "99 s"), (120, "2 min"), (5_940, "99 min"), (7_200, "2 h"), (200_000, "2 d")],
)
def test_a_stretch_of_time_is_short_to_read(seconds: float, text: str) -> None:
    assert ago(seconds) == text
    assert len(ago(seconds)) <= 6
