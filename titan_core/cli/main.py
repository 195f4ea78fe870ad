"""The root of `titan`: a table of commands, each imported only when it is invoked, and the one place where a failure becomes an exit code."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from titan_core import __version__
from titan_core.errors import ConfigError, NoAnswer, NotRunning, TitanError, UsageError

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_NOT_RUNNING = 3
EXIT_CONFIG = 4
EXIT_TIMEOUT = 5
EXIT_INTERRUPTED = 130

EXIT_CODES: dict[type[TitanError], int] = {UsageError: EXIT_USAGE, NotRunning: EXIT_NOT_RUNNING, ConfigError: EXIT_CONFIG, NoAnswer: EXIT_TIMEOUT}
"""What is not named here ends with EXIT_ERROR."""


class Entry(NamedTuple):
    """A line of the command table."""

    module: str
    """Where the Typer application called `app` stands."""
    help: str
    is_group: bool = True
    """Whether the command is a noun with verbs of its own."""


COMMANDS: dict[str, Entry] = {
    "run": Entry("titan_core.cli.run", "Trade: on paper at the built-in venue unless told otherwise.", is_group=False),
    "status": Entry("titan_core.cli.status", "Show a running session: equity, phases, positions, markets.", is_group=False),
    "stop": Entry("titan_core.cli.stop", "Stop a running session and wait until it has ended.", is_group=False),
    "panic": Entry("titan_core.cli.panic", "Close everything of a running session and lock it.", is_group=False),
    "resume": Entry("titan_core.cli.resume", "Let a locked or halted session go on.", is_group=False),
    "trades": Entry("titan_core.cli.trades", "List the newest trades of a running session.", is_group=False),
    "balance": Entry("titan_core.cli.balance", "Show the account of a running session.", is_group=False),
    "replay": Entry("titan_core.cli.replay", "Replay a market recording through the Brain and its phases.", is_group=False),
    "data": Entry("titan_core.cli.data", "Import, generate, list and verify market recordings."),
    "brain": Entry("titan_core.cli.brain", "Draw, check and explain the Brain's statechart."),
    "phase": Entry("titan_core.cli.phase", "Show the trading phases and what each may do."),
    "plugin": Entry("titan_core.cli.plugin", "List the installed phase plugins and examine them."),
    "config": Entry("titan_core.cli.config", "Show, validate and document the configuration."),
    "sim": Entry("titan_core.cli.sim", "Run the venue in a box: Bybit, MEXC and Binance on this machine.", is_group=False),
    "keys": Entry("titan_core.cli.keys", "Keep the venues' API keys sealed; add, list, remove and check them."),
    "doctor": Entry("titan_core.cli.doctor", "Examine this installation.", is_group=False),
}


ROOT_ONLY = ("install_completion", "show_completion")
"""Options that Typer gives to each application; here the root alone is one."""


class LazyGroup(TyperGroup):
    """A group whose subcommands are imported when they are invoked, so that help and usage errors cost no import."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands that this build brings, in the order of the table."""
        return [name for name, entry in COMMANDS.items() if importlib.util.find_spec(entry.module) is not None]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Import a command. Returns None where there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        entry = COMMANDS[cmd_name]
        app: typer.Typer = importlib.import_module(entry.module).app
        app.rich_markup_mode = None  # one look for all help, and no import of rich for it
        command: Any = get_group(app) if entry.is_group else get_command(app)
        command.name = cmd_name
        command.params = [each for each in command.params if each.name not in ROOT_ONLY]
        return command  # type: ignore[no-any-return]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the table of commands without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name].help) for name in self.list_commands(ctx)])

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; a misspelled one is answered with the nearest."""
        self.commands = dict.fromkeys(self.list_commands(ctx))  # type: ignore[assignment]  # Typer looks for suggestions here, by name only
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what Titan raises on purpose ends in a message and an exit code."""
        try:
            return super().invoke(ctx)
        except (TitanError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            if ctx.params["debug"]:
                import traceback

                traceback.print_exc()
            from titan_core.cli.output import print_error

            print_error(str(error))
            raise typer.Exit(exit_code(error)) from error


def exit_code(error: Exception) -> int:
    """Return the exit code of a failure."""
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), EXIT_ERROR)


app = typer.Typer(name="titan", cls=LazyGroup, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"titan {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", envvar="TITAN_DEBUG", help="Print the traceback of a failure.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Titan, a trading organism that changes its behaviour with its capital.

    Exit codes: 0 ok, 1 error, 2 usage, 3 not running, 4 configuration, 5 timeout, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `titan` with the given arguments (those of the process by default) and return its exit code."""
    try:
        get_command(app).main(args=arguments, prog_name="titan")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_ERROR
    return 0


if __name__ == "__main__":
    sys.exit(main())
