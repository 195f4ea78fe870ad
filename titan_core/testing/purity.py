"""What the source of a phase plugin may not use: clocks, unseeded randomness, threads, the network, and the inside of Titan.

A run must be a function of tape and configuration, in a replay as in live trading; time comes from `market.now_ns`, randomness from a seeded
generator of one's own. This reads the source and imports nothing. It finds honest mistakes, not somebody who hides something.
"""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

PUBLIC = ("titan_core", "titan_core.testing")
CLOCK = "the time of the market is market.now_ns, and market.after / market.at / market.every wait"
RANDOM = "make a generator of your own with a fixed or configured seed: random.Random(seed) or numpy.random.default_rng(seed)"
OUTSIDE = "a strategy decides by what the market and its configuration say; everything else would differ between two runs"

FORBIDDEN_MODULES = {
    **dict.fromkeys(("asyncio", "threading", "multiprocessing", "concurrent.futures", "subprocess", "signal"), OUTSIDE),
    **dict.fromkeys(("socket", "ssl", "urllib.request", "http.client", "requests", "httpx", "aiohttp", "websockets", "ccxt"), OUTSIDE),
    "secrets": RANDOM,
}
FORBIDDEN_NAMES = {
    **{f"time.{name}": CLOCK for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "process_time", "sleep")},
    **{f"time.{name}": CLOCK for name in ("localtime", "ctime")},
    **{f"datetime.{name}": CLOCK for name in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")},
    **dict.fromkeys(("os.urandom", "uuid.uuid1", "uuid.uuid4", "random.SystemRandom"), RANDOM),
}
SEEDED_ONLY = ("random.Random", "numpy.random.default_rng", "numpy.random.RandomState", "numpy.random.SeedSequence")
"""Allowed with an argument."""
RANDOM_PREFIXES = ("random.", "numpy.random.")
NUMPY_TYPES = ("numpy.random.Generator", "numpy.random.PCG64", "numpy.random.BitGenerator")


@frozen
class Impurity:
    """A use of something that makes two runs differ, or that Titan does not promise to keep."""

    path: Path
    line: int
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.path.name}:{self.line}: {self.what}: {self.instead}"


def impurities(files: Iterable[Path]) -> list[Impurity]:
    """Return what the files use and should not, in order."""
    return [each for path in files for each in _in_file(path)]


def _in_file(path: Path) -> Iterator[Impurity]:
    tree = ast.parse(path.read_text("utf-8"), str(path))
    aliases: dict[str, str] = {}
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            aliases |= _aliases(node)
            yield from (Impurity(path, node.lineno, f"imports {name}", why) for name, why in _forbidden_imports(node))
    for node in ast.walk(tree):
        name = _dotted(node, aliases)
        if name is not None:
            why = _reason(name, called.get(id(node)))
            if why:
                yield Impurity(path, node.lineno, f"uses {name}", why)  # type: ignore[attr-defined]


def _aliases(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Return which local name stands for which dotted one."""
    if isinstance(node, ast.Import):
        return {(alias.asname or alias.name.split(".")[0]): (alias.name if alias.asname else alias.name.split(".")[0]) for alias in node.names}
    if node.level or node.module is None:
        return {}
    return {(alias.asname or alias.name): f"{node.module}.{alias.name}" for alias in node.names}


def _forbidden_imports(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""] if not node.level else []
    for module in modules:
        for forbidden, why in FORBIDDEN_MODULES.items():
            if module == forbidden or module.startswith(forbidden + "."):
                yield module, why
        if module.split(".")[0] == "titan_core" and module not in PUBLIC:
            yield module, "a plugin imports its names from titan_core (and titan_core.testing in its tests); what lies inside may change without notice"


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str | None:
    """Return the full dotted name of an expression such as `np.random.rand`, where its first part was imported."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load) or node.id not in aliases:
        return None
    return ".".join([aliases[node.id], *reversed(parts)])


def _reason(name: str, call: ast.Call | None) -> str | None:
    if name in FORBIDDEN_NAMES:
        return FORBIDDEN_NAMES[name]
    if name in SEEDED_ONLY:
        return RANDOM if call is not None and not call.args and not call.keywords else None
    if name.startswith(RANDOM_PREFIXES) and name not in NUMPY_TYPES and not name.startswith(SEEDED_ONLY):
        return RANDOM
    return None
