"""`python -m benchmarks` lists the claims and what was last measured of them; `python -m benchmarks NAME ...` measures one group."""

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from rich.console import Console

import benchmarks
from benchmarks import _harness as harness


def commands() -> dict[str, ModuleType]:
    """Return the benchmarks by name: every module of the package that states claims."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg and not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "CLAIMS")}


def last_measured(name: str) -> list[str]:
    """Say for each claim of a benchmark what its last record holds."""
    record = harness.read_json(harness.OUT / f"{name}.json") or {}
    return [
        f"{bar['measured']:.1f}x, {'met' if bar['met'] else 'MISSED'} ({record['taken_at'][:10]})" if bar["measured"] is not None else "not measured"
        for bar in record.get("bars", [])
    ]


def claim_list() -> list[tuple[str, str, str]]:
    """Return (command, claim, last measured) of all benchmarks."""
    rows = []
    for name, module in commands().items():
        known = last_measured(name)
        for number, claim in enumerate(module.CLAIMS):
            rows.append((claim.command, claim.text, known[number] if number < len(known) else "not measured"))
    return rows


def main(argv: Sequence[str]) -> int:
    """List the claims, or run one benchmark. Returns its exit code, 2 for an unknown name."""
    if not argv or argv[0] in ("-h", "--help"):
        Console(highlight=False).print(harness.table("Claims", ("measure it", "claim", "last measured here"), claim_list()))
        return 0
    known = commands()
    if argv[0] not in known:
        print(f"no benchmark named {argv[0]!r}; there is {', '.join(known)}", file=sys.stderr)
        return 2
    code: int = known[argv[0]].main(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
