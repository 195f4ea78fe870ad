"""Options that several commands share, and what they need to act on them."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from titan_core.config.load import Config
    from titan_core.model.phase import PhaseDeclaration
    from titan_core.plugin_host import PluginReport

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table; notes and progress go to stderr.")]
"""Annotate a parameter `json` with this."""

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="DIR", help="Directory of the configuration. [TITAN_CONFIG, else ./config, else built-in defaults]", show_default=False),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Set a key for this run, such as brain.max_total_leverage=20; repeatable.", show_default=False),
]


def discover_plugins(*, quiet: bool = False) -> "PluginReport":
    """Find the phase plugins; those that are broken are named on stderr and the command goes on without them."""
    from titan_core.plugin_host import discover

    report = discover()
    if not quiet:
        from titan_core.cli.output import print_note

        for plugin in report.broken:
            print_note(f"plugin {plugin.name!r} of {plugin.distribution} is broken and is not used: {plugin.reason}")
    return report


def unserved_bands(declarations: "Iterable[PhaseDeclaration]", equity: int | None = None) -> list[str]:
    """Say which stretches of equity no phase is made for, and whether `equity` (1e-8 USDT) lies below all of them: that is nobody's by design."""
    from titan_core.brain.selection import unserved
    from titan_core.model.units import MONEY_PER_USDT

    bands = [declaration.band for declaration in declarations if declaration.band is not None]
    if not bands:
        return []
    texts = [f"no installed phase serves an equity of {band} USDT: nothing is entered there" for band in unserved(bands)]
    lowest = min(band.lower for band in bands)
    if equity is not None and equity < lowest:
        below = f"an equity of {equity / MONEY_PER_USDT:,.2f} USDT lies below the {lowest // MONEY_PER_USDT:,} from which the first installed phase trades"
        texts.insert(0, f"{below}: nothing is entered")
    return texts


def load_configuration(directory: Path | None, overrides: list[str] | None, report: "PluginReport", *, quiet: bool = False) -> "Config":
    """Load the configuration that the options and the environment name; its notes go to stderr."""
    from titan_core.config.load import find_directory, load_config

    config = load_config(find_directory(directory, os.environ, Path.cwd()), report.declarations, overrides or ())
    if not quiet:
        from titan_core.cli.output import print_note

        for note in config.notes:
            print_note(note)
    return config
