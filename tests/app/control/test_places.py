"""Where a session's folder lies."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.app.control.places import places, state_root
from titan_core.errors import UsageError

HOME = Path("/h/me")


@pytest.mark.parametrize(
    ("flag", "environ", "expected"),
    [
        (None, {}, "/h/me/.local/state/titan"),
        (None, {"XDG_STATE_HOME": "/x"}, "/x/titan"),
        (None, {"XDG_STATE_HOME": "not/absolute"}, "/h/me/.local/state/titan"),
        (None, {"XDG_STATE_HOME": ""}, "/h/me/.local/state/titan"),
        (None, {"TITAN_STATE": "/t", "XDG_STATE_HOME": "/x"}, "/t"),
        (Path("/f"), {"TITAN_STATE": "/t"}, "/f"),
    ],
)
def test_the_option_comes_before_the_variable_and_that_before_the_users_folder(flag: Path | None, environ: dict[str, str], expected: str) -> None:
    assert state_root(flag, environ, HOME) == Path(expected)


def test_a_relative_root_is_taken_from_here() -> None:
    assert state_root(Path("here"), {}, HOME) == Path.cwd() / "here"


def test_a_session_has_a_folder_of_its_name() -> None:
    at = places(Path("/r"), "paper")
    assert (at.journal, at.recording, at.socket) == (Path("/r/paper/journal"), Path("/r/paper/recording"), Path("/r/paper/control.sock"))
    assert len({at.journal, at.recording, at.socket, at.session, at.key}) == 5


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "A", "-x", "a" * 33, "a b", "a\n", "ä"])
def test_a_name_that_is_no_file_name_everywhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a session's name is"):
        places(Path("/r"), name)


@given(st.text())
def test_no_name_leads_out_of_the_root(name: str) -> None:
    try:
        at = places(Path("/r"), name)
    except UsageError:
        return
    assert at.folder.parent == Path("/r") and at.folder.name == name
