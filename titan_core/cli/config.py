"""`titan config`: what is configured and by whom, what may be configured."""

from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import ConfigOption, JsonOption, SetOption, discover_plugins, load_configuration
from titan_core.cli.output import console, emit, print_error, print_json
from titan_core.errors import UsageError

if TYPE_CHECKING:
    from titan_core.config.keys import KeySpec

app = typer.Typer(help="Show, validate and document the configuration.", no_args_is_help=True)

TITLES = {
    "brain": "Limits on the account as a whole. They outrank those of every phase.",
    "live": "Sessions of `titan run`, on paper and with real money.",
    "replay": "What a replay assumes about the world outside the recording.",
    "venues": "The terms of the account at each venue.",
}


@app.command()
def show(json: JsonOption = False, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Show every key with the value in force and where it comes from: default < file < environment < --set, then the caps."""
    settings = load_configuration(config, overrides, discover_plugins())
    rows = [setting.as_row() for setting in settings.settings]
    if json:
        directory = None if settings.directory is None else str(settings.directory)
        print_json({"directory": directory, "digest": settings.digest, "settings": rows, "notes": list(settings.notes)})
        return
    emit(rows, False)
    console().print(f"directory {settings.directory or 'none: built-in defaults'} · digest {settings.digest[:16]}", markup=False)


@app.command()
def validate(json: JsonOption = False, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Check all files, variables and flags and report every mistake at once. Exits with 4 where there is one."""
    from titan_core.cli.main import EXIT_CONFIG
    from titan_core.config.load import ConfigProblems

    try:
        settings = load_configuration(config, overrides, discover_plugins(quiet=json), quiet=json)
    except ConfigProblems as error:
        if json:
            print_json({"ok": False, "problems": list(error.problems), "notes": []})
        for problem in () if json else error.problems:
            print_error(problem)
        raise typer.Exit(EXIT_CONFIG) from error
    if json:
        print_json({"ok": True, "problems": [], "notes": list(settings.notes), "digest": settings.digest})
        return
    where = f"directory {settings.directory}" if settings.directory else "no directory, built-in defaults"
    console().print(f"valid: {len(settings.settings)} keys ({where}), digest {settings.digest[:16]}", markup=False)


@app.command()
def schema(
    json: JsonOption = False,
    toml: Annotated[str | None, typer.Option("--toml", metavar="SECTION", help="Print a section as a commented file to start from.")] = None,
) -> None:
    """List every key: default, bounds and unit, meaning. With --json as JSON Schema."""
    from titan_core.config.load import schema_of
    from titan_core.config.render import as_json_schema, as_toml

    declarations = discover_plugins().declarations
    sections = schema_of(declarations)
    if toml is not None:
        if toml not in sections:
            raise UsageError(f'there is no section "{toml}" (there is: {", ".join(sections)})')
        summaries = TITLES | {declaration.id: f"{declaration.title}: {declaration.summary}" for declaration in declarations}
        typer.echo(as_toml(sections[toml], summaries[toml]), nl=False)
    elif json:
        print_json(as_json_schema(sections))
    else:
        for table, group in groupby((spec for keys in sections.values() for spec in keys), key=lambda spec: spec.path[:-1]):
            emit([_schema_row(spec) for spec in group], False, title=".".join(table))


def _schema_row(spec: "KeySpec") -> dict[str, Any]:
    from titan_core.config.keys import bounds_text, type_name

    meaning = spec.meaning
    return {"key": spec.path[-1], "default": spec.show(spec.default), "allowed": bounds_text(meaning) or type_name(spec.type), "meaning": meaning.help}
