"""The contract passes an honest plugin, and each way of breaking it fails the test that is meant for it, with a message that helps."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from titan_core.errors import UsageError
from titan_core.testing import CONTRACT_MARKETS, Lab, PhaseContract, forget_modules, ranges, write_distribution
from titan_core.testing.contract import trading

HONEST = """
    import attrs
    from titan_core import (
        MIN, S, CapitalBand, Health, PhaseDeclaration, PhaseId, Refused, Strategy, StrategyError, StrategyId, hookimpl, key
    )

    @attrs.frozen
    class Config:
        period_s: int = key(1_200, "time between two entries", unit="s", low=60, high=86_400)
        stop_bps: int = key(60, "distance of the stop", unit="bps", low=1, high=500)

    class Honest(Strategy):
        id = StrategyId("honest")

        def __init__(self, config):
            self.config = config
            self.side = 1

        def on_start(self, market):
            try:
                market.perp.above(1)
            except StrategyError as error:
                market.note(f"idle: {error}")
                return
            market.every(self.config.period_s * S, self.enter)

        def enter(self, market, timer):
            quote = market.perp.quote()
            if quote is None or market.perp.position():
                return
            price = quote[1] if self.side > 0 else quote[0]
            lots = market.perp.spec.lots_for(market.budget().equity // 2, price)
            distance = price * self.config.stop_bps // 10_000
            result = market.enter(market.perp, self.side * lots, stop=price - self.side * distance, target=price + self.side * distance)
            if isinstance(result, Refused):
                market.note(result.message)

        def on_flat(self, market, instrument):
            self.side = -self.side

    def create(config):
        return [Honest(config)]

    @hookimpl
    def titan_phase():
        return PhaseDeclaration(
            id=PhaseId("honest"), title="Honest", summary="enters now and then", band=CapitalBand.usdt(200, 5_000),
            leverage=(1, 5), config_type=Config, create=create, drain_s=600,
        )
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Install a plugin made of `HONEST` with replacements, given as the parameter, and return its module's name."""
    package = f"contract_{tmp_path.name}"
    monkeypatch.syspath_prepend(str(tmp_path))
    write_distribution(tmp_path, package, {f"{package}/__init__.py": "", f"{package}/plugin.py": HONEST}, phases={"honest": f"{package}.plugin"})
    yield f"{package}.plugin"
    forget_modules(package)


def change(module: str, old: str, new: str) -> None:
    """Change the source of an installed plugin before it is imported."""
    path = next(Path(entry) for entry in sys.path if (Path(entry) / module.split(".")[0]).is_dir()) / (module.replace(".", "/") + ".py")
    source = path.read_text("utf-8")
    assert old in source
    path.write_text(source.replace(old, new), "utf-8")


def contract(module: str, market: str = "range", **settings: object) -> tuple[PhaseContract, Lab]:
    """Make a contract for the plugin on one market, and its lab."""
    traits = {"plugin": module, "markets": {market: CONTRACT_MARKETS[market]}, **settings}
    kind = type("Contract", (PhaseContract,), traits)
    lab = Lab(module, config=traits.get("config"), markets=traits["markets"], timeout_s=float(str(traits.get("callback_timeout_s", 10))))
    return kind(), lab


def complaint(module: str, test: str, market: str = "", **settings: object) -> str:
    """Run one test of the contract, which has to complain, and return what it says."""
    tested, lab = contract(module, market or "range", **settings)
    with pytest.raises(pytest.fail.Exception) as told:
        getattr(tested, test)(lab, *([market] if market else []))
    return str(told.value)


class TestHonest(PhaseContract):
    """An honest plugin passes, as any author's test class would run it."""

    config = {"period_s": 900}

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def installed(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("honest")
        write_distribution(folder, "contract-honest", {"contract_honest/__init__.py": "", "contract_honest/plugin.py": HONEST}, phases={})
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(folder))
            cls.plugin = "contract_honest.plugin"
            yield
        forget_modules("contract_honest")


# -- declaration ------------------------------------------------------------------------------------------------------
def test_a_plugin_that_the_host_refuses_is_told_why(plugin: str) -> None:
    change(plugin, "leverage=(1, 5)", "leverage=(5, 1)")
    with pytest.raises(UsageError, match="leverage 5–1 is impossible"):
        Lab(plugin)


def test_a_contract_without_a_plugin_says_what_to_write() -> None:
    with pytest.raises(pytest.fail.Exception, match="plugin = 'your_package.plugin'"):
        PhaseContract.open_lab()


@pytest.mark.parametrize("title", ["", "two\\nlines"])
def test_a_declaration_that_nobody_can_read(plugin: str, title: str) -> None:
    change(plugin, 'title="Honest"', f'title="{title}"')
    assert "write one line" in complaint(plugin, "test_declaration_says_what_the_phase_is")


def test_a_phase_that_is_not_well(plugin: str) -> None:
    change(plugin, "    def create(config)".strip(), "@hookimpl\ndef titan_health():\n    return Health(False, 'no data')\n\ndef create(config)")
    assert "no data" in complaint(plugin, "test_health_answers")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("return [Honest(config)]", "return ()", "at least one"),
        ("def create(config):\n    return [Honest(config)]", "ONE = Honest(Config())\ndef create(config):\n    return [ONE]", "the same Honest twice"),
        ("    def __init__", "    seen = []\n    def __init__", "Honest.seen"),
        ("self.config = config", "self.config = config\n        self.book = BOOK", "self.book"),
    ],
)
def test_activations_that_share_something(plugin: str, old: str, new: str, said: str) -> None:
    change(plugin, old, new)
    if "BOOK" in new:
        change(plugin, "def create", "BOOK = {}\n\ndef create")
    assert said in complaint(plugin, "test_strategies_are_made_anew_at_each_activation")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("def on_flatten(self", "on_flatten is never called by Titan; did you mean on_flat?"),
        ("async def on_flat(self", "async or generator function"),
        ("def on_flat(self, more", "cannot be called as on_flat"),
    ],
)
def test_callbacks_that_are_never_called(plugin: str, new: str, said: str) -> None:
    change(plugin, "def on_flat(self", new)
    assert said in complaint(plugin, "test_callbacks_are_spelled_as_titan_calls_them")


# -- configuration ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", ["stop_bps: int = 60", 'stop_bps: int = key(60, "", unit="bps")'])
def test_a_key_without_a_meaning(plugin: str, field: str) -> None:
    change(plugin, 'stop_bps: int = key(60, "distance of the stop", unit="bps", low=1, high=500)', field)
    assert "without a meaning: stop_bps" in complaint(plugin, "test_configuration_documents_every_key")


def test_a_configuration_that_can_be_changed(plugin: str) -> None:
    change(plugin, "@attrs.frozen", "@attrs.define")
    assert "declare it with @attrs.frozen" in complaint(plugin, "test_configuration_cannot_be_changed_by_a_strategy")


def test_a_clock_in_the_source(plugin: str) -> None:
    change(plugin, "self.side = 1", "self.side = 1\n        import time\n        self.born = time.time()")
    assert ": uses time.time: the time of the market is market.now_ns" in complaint(plugin, "test_sources_use_neither_clock_nor_chance")


# -- runs -------------------------------------------------------------------------------------------------------------
def test_a_phase_that_never_trades(plugin: str) -> None:
    change(plugin, "market.every(self.config.period_s * S, self.enter)", "return")
    assert "add a market on which it trades" in complaint(plugin, "test_it_trades_somewhere")
    tested, lab = contract(plugin, must_trade=False)
    tested.test_it_trades_somewhere(lab)


@pytest.mark.parametrize(("old", "new", "market"), [("market.perp.above(1)", "market.spot", "only_perp"), ("quote is None or", "", "range")])
def test_a_phase_that_raises(plugin: str, old: str, new: str, market: str) -> None:
    change(plugin, old, new)
    change(plugin, "except StrategyError", "except ZeroDivisionError")
    said = complaint(plugin, "test_it_raises_on_no_market", market)
    assert "was put in quarantine" in said and "Traceback" in said and "plugin.py" in said


def test_a_phase_that_breaks_on_half_a_size(plugin: str) -> None:
    change(plugin, "def on_flat(", "def on_fill(self, market, order, fill):\n        assert order.lots == abs(order.intent.signed_lots)\n\n    def on_flat(")
    assert "AssertionError" in complaint(plugin, "test_it_raises_on_no_market", "range")


def test_prices_between_the_ticks(plugin: str) -> None:
    change(plugin, "stop=price - self.side * distance", "stop=price - self.side * distance / 1.0")
    assert "must be a whole number" in complaint(plugin, "test_it_raises_on_no_market", "range")


def test_a_stop_that_is_taken_away_behind_the_brains_back(plugin: str) -> None:
    take = "market.engine.venue.protect(market.perp.k, market, None, None)"
    change(plugin, "def on_flat(", f"def on_fill(self, market, order, fill):\n        if market.perp.position(): {take}\n\n    def on_flat(")
    said = complaint(plugin, "test_every_position_has_a_stop", "range")
    assert "nothing protected" in said and "callback of strategy 'honest'" in said


def test_an_order_past_the_brain(plugin: str) -> None:
    change(plugin, "result = market.enter(", "result = self.past(market)\n        if 0: result = market.enter(")
    change(
        plugin,
        "    def on_flat(",
        "    def past(self, market):\n        from titan_core import Approved, ClientOrderId, Intent\n"
        "        intent = Intent(client_order_id=ClientOrderId(f'{market.now_ns}'), phase=market.phase, strategy=self.id,\n"
        "            instrument=market.perp.spec, signed_lots=1, stop=1)\n"
        "        market.engine.venue.submit(Approved(intent, 1, ()), market, market.perp.k)\n\n    def on_flat(",
    )
    assert "was sent without an approval" in complaint(plugin, "test_every_order_passes_the_brain", "range")


def test_decisions_that_depend_on_the_engine(plugin: str) -> None:
    change(plugin, "if quote is None", "market.note(type(market.engine).__name__)\n        if quote is None")
    assert "replay and reference differ" in complaint(plugin, "test_replay_and_reference_decide_the_same", "range")


def test_state_that_outlives_a_run(plugin: str) -> None:
    change(plugin, "if quote is None", "MEMORY.append(1)\n        market.note(str(len(MEMORY)))\n        if quote is None")
    change(plugin, "def create", "MEMORY = []\n\ndef create")
    said = complaint(plugin, "test_two_runs_decide_the_same", "range")
    assert "look for state that outlives a strategy" in said and "note" in said


def test_decisions_that_depend_on_the_process(plugin: str) -> None:
    change(plugin, "if quote is None", "market.note(str(hash('text')))\n        if quote is None")
    assert "sorted(…)" in complaint(plugin, "test_another_process_decides_the_same")


def test_a_look_ahead(plugin: str) -> None:
    change(plugin, "if quote is None", "market.note(str(market.engine.prepared.tape.last_ns))\n        if quote is None")
    assert "it looks ahead" in complaint(plugin, "test_the_future_changes_no_decision", "range")


def test_refusals_that_are_not_expected(plugin: str) -> None:
    change(plugin, "if isinstance(result, Refused):\n            market.note(result.message)", "result.status")
    assert "check with isinstance(result, Refused)" in complaint(plugin, "test_it_takes_no_for_an_answer", "range")


def test_asking_again_and_again(plugin: str) -> None:
    change(plugin, "market.note(result.message)", "market.after(S, self.enter)")
    short = {"range": lambda: ranges(1)}
    assert "wait after a refusal" in complaint(plugin, "test_it_takes_no_for_an_answer", "range", markets=short)
    tested, lab = contract(plugin, markets=short, refusals_per_hour=100_000)
    tested.test_it_takes_no_for_an_answer(lab, "range")


def test_asking_for_ever_in_one_callback(plugin: str) -> None:
    change(plugin, "result = market.enter(", "result = None\n        while not result or isinstance(result, Refused): result = market.enter(")
    assert "was refused 100 times and asked again" in complaint(plugin, "test_it_takes_no_for_an_answer", "range")


def test_a_callback_that_hangs(plugin: str) -> None:
    change(plugin, "if quote is None", "while True: pass\n        if quote is None")
    assert "strategy 'honest' did not return within 0.2 s" in complaint(plugin, "test_it_raises_on_no_market", "range", callback_timeout_s=0.2)


def test_a_phase_that_breaks_when_it_is_closed_by_the_brain(plugin: str) -> None:
    change(plugin, "self.side = -self.side", "self.side = -self.side\n        1 / (market.perp.quote() is not None and market.budget().max_notional)")
    change(plugin, "def on_flat(", "def on_fill(self, market, order, fill):\n        assert order.intent.tag != 'flatten'\n\n    def on_flat(")
    assert "in the trial of leaving" in complaint(plugin, "test_it_leaves_when_told")


def test_strategies_that_survive_their_phase(plugin: str) -> None:
    change(
        plugin, "def create(config):\n    return [Honest(config)]", "MADE = []\ndef create(config):\n    MADE[:] = MADE or [Honest(config)]\n    return MADE"
    )
    assert "create has to return new ones each time" in complaint(plugin, "test_it_leaves_when_told")


def test_an_adviser_is_examined_and_never_run(plugin: str) -> None:
    change(plugin, "band=CapitalBand.usdt(200, 5_000)", "band=None")
    change(plugin, "return [Honest(config)]", "return []")
    tested, lab = contract(plugin)
    tested.test_declaration_says_what_the_phase_is(lab)
    with pytest.raises(pytest.skip.Exception, match="advises and trades nothing"):
        trading(lab)


HEDGED = """
    from titan_core import H, CapitalBand, PhaseDeclaration, PhaseId, Refused, Strategy, StrategyError, StrategyId, hookimpl

    class Carry(Strategy):
        id = StrategyId("carry")

        def on_start(self, market):
            if not market.pairs:
                market.note("idle: no pair")
                return
            self.pair = market.pairs[0]
            market.every(H // 2, self.turn)

        def turn(self, market, timer):
            spot, perp = self.pair.spot, self.pair.perp
            if spot.position() or perp.position():
                for leg in (spot, perp):
                    if leg.position():
                        market.exit(leg)
                return
            if spot.quote() is None or perp.quote() is None:
                return
            lots = perp.spec.lots_for(market.budget().equity // 4, perp.quote()[0])
            result = market.enter_pair(self.pair, lots * 100, -lots)
            if isinstance(result, Refused):
                market.note(result.message)

    @hookimpl
    def titan_phase():
        return PhaseDeclaration(
            id=PhaseId("carry"), title="Carry", summary="spot against perpetual", band=CapitalBand.usdt(50_000), leverage=(1, 3), hedged=True,
            max_position_bps=10_000, create=lambda config: [Carry()],
        )
"""


class TestHedged(PhaseContract):
    """A hedged phase, whose pairs need no stop and whose configuration is empty, passes as well."""

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def installed(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        folder = tmp_path_factory.mktemp("hedged")
        write_distribution(folder, "contract-hedged", {"contract_hedged/__init__.py": "", "contract_hedged/plugin.py": HEDGED}, phases={})
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(folder))
            cls.plugin = "contract_hedged.plugin"
            yield
        forget_modules("contract_hedged")
