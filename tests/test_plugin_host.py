"""The plugin host: what is broken is named and kept apart, what works goes on."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent

import pytest

from titan_core import plugin_host
from titan_core.errors import CallbackHung, PluginError
from titan_core.hookspecs import ENTRY_POINT_GROUP, Handover
from titan_core.model.ids import InstrumentId, PhaseId
from titan_core.plugin_host import HOOKS, PluginReport, discover

GOOD = """
    from titan_core import CapitalBand, Handover, Health, PhaseDeclaration, PhaseId, Strategy, hookimpl

    CALLS = []

    class Quiet(Strategy):
        pass

    @hookimpl
    def titan_phase() -> PhaseDeclaration:
        return PhaseDeclaration(id=PhaseId("NAME"), title="Name", summary="sits still", band=CapitalBand.usdt(LOWER, UPPER), create=lambda config: [Quiet()])
"""

Install = Callable[..., EntryPoint]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Write a module and return an entry point that names it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def write(name: str, source: str, attribute: str = "") -> EntryPoint:
        module = f"plugin_{name}_{tmp_path.name}"
        names.append(module)
        (tmp_path / f"{module}.py").write_text(dedent(source), "utf-8")
        return EntryPoint(name, f"{module}:{attribute}" if attribute else module, ENTRY_POINT_GROUP)

    yield write
    for name in names:
        sys.modules.pop(name, None)


def good(name: str = "good", lower: int = 200, upper: int | None = 5_000, more: str = "") -> str:
    return dedent(GOOD).replace("NAME", name).replace("LOWER", str(lower)).replace("UPPER", str(upper)) + dedent(more)


def reason(report: PluginReport) -> str:
    (broken,) = report.broken
    return broken.reason


def test_phases_come_by_rising_band_with_advisers_last(install: Install) -> None:
    adviser = good("adviser").replace("CapitalBand.usdt(200, 5000)", "None").replace("[Quiet()]", "[]")
    report = discover(
        points=[
            install("a", adviser),
            install("b", good("rich", 50_000, None)),
            install("c", good("poor", 200, 5_000)),
            install("d", good("middle", 2_500, 50_000)),
        ]
    )
    assert [phase.id for phase in report.phases] == ["poor", "middle", "rich", "adviser"]
    assert report.broken == ()
    assert [declaration.title for declaration in report.declarations] == ["Name"] * 4


def test_an_object_may_be_a_plugin(install: Install) -> None:
    source = """
        from titan_core import CapitalBand, PhaseDeclaration, PhaseId, hookimpl
        class Plugin:
            @hookimpl
            def titan_phase(self):
                return PhaseDeclaration(id=PhaseId("object"), title="", summary="", band=CapitalBand.usdt(1, 2))
        plugin = Plugin()
    """
    assert [phase.id for phase in discover(points=[install("o", source, "plugin")]).phases] == ["object"]
    assert "names the class Plugin; name a module, or an instance" in reason(discover(points=[install("k", source, "Plugin")]))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("raise RuntimeError('no licence')", "failed: RuntimeError: no licence"),
        ("import nothing_of_that_name", "failed: ModuleNotFoundError"),
        ("import sys; sys.exit(3)", "failed: SystemExit: 3"),
        ("def (:", "failed: SyntaxError"),
        ("", "does not implement titan_phase"),
        ("def titan_phase(): ...", "titan_phase is not marked as an implementation; decorate it with @titan_core.hookimpl"),
        (good(more="@hookimpl\ndef titan_helth(): ..."), "titan_helth is not a hook; did you mean titan_health?"),
        (good(more="def titan_activate(): ..."), "titan_activate is not a hook; did you mean titan_activated?"),
        (good(more="@hookimpl\ndef on_start(): ..."), "on_start is not a hook"),
        (good(more="@hookimpl\ndef titan_adopt(positions): ..."), "positions"),
        (good(more="@hookimpl\nasync def titan_activated(): ..."), "titan_activated is an async or generator function"),
        (good().replace("return PhaseDeclaration", "return dict"), "it must return a titan_core.PhaseDeclaration"),
        (good().replace("return PhaseDeclaration", "PhaseDeclaration"), "titan_phase returned None"),
        (good(lower=5_000, upper=200), "capital band 5,000 – 200 is impossible: it needs 0 <= lower < upper"),
        (good().replace("[Quiet()]", "[type('Dotted', (Quiet,), {'id': 'with.dot'})()]"), "strategy id 'with.dot' cannot be part of an order's id"),
        (good(name="brain"), "phase id 'brain' is reserved"),
        (good(name="eighteen_letters_on"), "have 23 characters together; at most 22 fit into a client order id of 36: shorten one"),
        (good(name="venues"), "phase id 'venues' is reserved"),
        (good(name="No Name"), "must be a lower-case identifier"),
        (good().replace("create=", "config_type=int, create="), "int is no attrs class"),
        (good().replace("[Quiet()]", "[object()]"), "among the strategies; each must be a titan_core.Strategy"),
        (good().replace("[Quiet()]", "[Quiet(), Quiet()]"), "strategies of the same id: main, main"),
        (good().replace("[Quiet()]", "1 / 0"), "create failed: ZeroDivisionError"),
        (good().replace("CapitalBand.usdt(200, 5000)", "None"), "declares no capital band (an adviser trades nothing) but create returns strategies"),
        (good().replace("create=", "leverage=(1, 500), create="), "max_leverage must lie in 1 … 125 x, found 500"),
        (good().replace("create=", "leverage=(20, 15), create="), "leverage 20–15 is impossible"),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason_and_the_others_go_on(install: Install, source: str, expected: str) -> None:
    report = discover(points=[install("bad", source), install("good", good())])
    assert expected in reason(report)
    assert report.broken[0].name == "bad"
    assert not report.broken[0].reason.startswith("plugin")
    assert [phase.name for phase in report.phases] == ["good"]


def test_a_config_type_with_reserved_or_unusable_keys_is_refused(install: Install) -> None:
    reserved = good(more="import attrs\n@attrs.frozen\nclass Config:\n    limits: int = 1\n").replace("create=", "config_type=Config, create=")
    assert "'limits', which is the table of the phase's limits" in reason(discover(points=[install("r", reserved)]))
    needy = good(more="import attrs\n@attrs.frozen\nclass Config:\n    size: int\n").replace("create=", "config_type=Config, create=")
    assert "give every key a default" in reason(discover(points=[install("n", needy)]))


def test_the_traceback_of_the_plugin_is_kept(install: Install) -> None:
    (broken,) = discover(points=[install("bad", "def deep():\n    raise RuntimeError('here')\ndeep()")]).broken
    assert "in deep" in broken.traceback and "RuntimeError: here" in broken.traceback


def test_two_plugins_may_not_declare_the_same_phase(install: Install) -> None:
    report = discover(points=[install("b", good("twin")), install("a", good("twin"))])
    assert [phase.name for phase in report.phases] == ["a"]
    assert reason(report) == "declares phase 'twin', which 'a' of ? has declared already; uninstall one"


def test_an_import_that_hangs_is_stopped(install: Install) -> None:
    swallowing = "import time\ntry:\n    time.sleep(60)\nexcept Exception:\n    pass\n"
    started = time.monotonic()
    report = discover(points=[install("slow", swallowing), install("good", good())], timeout_s=0.2)
    assert time.monotonic() - started < 10
    assert "did not finish within 0.2 s" in reason(report)
    assert len(report.phases) == 1


def test_an_outer_time_limit_survives_the_inner_one(install: Install) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: rung.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        discover(points=[install("slow", "import time\ntime.sleep(60)\n")], timeout_s=0.1)
        assert rung == []
        time.sleep(0.4)
        assert rung == [signal.SIGALRM]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_plugins_load_without_a_time_limit_outside_the_main_thread(install: Install) -> None:
    reports: list[PluginReport] = []
    points = [install("good", good())]
    thread = threading.Thread(target=lambda: reports.append(discover(points=points)))
    thread.start()
    thread.join()
    assert len(reports[0].phases) == 1


def test_the_users_interrupt_passes(install: Install) -> None:
    with pytest.raises(KeyboardInterrupt):
        discover(points=[install("bad", "raise KeyboardInterrupt")])


def test_what_a_plugin_prints_does_not_reach_stdout(install: Install, capsys: pytest.CaptureFixture[str]) -> None:
    discover(points=[install("loud", good(more="print('hello')"))])
    captured = capsys.readouterr()
    assert captured.out == "" and "hello" in captured.err


def test_optional_hooks_have_defaults(install: Install) -> None:
    (phase,) = discover(points=[install("good", good())]).phases
    handover = Handover(PhaseId("other"), {InstrumentId("BTCUSDT.bybit-linear"): (1, 2)})
    assert phase.health().ok
    assert phase.adopt(handover) is False
    phase.activated()
    phase.deactivated()
    assert [strategy.id for strategy in phase.strategies(None)] == ["main"]


def test_hooks_are_called_with_what_they_name(install: Install) -> None:
    more = """
        @hookimpl
        def titan_health():
            return Health(False, "no data")
        @hookimpl
        def titan_adopt(handover):
            return handover.giver == "other"
        @hookimpl
        def titan_activated():
            CALLS.append("activated")
        @hookimpl
        def titan_deactivated():
            CALLS.append("deactivated")
    """
    point = install("full", good(more=more))
    (phase,) = discover(points=[point]).phases
    assert (phase.health().ok, phase.health().reason) == (False, "no data")
    assert phase.adopt(Handover(PhaseId("other"), {})) is True
    phase.activated()
    phase.deactivated()
    assert point.load().CALLS == ["activated", "deactivated"]


def test_a_hook_that_fails_names_its_plugin(install: Install) -> None:
    more = """
        @hookimpl
        def titan_health():
            raise OSError("gone")
        @hookimpl
        def titan_adopt(handover):
            return "yes"
        @hookimpl
        def titan_activated():
            raise ValueError("not now")
    """
    (phase,) = discover(points=[install("bad", good(more=more))]).phases
    assert phase.health().reason == "plugin 'bad': titan_health failed: OSError: gone"
    with pytest.raises(PluginError, match="plugin 'bad': titan_adopt returned .* it must return True or False"):
        phase.adopt(Handover(PhaseId("other"), {}))
    with pytest.raises(PluginError, match="plugin 'bad': titan_activated failed: ValueError: not now"):
        phase.activated()


def test_a_hook_that_hangs_names_its_plugin(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    (phase,) = discover(points=[install("bad", good(more="@hookimpl\ndef titan_activated():\n    while True: pass\n"))]).phases
    monkeypatch.setattr(plugin_host, "HOOK_TIMEOUT_S", 0.1)
    with pytest.raises(CallbackHung, match="plugin 'bad': titan_activated did not finish within 0.1 s"):
        phase.activated()


def test_the_hooks_are_those_of_the_contract() -> None:
    assert HOOKS == ("titan_phase", "titan_health", "titan_adopt", "titan_activated", "titan_deactivated")
