"""Installed packages for tests: writes what pip would have written, so that a plugin is found through its real entry point."""

import sys
from collections.abc import Mapping
from importlib import invalidate_caches
from pathlib import Path
from textwrap import dedent

from titan_core.hookspecs import ENTRY_POINT_GROUP


def write_distribution(folder: Path, name: str, files: Mapping[str, str], *, phases: Mapping[str, str], version: str = "1.0") -> Path:
    """Write a distribution into a folder: its files (dedented, by relative path) and the metadata that names its phase plugins.

    It counts as installed wherever the folder is on `sys.path` or `PYTHONPATH`. Returns the folder.
    """
    for path, source in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(source).lstrip("\n"), "utf-8")
    metadata = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    points = "".join(f"{point} = {value}\n" for point, value in phases.items())
    (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{points}", "utf-8")
    (metadata / "RECORD").write_text("", "utf-8")
    invalidate_caches()
    return folder


def forget_modules(*packages: str) -> None:
    """Forget that packages were imported, so that the next import reads them again."""
    for name in [name for name in sys.modules if name.split(".")[0] in packages]:
        del sys.modules[name]
