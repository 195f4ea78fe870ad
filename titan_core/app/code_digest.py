"""Which code ran: one digest over the sources of Titan and of the plugins in use."""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from titan_core.model.phase import PhaseDeclaration


@cache
def package_digest(package: str) -> str:
    """Return the sha256 over all Python sources of an installed package; they are read once a process."""
    spec = find_spec(package)
    digest = hashlib.sha256()
    for root in sorted((spec.submodule_search_locations or []) if spec else []):
        for file in sorted(Path(root).rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def packages_of(declarations: Iterable[PhaseDeclaration]) -> list[str]:
    """Return Titan's package and those that phases' configuration types, or else their factories, come from."""
    return ["titan_core", *(str(_module_of(declaration)).partition(".")[0] for declaration in declarations)]


def _module_of(declaration: PhaseDeclaration) -> str:
    kind = declaration.config_type
    return kind.__module__ if kind is not object else declaration.create.__module__


def code_digest(packages: Iterable[str]) -> str:
    """Return one digest over several packages."""
    digest = hashlib.sha256()
    for package in sorted(set(packages)):
        digest.update(f"{package} {package_digest(package)}\n".encode())
    return digest.hexdigest()
