"""`python -m benchmarks` lists the claims and what was last measured of them; `python -m benchmarks NAME ...` measures one group."""

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import benchmarks
from benchmarks import _harness as harness


def commands() -> dict[str, ModuleType]:
    """Return the benchmarks by name: every module of the package that has bars to reach."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.ispkg and not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "BARS")}


def claims(out: Path) -> list[tuple[str, str, str, str]]:
    """Return (command, claim, bar, last measured) of all benchmarks; records are looked for in `out`."""
    rows = []
    for name, module in commands().items():
        record = harness.read_json(out / f"{name}.json") or {}
        known = {bar["text"]: harness.verdict_of(bar).words for bar in record.get("bars", ())}
        rows += [(f"python -m benchmarks {name}", bar.text, bar.wanted, known.get(bar.text, "not measured")) for bar in module.BARS]
    return rows


def main(argv: Sequence[str]) -> int:
    """List the claims, or run one benchmark. Returns its exit code, 2 for an unknown name."""
    if not argv or argv[0] in ("-h", "--help"):
        harness.stdout_console().print(harness.table("Claims", ("measured by", "claim", ">bar", ">last measured here"), claims(harness.OUT)))
        return 0
    known = commands()
    if argv[0] not in known:
        print(f"no benchmark named {argv[0]!r}; there is {', '.join(known)}", file=sys.stderr)
        return 2
    code: int = known[argv[0]].main(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
