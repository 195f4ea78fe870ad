"""`titan doctor`: examines the installation and says what to do about what it finds."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import typer

from titan_core.cli.options import ConfigOption, JsonOption, unserved_bands
from titan_core.cli.output import emit, print_json
from titan_core.errors import ConfigError

OLDEST_PYTHON = (3, 11)
DISK_WARN_BYTES = 5 * 2**30
DISK_FAIL_BYTES = 200 * 2**20

app = typer.Typer(help="Examine this installation.")


class Finding(NamedTuple):
    """One line of the examination."""

    check: str
    status: str
    """`ok`; `warn`: something is missing that Titan can do without; `fail`: Titan will not work."""
    detail: str


@app.command()
def doctor(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Examine Python, packages, the compiler, plugins, configuration and the disk. Exits with 1 where something fails."""
    findings = [*_python(), *_packages(), *_numba(), *_plugins_and_config(config), *_disk(Path.cwd())]
    failed = any(each.status == "fail" for each in findings)
    if json:
        print_json({"ok": not failed, "checks": [each._asdict() for each in findings]})
    else:
        emit([each._asdict() for each in findings], False)
    if failed:
        raise typer.Exit(1)


def _python() -> Iterator[Finding]:
    found = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    good = sys.version_info >= OLDEST_PYTHON
    yield Finding("python", "ok" if good else "fail", found if good else f"{found}; Titan needs 3.11 or newer")


def _packages() -> Iterator[Finding]:
    """Compare what is installed with what the package declares; extras may be missing."""
    try:
        declared = requires("titan-core") or []
    except PackageNotFoundError:
        yield Finding(
            "packages",
            "warn",
            "titan-core is run from its source and is not installed; the README's first command installs it",
        )
        return
    core: list[str] = []
    extras: list[str] = []
    for requirement in declared:
        name = requirement.split(";")[0]
        for mark in "<>=!~ [":
            name = name.partition(mark)[0]
        (extras if "extra ==" in requirement else core).append(name)
    missing = [name for name in core if _version(name) is None]
    if missing:
        yield Finding("packages", "fail", f"missing: {', '.join(missing)}; `pip install -r requirements.txt` brings them")
    else:
        yield Finding("packages", "ok", ", ".join(f"{name} {_version(name)}" for name in core))
    absent = [name for name in extras if _version(name) is None]
    have = [f"{name} {_version(name)}" for name in extras if name not in absent]
    yield Finding("extras", "ok", ", ".join(have + [f"{name} not installed" for name in absent]) or "none")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numba() -> Iterator[Finding]:
    try:
        import numba
    except ImportError as error:
        yield Finding("numba", "warn", f"cannot be imported ({error}); replays run on the slow reference engine")
        return
    yield Finding("numba", "ok", f"numba {numba.__version__}")
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    cache = Path(chosen) if chosen else Path(__file__).resolve().parents[1] / "engine" / "__pycache__"
    nearest = next(each for each in (cache, *cache.parents) if each.exists())
    if os.access(nearest, os.W_OK):
        yield Finding("compile cache", "ok", str(cache))
    else:
        yield Finding("compile cache", "warn", f"{nearest} is not writable, so numba may compile at each start; set NUMBA_CACHE_DIR to one that is")


def _plugins_and_config(directory: Path | None) -> Iterator[Finding]:
    from titan_core.config.load import find_directory, load_config
    from titan_core.plugin_host import discover

    report = discover()
    for phase in report.phases:
        health = phase.health()
        detail = f"{phase.distribution} {phase.version}, phase {phase.id}"
        yield Finding(f"plugin {phase.name}", "ok" if health.ok else "fail", detail if health.ok else f"{detail}: {health.reason}")
    for broken in report.broken:
        yield Finding(f"plugin {broken.name}", "fail", f"{broken.reason}; see `titan plugin doctor`")
    if not report.phases and not report.broken:
        yield Finding(
            "plugins",
            "warn",
            "no phase plugin is installed, so nothing will trade; `pip install --no-deps -r packages.txt` brings Titan's own",
        )
    elif report.phases:
        yield from (Finding("capital bands", "warn", text) for text in unserved_bands(report.declarations))
    try:
        config = load_config(find_directory(directory, os.environ, Path.cwd()), report.declarations)
    except ConfigError as error:
        yield Finding("configuration", "fail", str(error))
        return
    where = f"directory {config.directory}" if config.directory else "built-in defaults"
    yield Finding("configuration", "warn" if config.notes else "ok", "; ".join([f"{len(config.settings)} keys, {where}", *config.notes]))


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(folder).free
    status = "fail" if free < DISK_FAIL_BYTES else "warn" if free < DISK_WARN_BYTES else "ok"
    yield Finding("disk", status, f"{free / 2**30:.1f} GiB free in {folder} (a day of ticks takes about 0.3 GiB)")
