"""What a faulty plugin does to a run: it is reported or refused by name, and the others go on. Plugins are found through real entry points."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from titan_core.engine.forms import Form
from titan_core.errors import CallbackHung
from titan_core.model.enums import RefusalCode
from titan_core.model.units import MS, H, S
from titan_core.plugin_host import PluginReport, discover
from titan_core.ports import Strategy
from titan_core.tape.store import write_tape
from titan_core.testing import Flipper, Greedy, Hold, Raiser, Run, Sleeper, forget_modules, make_phase, run_phases, stepped_market, write_distribution
from titan_core.testing.chaos import PERP, SPOT
from titan_core.testing.markets import range_path, stepped_columns
from titan_core.testing.phases import named

ROOT = Path(__file__).resolve().parents[1]

STEADY = """
    from titan_core import MIN, CapitalBand, PhaseDeclaration, PhaseId, Strategy, hookimpl

    class Steady(Strategy):
        def on_start(self, market):
            market.every(5 * MIN, self.act)

        def act(self, market, timer):
            quote = market.perp.quote()
            if quote is None:
                return
            if market.perp.position():
                market.exit(market.perp)
            else:
                market.enter(market.perp, 2, stop=quote[0] - 5_000)

    @hookimpl
    def titan_phase():
        return PhaseDeclaration(
            id=PhaseId("steady"), title="Steady", summary="in and out", band=CapitalBand.usdt(200, 5_000), leverage=(1, 5), create=lambda config: [Steady()]
        )
"""
GREEDY = STEADY.replace("steady", "greedy").replace("market.perp, 2,", "market.perp, 2_000,")
HANGING = STEADY.replace("steady", "hanging").replace("if quote is None:", "while quote:\n                pass\n            if quote is None:")
FAULTY = {
    "raises": ("raise RuntimeError('no licence')", "import of faulty_raises failed: RuntimeError: no licence"),
    "quits": ("import sys\nsys.exit(3)", "import of faulty_quits failed: SystemExit: 3"),
    "absent": (None, "import of faulty_absent failed: ModuleNotFoundError"),
    "misspells": (STEADY + "\n    @hookimpl\n    def titan_helth(): ...", "titan_helth is not a hook; did you mean titan_health?"),
    "band": (STEADY.replace("200, 5_000", "5_000, 200"), "capital band 5,000 – 200 is impossible: it needs 0 <= lower < upper"),
    "leverage": (STEADY.replace("(1, 5)", "(1, 500)"), "max_leverage must lie in 1 … 125 x, found 500"),
    "losses": (STEADY.replace("leverage=(1, 5)", "daily_loss=__import__('titan_core').LossLevels(500, 300, 700)"), "daily loss levels must rise"),
    "nothing": ("", "does not implement titan_phase"),
}

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Install]:
    """Return a function that installs plugins (name to source) into a folder of their own and returns it."""
    folder = tmp_path / "site"
    names: list[str] = []

    def install(**sources: str | None) -> Path:
        for name, source in sources.items():
            module = f"faulty_{name}"
            names.append(module)
            files = {} if source is None else {f"{module}/__init__.py": source}
            write_distribution(folder, f"faulty-{name}", files, phases={name: module})
        return folder

    yield install
    forget_modules(*names)


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> tuple[PluginReport, dict[str, str]]:
    """Discover what is installed in a folder (and in this environment), and return the report with the reasons of what is broken there."""
    monkeypatch.syspath_prepend(str(folder))
    report = discover(**options)
    return report, {broken.name: broken.reason for broken in report.broken}


def titan(folder: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `titan` in a process of its own in which the folder's plugins are installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TITAN_")}
    environment["PYTHONPATH"] = os.pathsep.join((str(folder), str(ROOT)))
    return subprocess.run([sys.executable, "-m", "titan_core", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


# -- at loading -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", FAULTY)
def test_a_plugin_that_cannot_be_used_is_named_with_its_reason_and_the_others_load(site: Install, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    source, reason = FAULTY[name]
    report, broken = found(site(**{name: source}, steady=STEADY), monkeypatch)
    assert reason in broken[name]
    assert "steady" in [phase.id for phase in report.phases] and name not in [phase.name for phase in report.phases]
    (entry,) = [each for each in report.broken if each.name == name]
    assert (entry.distribution, entry.version) == (f"faulty-{name}", "1.0")


def test_a_plugin_that_hangs_at_import_is_stopped_and_the_others_load(site: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = site(sleeps="import time\ntime.sleep(60)", spins="while True:\n    pass", steady=STEADY)
    report, broken = found(folder, monkeypatch, timeout_s=0.3)
    for name in ("sleeps", "spins"):
        assert broken[name] == f"import of faulty_{name} did not finish within 0.3 s"
    assert "steady" in [phase.id for phase in report.phases]


def test_the_commands_name_every_faulty_plugin_and_go_on(site: Install, tmp_path: Path) -> None:
    folder = site(**{name: source for name, (source, _) in FAULTY.items()}, steady=STEADY)
    listed = titan(folder, "plugin", "list", "--json", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    rows = {row["plugin"]: row for row in json.loads(listed.stdout)}
    assert rows["steady"]["status"] == "ok"
    for name, (_, reason) in FAULTY.items():
        assert rows[name]["status"] == "broken" and reason in rows[name]["reason"]

    examined = titan(folder, "plugin", "doctor", "--json", cwd=tmp_path)
    assert examined.returncode == 1
    details = {row["plugin"]: row["detail"] for row in json.loads(examined.stdout)}
    assert details["steady"] == "healthy"
    assert all(reason in details[name] for name, (_, reason) in FAULTY.items())

    phases = titan(folder, "phase", "list", "--json", cwd=tmp_path)
    assert phases.returncode == 0 and "steady" in [row["phase"] for row in json.loads(phases.stdout)]


# -- at the command line, in a run ------------------------------------------------------------------------------------
@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """Store two hours of a range."""
    path = tmp_path / "tape"
    write_tape(path, (SPOT, PERP), stepped_columns(range_path(2, step_s=1)))
    return path


def test_a_replay_goes_on_without_a_broken_plugin_and_says_so(site: Install, tape: Path, tmp_path: Path) -> None:
    folder = site(raises=FAULTY["raises"][0], steady=STEADY)
    done = titan(folder, "replay", "--tape", str(tape), "--phases", "steady", "--out", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "plugin 'raises' of faulty-raises is broken and is not used: import of faulty_raises failed: RuntimeError: no licence" in _one_line(done.stderr)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
    assert summary["fills"] > 10


def test_a_hanging_callback_aborts_the_replay_and_is_named(site: Install, tape: Path, tmp_path: Path) -> None:
    folder = site(hanging=HANGING, steady=STEADY)
    arguments = ("--phases", "hanging,steady", "--out", "run", "--set", "replay.callback_timeout_s=1")
    done = titan(folder, "replay", "--tape", str(tape), *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "plugin 'hanging': a callback of strategy 'main' did not return within 1 s" in _one_line(done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_phase_that_asks_for_more_than_it_has_is_refused_and_the_other_trades(site: Install, tape: Path, tmp_path: Path) -> None:
    folder = site(greedy=GREEDY, steady=STEADY)
    done = titan(folder, "replay", "--tape", str(tape), "--phases", "greedy,steady", "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    phases = json.loads(done.stdout)["by_phase"]
    assert phases["steady"]["trades"] > 10
    assert (phases["greedy"]["trades"], phases["greedy"]["state"], phases["greedy"]["quarantined"]) == (0, "active", None)


def test_what_a_strategy_prints_does_not_reach_the_results(site: Install, tape: Path, tmp_path: Path) -> None:
    folder = site(loud=STEADY.replace("steady", "loud").replace("if quote is None:", "print('hello')\n            if quote is None:"))
    done = titan(folder, "replay", "--tape", str(tape), "--phases", "loud", "--out", "run", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["by_phase"]["loud"]["trades"] > 10
    assert "hello" in done.stderr


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_broken_phase_that_is_asked_for_is_explained(site: Install, tape: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = site(raises=FAULTY["raises"][0], steady=STEADY)
    done = titan(folder, "replay", "--tape", str(tape), "--phases", "raises", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "no licence" in done.stderr


def _one_line(text: str) -> str:
    return " ".join(text.split())


HOOKS = """
    @hookimpl
    def titan_NAME(ARGUMENT):
        raise ValueError("not now")
"""


@pytest.mark.parametrize(("hook", "argument"), [("health", ""), ("activated", "")])
def test_a_hook_that_raises_costs_only_its_phase(site: Install, tape: Path, tmp_path: Path, hook: str, argument: str) -> None:
    source = STEADY.replace("steady", "moody") + HOOKS.replace("NAME", hook).replace("ARGUMENT", argument)
    done = titan(site(moody=source, steady=STEADY), "replay", "--tape", str(tape), "--phases", "moody,steady", "--out", "run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    phases = json.loads(done.stdout)["by_phase"]
    assert phases["moody"]["trades"] == 0 and phases["steady"]["trades"] > 10
    assert "not now" in (tmp_path / "run" / "decisions.jsonl").read_text("utf-8")


# -- in a run ---------------------------------------------------------------------------------------------------------
CALM = stepped_market([60_000] * int(2 * H // S))
Steady = named(Flipper, "steady", stop_bps=500, share=0.2)


def beside_steady(strategy: type[Strategy], name: str = "faulty", **options: Any) -> Run:
    """Run a strategy beside an honest phase of the same instrument; both forms of the engine have to agree."""

    def bindings() -> list[Any]:
        return [make_phase(name, 200, 5_000, strategy=strategy, **options), make_phase("steady", 200, 5_000, strategy=Steady)]

    fast, slow = (run_phases(CALM, bindings(), form=form) for form in Form)
    assert fast.engine.record.entries == slow.engine.record.entries
    return fast


def fills_of(run: Run, phase: str) -> list[Any]:
    return [fill for fill in run.engine.record.fills if fill.phase == phase]


@pytest.mark.parametrize("where", ["on_start", "on_fill", "on_flat", "on_order_closed", "timer", "condition"])
def test_a_phase_that_raises_is_quarantined_and_flattened_and_the_other_goes_on(where: str) -> None:
    run = beside_steady(named(Raiser, "raiser", where=where))
    broken = next(entry for entry in run.entries("note", "brain") if "quarantine" in entry[3])
    assert broken[3] == "phase faulty is in quarantine: RuntimeError: the strategy is broken"
    assert run.states("faulty")[-1] == "disabled"
    own = fills_of(run, "faulty")
    assert sum(fill.signed_lots for fill in own) == 0
    assert all(fill.ts_ns <= broken[1] + 5 * MS for fill in own), "its position is closed at once"
    assert [fill.tag for fill in own][-1:] == ([] if where == "on_start" else [""] if where == "on_flat" else ["flatten"])
    assert not [entry for entry in run.entries("approved", "faulty.raiser") if entry[1] > broken[1]]
    assert len([fill for fill in fills_of(run, "steady") if fill.ts_ns > broken[1]]) > 10


def test_a_hanging_callback_is_named_with_its_strategy() -> None:
    with pytest.raises(CallbackHung, match="plugin 'sleepy': a callback of strategy 'sleeper' did not return within 0.2 s") as caught:
        run_phases(CALM, [make_phase("sleepy", 200, 5_000, strategy=named(Sleeper, "sleeper"))], timeout_s=0.2)
    assert caught.value.plugin == "sleepy"


@pytest.mark.parametrize(
    ("strategy", "options", "code"),
    [
        (named(Greedy, "greedy"), {"max_position_bps": 1_000}, RefusalCode.MAX_POSITION),
        (named(Greedy, "levered"), {"leverage": (1, 1)}, RefusalCode.MAX_POSITION),
        (named(Hold, "reckless", share=3.0, stop_bps=2_000), {"leverage": (1, 40)}, RefusalCode.RISK_BUDGET),
    ],
    ids=lambda value: getattr(value, "id", ""),
)
def test_greed_is_refused_with_the_limit_and_what_was_asked(strategy: type[Strategy], options: dict[str, Any], code: RefusalCode) -> None:
    run = beside_steady(strategy, name="hungry", **options)
    refused = [entry for entry in run.entries("refused", "hungry.") if entry[5] != RefusalCode.INSTRUMENT_OWNED]
    assert refused and {entry[5] for entry in refused} == {code}
    assert all(entry[6] > entry[7] for entry in refused), "what was asked exceeds the limit"
    assert fills_of(run, "hungry") == [] and len(fills_of(run, "steady")) > 10
    assert run.states("hungry")[-1] == "active"


def test_a_refusal_says_which_phase_asked() -> None:
    run = beside_steady(Greedy, name="hungry")
    assert all("hungry" in note for note in run.notes("hungry.main"))


@pytest.mark.parametrize(
    "strategy",
    [
        named(Hold, "halves", lots=lambda self, market, price: 2.5),
        named(Hold, "texts", lots=lambda self, market, price: "2"),
        pytest.param(named(Hold, "waits", on_start=lambda self, market: market.after(1.5, self.buy))),
        pytest.param(named(Hold, "periods", on_start=lambda self, market: market.every(1.5 * S, self.buy))),
        named(Hold, "between", on_start=lambda self, market: market.arm(market.perp.above(1.5), self.buy)),
    ],
    ids=lambda strategy: strategy.id,
)
def test_a_number_that_is_not_whole_is_refused_and_costs_only_its_phase(strategy: type[Strategy]) -> None:
    run = beside_steady(strategy)
    assert "whole number" in run.governor.books[0].broken or "whole number" in run.governor.books[1].broken
    assert len(fills_of(run, "steady")) > 10 and fills_of(run, "faulty") == []


def test_numpy_numbers_are_taken_for_what_they_are() -> None:
    import numpy as np

    run = beside_steady(named(Hold, "numpy", lots=lambda self, market, price: np.int32(2)))
    assert [fill.signed_lots for fill in fills_of(run, "faulty")] == [2]
    assert all(type(value) is int for entry in run.entries("fill") for value in entry if not isinstance(value, str))


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_a_callback_that_tries_to_end_the_process_ends_its_phase(error: BaseException) -> None:
    run = beside_steady(named(Raiser, "quitter", where="timer", error=staticmethod(lambda: error)))
    assert type(error).__name__ in run.governor.books[0].broken + run.governor.books[1].broken
    assert len(fills_of(run, "steady")) > 10


def test_the_users_interrupt_ends_the_run() -> None:
    with pytest.raises(KeyboardInterrupt):
        beside_steady(named(Raiser, "pressed", where="timer", error=KeyboardInterrupt))


def test_one_phase_cannot_close_the_position_of_another() -> None:
    class Thief(Strategy):
        def on_start(self, market: Any) -> None:
            market.every(60 * S, self.steal)

        def steal(self, market: Any, timer: Any) -> None:
            market.exit(market.perp)
            market.exit(market.perp, lots=1)
            market.protect(market.perp, stop=None)

    run = beside_steady(Thief, name="thief")
    assert fills_of(run, "thief") == []
    assert run.entries("approved", "thief") == []
    assert all(order.intent.phase == "steady" for order in run.engine.venue.working.values())


def test_an_unhedged_position_keeps_its_stop_whatever_its_strategy_asks() -> None:
    def naked(self: Any, market: Any, order: Any, fill: Any) -> None:
        market.note(str(market.protect(market.perp, stop=None)))

    run = beside_steady(named(Hold, "naked", on_fill=naked))
    assert run.notes("faulty.naked") == ["False"]
    assert all(protection.stop is not None for protection in run.engine.venue.protection.values())


def test_a_stop_may_not_be_moved_beyond_what_the_phase_may_lose() -> None:
    """The entry was approved for the loss at its stop; a stop moved further away would risk what nobody approved."""

    def loosen(self: Any, market: Any, order: Any, fill: Any) -> None:
        market.note(str(market.protect(market.perp, stop=fill.price // 2)))
        market.note(str(market.protect(market.perp, stop=fill.price - fill.price // 100)))

    run = beside_steady(named(Hold, "loosens", on_fill=loosen, share=4.0, stop_bps=200))
    assert run.notes("faulty.loosens") == ["False", "True"]
    (protection,) = run.engine.venue.protection.values()
    assert protection.stop > 590_000


def test_a_strategy_whose_phase_has_left_is_called_no_more() -> None:
    """Closing its position makes a callback, in which it arms what would wake it again."""
    from titan_core.brain.limits import BrainLimits
    from titan_core.brain.vocabulary import Trigger
    from titan_core.engine.core import Engine
    from titan_core.engine.forms import make_engine
    from titan_core.engine.governor import BrainGovernor

    class Leaving(BrainGovernor):
        def begin(self, engine: Engine) -> None:
            super().begin(engine)
            engine.at_system(engine.now + 600 * S, self._leave)

        def _leave(self, timer: Any) -> None:
            self.fire(Trigger.DRAIN, self.books[0])
            self.settle()

    again = named(Hold, "again", again=True, stop_bps=500)
    governor = Leaving([make_phase("gone", 200, 5_000, strategy=again, drain_s=60)], BrainLimits(dwell_s=86_400))
    engine = make_engine(Form.REPLAY, CALM, governor, cash=10**11, slots=governor.slots, latency_ns=5 * MS, slippage_ticks=0, say=print)
    run = Run(engine.run(), governor)
    (drained,) = [entry[1] for entry in run.entries("chart", "gone.drained")]
    late = [entry for entry in engine.record.entries if entry[1] > drained and str(entry[2]).startswith("gone.again")]
    assert late == []
