"""Phase plugins to put the commands to."""

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from titan_core import plugin_host
from titan_core.hookspecs import ENTRY_POINT_GROUP

GOOD = """
    import attrs
    from titan_core import CapitalBand, LossLevels, PhaseDeclaration, PhaseId, Strategy, hookimpl, key

    @attrs.frozen
    class Config:
        width_bps: int = key(10, "width of a trap", unit="bps", low=1, high=500)
        token: str = key("s3cret", "a secret word", secret=True)

    class Quiet(Strategy):
        pass

    @hookimpl
    def titan_phase():
        return PhaseDeclaration(
            id=PhaseId("trapper"), title="Trapper", summary="sets traps", band=CapitalBand.usdt(200, 5_000), leverage=(15, 20),
            max_position_bps=5_000, daily_loss=LossLevels(300, 500, 700), config_type=Config, create=lambda config: [Quiet()],
        )
"""
BROKEN = "raise RuntimeError('no licence')"
UNWELL = (
    GOOD
    + """
    from titan_core import Health

    @hookimpl
    def titan_health():
        return Health(False, "no data")
"""
)
SOURCES = {"good": GOOD, "broken": BROKEN, "unwell": UNWELL}

Installed = Callable[..., None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installed]:
    """Pretend that exactly the named plugins are installed; the working directory is an empty one."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.syspath_prepend(str(folder))
    names: list[str] = []

    def install(*kinds: str) -> None:
        points = []
        for kind in kinds:
            module = f"cli_plugin_{kind}"
            names.append(module)
            (folder / f"{module}.py").write_text(dedent(SOURCES[kind]), "utf-8")
            points.append(EntryPoint(kind, module, ENTRY_POINT_GROUP))
        monkeypatch.setattr(plugin_host, "entry_points", lambda group: points)

    install()
    yield install
    for name in names:
        sys.modules.pop(name, None)
