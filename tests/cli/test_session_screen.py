"""The screen of a session: whatever is put on it, it fits."""

import types
from io import StringIO
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.app.control.pictures import ALL, NOW, calm, crowded, emergency, troubled
from titan_core.app.live.status import SessionStatus
from titan_core.cli.session_screen import History, render
from titan_core.model.units import S

LETTERS = st.text(max_size=40) | st.sampled_from(
    ["emergency.locked", "operational: risk halted, link down, control paused; a active", "live", "\x1b[2J", "語" * 30]
)


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field, as wild as its type allows."""
    if hasattr(kind, "__supertype__"):
        return of(kind.__supertype__)
    if get_origin(kind) is tuple:
        return st.lists(of(get_args(kind)[0]), max_size=3).map(tuple)
    if get_origin(kind) in (types.UnionType, getattr(types, "UnionType", None)):
        return st.one_of(*(of(each) for each in get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return st.builds(kind, **{name: of(each) for name, each in get_type_hints(kind).items()})
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: LETTERS,
        int: st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 2_000),
        float: st.floats(),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return plain[kind]


STATUSES = of(SessionStatus)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(STATUSES, st.integers(1, 200), st.none() | st.integers(1, 70), st.none() | st.floats(0, 1e9), st.text(max_size=20))
def test_whatever_is_shown_fits_and_nothing_breaks(status: SessionStatus, width: int, height: int | None, age_s: float | None, trouble: str) -> None:
    history = History()
    for _ in range(3):
        history.add(status)
    screen = render(status, history=history, taken_ns=NOW, age_s=age_s, trouble=trouble, height=height)
    lines = screen.lines(width, height)
    assert all(line.cell_len <= width for line in lines)
    assert lines[0].cell_len == width  # the bar: one line, never wrapped
    assert height is None or len(lines) <= height
    out = StringIO()
    Console(file=out, width=width, height=50, force_terminal=False, color_system=None).print(screen)
    assert out.getvalue().count("\n") == len(lines)
    assert "\x1b" not in out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("name", ALL)
def test_real_pictures_fill_a_terminal_exactly(name: str, width: int) -> None:
    for height in (24, 40):
        lines = render(ALL[name], taken_ns=NOW, age_s=0.2, height=height).lines(width, height)
        assert len(lines) == height
        assert lines[0].plain.startswith(" TITAN · ") and "UTC" in lines[0].plain


def shown(status: SessionStatus, width: int = 80, height: int | None = 24, **more: Any) -> str:
    return "\n".join(line.plain.rstrip() for line in render(status, height=height, **more).lines(width, height))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_small_terminal_shows_what_matters(width: int) -> None:
    text = shown(calm(), width)
    for part in (
        "PAPER",
        "built-in market 60x",
        "seed 7",
        "TRADING",
        "1,023.45",
        "+23.45",
        "1.59 %",
        "scavenger",
        "60310.0",
        "60962.4",
        "trap sprung",
        "1 position",
    ):
        assert part in text, part


def test_money_at_stake_is_not_to_be_mistaken_for_paper() -> None:
    text = shown(emergency())
    assert "LIVE" in text and "PAPER" not in text and "built-in" not in text
    bar = render(emergency()).lines(80)[0]
    assert any("red" in str(span.style) for span in bar.spans)


def test_an_emergency_shows_its_steps() -> None:
    assert "EMERGENCY   step 3 of 6: positions are being closed" in shown(emergency())
    assert "✔ gate   ✔ entries   ▶ flatten   · verify   · disable   · locked" in shown(emergency())
    assert "LOCKED   flat and latched; `titan resume` leaves it" in shown(emergency("locked"))


def test_troubles_are_counted_where_they_do_not_all_fit() -> None:
    text = shown(troubled())
    assert "! without a stop: BTCUSDT.bybit-linear" in text and "and 4 more" in text and "NO STOP" in text and "quarantine" in text
    tall = shown(troubled(), height=None)
    assert "titan_on_bar raised" in tall and "88121" in tall and "no answer to 3 requests" in tall


def test_an_old_picture_is_never_shown_as_the_present() -> None:
    assert "seen 0.2 s ago" in shown(calm(), age_s=0.2) and "THIS PICTURE IS" not in shown(calm(), age_s=0.2)
    stale = shown(calm(), age_s=12.4)
    assert "THIS PICTURE IS 12 s OLD  nothing newer has come" in stale
    assert "THIS PICTURE IS 2.0 s OLD  it hangs" in shown(calm(), age_s=2.0, trouble="it hangs")
    lines = render(calm(), age_s=12.4).lines(80)
    assert all(str(span.style) == "dim" for line in lines[2:] for span in line.spans) or all(str(line.style) == "dim" for line in lines[2:])


def test_what_does_not_fit_is_counted_in_the_title() -> None:
    text = shown(crowded())
    assert "position 2 of 12" in text or "position 1 of 12" in text
    assert "12 positions · 30 orders" in text
    everything = shown(crowded(), height=None)
    assert everything.count("NEARUSDT") == 2  # held, and its market


def test_wide_terminals_have_two_columns() -> None:
    lines = shown(calm(), 140).splitlines()
    assert any("phase" in line and "market" in line for line in lines)
    assert not any("phase" in line and "market" in line for line in shown(calm(), 100).splitlines()[3:])


def test_prices_show_their_way() -> None:
    history = History()
    from tests.app.control.pictures import feed

    for bid in (60_900.0, 60_950.0, 60_962.4):
        history.add(calm(feeds=(feed(bid=bid),), now_ns=NOW + S))
    text = shown(calm(), history=history)
    assert "+10.2 bp ▲" in text and "▁▇█" in text


def test_nothing_but_colour_is_lost_without_colours() -> None:
    out = StringIO()
    Console(file=out, width=80, color_system=None, force_terminal=True).print(render(troubled(), height=24))
    assert "GATE CLOSED" in out.getvalue() and "NO STOP" in out.getvalue() and "doubt" in out.getvalue()
