"""The root of the command line: what it imports, how it fails."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from titan_core import __version__
from titan_core.cli import main as cli
from titan_core.cli.main import COMMANDS, Entry, main

HEAVY = ("ccxt", "numba", "numpy", "pluggy", "rich", "transitions", "titan_core.engine", "titan_core.brain", "titan_core.config")
PRESENT = cli.LazyGroup().list_commands(None)


def modules_after(*arguments: str) -> set[str]:
    """Run `titan` in a process of its own and return the modules it has imported."""
    code = f"import sys; from titan_core.cli.main import main; code = main({list(arguments)!r}); print(*sys.modules, file=sys.stderr); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage: titan" in done.stdout or done.stdout.startswith("titan ")
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_the_root_imports_nothing_heavy(arguments: list[str]) -> None:
    assert modules_after(*arguments).isdisjoint(HEAVY)


@pytest.mark.parametrize("command", PRESENT)
def test_the_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    own = f"titan_core.{command}"  # its words may name the options
    assert modules_after(command, "--help").isdisjoint(set(HEAVY) - {own})


@pytest.mark.parametrize("command", PRESENT)
def test_every_verb_and_option_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    group = cli.LazyGroup().get_command(None, command)
    assert group is not None
    for verb in getattr(group, "commands", {command: group}).values():
        assert verb.help, f"{command} {verb.name} has no help"
        undocumented = [parameter.name for parameter in verb.params if not getattr(parameter, "help", None)]
        assert undocumented == [], f"{command} {verb.name}"


def test_help_lists_the_commands_that_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in PRESENT:
        assert COMMANDS[command].help.split(" ")[0] in shown
    assert set(PRESENT) >= {"phase", "plugin", "config", "doctor"}


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"titan {__version__}\n"


def test_an_unknown_command_is_a_usage_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["docter"]) == 2
    assert "No such command 'docter'. Did you mean 'doctor'?" in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "show", "--josn"]) == 2
    assert "--json" in capsys.readouterr().err


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "Commands:" in captured.out + captured.err


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a command `fail WHAT` that raises."""
    (tmp_path / "failing_command.py").write_text(
        dedent("""
            import typer
            from titan_core import errors

            app = typer.Typer()

            @app.command()
            def fail(what: str) -> None:
                if hasattr(errors, what):
                    raise getattr(errors, what)("the message") if what != "PluginError" else errors.PluginError("p", "the message")
                raise {"interrupt": KeyboardInterrupt(), "os": FileNotFoundError(2, "No such file", "tape.npz"), "defect": ZeroDivisionError()}[what]
        """),
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(COMMANDS, "fail", Entry("failing_command", "Fails.", is_group=False))


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize(
    ("what", "code", "message"),
    [
        ("TitanError", 1, "the message"),
        ("TapeError", 1, "the message"),
        ("PluginError", 1, "plugin 'p': the message"),
        ("UsageError", 2, "the message"),
        ("NotRunning", 3, "the message"),
        ("ConfigError", 4, "the message"),
        ("NoAnswer", 5, "the message"),
        ("os", 1, "No such file: 'tape.npz'"),
    ],
)
def test_a_failure_is_a_message_and_an_exit_code(what: str, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fail", what]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and message in captured.err
    assert "Traceback" not in captured.err


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("by_variable", [False, True])
def test_debug_adds_the_traceback(by_variable: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if by_variable:
        monkeypatch.setenv("TITAN_DEBUG", "1")
    assert main([*([] if by_variable else ["--debug"]), "fail", "TitanError"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.usefixtures("failing")
def test_an_interrupt_ends_with_130() -> None:
    assert main(["fail", "interrupt"]) == 130


@pytest.mark.usefixtures("failing")
def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        main(["fail", "defect"])
