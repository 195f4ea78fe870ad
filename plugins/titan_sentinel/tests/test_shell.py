"""The shell is installed with Titan and is no phase before it works."""

from importlib.metadata import distribution


def test_the_shell_declares_no_phase() -> None:
    assert [point for point in distribution("titan-sentinel").entry_points if point.group == "titan.phases"] == []
