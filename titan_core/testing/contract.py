"""The contract of a phase plugin as tests: subclass `PhaseContract` in the plugin's own tests and run pytest.

    from titan_core.testing import PhaseContract

    class TestContract(PhaseContract):
        plugin = "titan_example.plugin"

What fails says what was found, what holds for every phase, and what to do. Nothing here knows a particular phase.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, NoReturn, TypeVar

import attrs
import pytest

from titan_core.config.keys import Meaning
from titan_core.config.load import ConfigProblems, load_config
from titan_core.config.schema import LIMITS_TABLE
from titan_core.engine.forms import Form
from titan_core.engine.record import Entry
from titan_core.errors import CallbackHung, ConfigError, UsageError
from titan_core.hookspecs import Health
from titan_core.model.units import S
from titan_core.tape.tape import Tape
from titan_core.testing.lab import Lab, is_frozen, misspelled_callbacks, shared_state
from titan_core.testing.lookahead import truncate
from titan_core.testing.markets import CONTRACT_MARKETS
from titan_core.testing.purity import impurities
from titan_core.testing.trial import BusyLoop, Trial

LEAVING_GRACE_NS = 60 * S
"""How long after its time to leave a phase may still be closing."""
Answer = TypeVar("Answer")


def complain(text: str) -> NoReturn:
    """Fail with a message to the plugin's author; a traceback through Titan would not help."""
    pytest.fail(text, pytrace=False)


def asked(attempt: Callable[[], Answer]) -> Answer:
    """Return what an attempt answers; what the plugin's author has to repair becomes a complaint."""
    try:
        return attempt()
    except (CallbackHung, BusyLoop, ConfigError, UsageError) as error:
        complain(str(error))


def trading(lab: Lab) -> Lab:
    """Return the lab, or skip the test where the plugin trades nothing."""
    if lab.declaration.band is None:
        pytest.skip("the plugin declares no capital band: it advises and trades nothing")
    return lab


class PhaseContract:
    """What holds for every phase. Subclass it, name the plugin, and let pytest collect the subclass."""

    plugin: ClassVar[Any] = None
    """`"package.module"`, `"package.module:object"`, a module, or an object with the hooks."""
    config: ClassVar[Mapping[str, Any]] = {}
    """Values for keys of the phase's section, for all trials."""
    markets: ClassVar[Mapping[str, Callable[[], Tape]]] = CONTRACT_MARKETS
    """Markets by name; add those that make your phase trade: `{**CONTRACT_MARKETS, "mine": my_market}`."""
    equity_usdt: ClassVar[int | None] = None
    """Equity of the trials; by default one well inside the declared band."""
    must_trade: ClassVar[bool] = True
    """Whether the phase has to trade on some market. Where it does not, its trials prove little."""
    refusals_per_hour: ClassVar[int] = 720
    """How many refused entries an hour of market time are no busy loop."""
    callback_timeout_s: ClassVar[float] = 10.0
    """Wall time after which a callback counts as hung."""
    offline: ClassVar[tuple[str, ...]] = ()
    """Modules of the plugin that never run inside a replay, such as `"my_phase.optimise"`; the check for clocks and chance leaves them out."""

    # -- arrangements -------------------------------------------------------------------------------------------------
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run what asks for a market on each of the class's markets."""
        if "market" in metafunc.fixturenames:
            metafunc.parametrize("market", list(getattr(metafunc.cls, "markets", CONTRACT_MARKETS)))

    @classmethod
    def open_lab(cls) -> Lab:
        """Load the plugin and its configuration."""
        if cls.plugin is None:
            complain(f"{cls.__name__} names no plugin; write: plugin = 'your_package.plugin'")
        return asked(lambda: Lab(cls.plugin, config=cls.config, markets=cls.markets, equity_usdt=cls.equity_usdt, timeout_s=cls.callback_timeout_s))

    @pytest.fixture(scope="class")
    @classmethod
    def lab(cls) -> Lab:
        """Load the plugin once for the class; its markets and runs are kept."""
        return cls.open_lab()

    @pytest.fixture
    def trader(self, lab: Lab) -> Lab:
        """Skip what concerns trading where the plugin is an adviser."""
        return trading(lab)

    # -- declaration --------------------------------------------------------------------------------------------------
    def test_declaration_says_what_the_phase_is(self, lab: Lab) -> None:
        """The host has examined band, leverage, levels, id and hooks; what people read has to be there too."""
        declaration = lab.declaration
        for name in ("title", "summary"):
            text = getattr(declaration, name)
            if not text.strip() or "\n" in text:
                complain(f"the declaration's {name} is {text!r}; write one line: it is what `titan phase list` shows")

    def test_health_answers(self, lab: Lab) -> None:
        """`titan_health` is asked before each activation."""
        health = lab.phase.health()
        if not isinstance(health, Health) or not health.ok:
            complain(f"titan_health says that the phase cannot work: {health.reason or 'no reason given'}; the contract needs a healthy phase to try")

    def test_strategies_are_made_anew_at_each_activation(self, trader: Lab) -> None:
        """Nothing of one activation may reach into the next."""
        first, second = trader.strategies(), trader.strategies()
        if not first:
            complain("create returned no strategy: the phase would be active and do nothing; return at least one")
        for one, other in zip(first, second, strict=True):
            if one is other:
                complain(f"create returned the same {type(one).__name__} twice; make a new instance at each call, because it is called at each activation")
            shared = shared_state(one, other)
            if shared:
                complain(f"two activations of {type(one).__name__} share {', '.join(shared)}; make it in __init__ (or in on_start), not in the class or module")

    def test_callbacks_are_spelled_as_titan_calls_them(self, lab: Lab) -> None:
        """A callback of another name would never be called, and nothing would say so."""
        problems = [problem for strategy in lab.strategies() for problem in misspelled_callbacks(type(strategy))]
        if problems:
            complain("\n".join(problems))

    # -- configuration ------------------------------------------------------------------------------------------------
    def test_configuration_documents_every_key(self, lab: Lab) -> None:
        """What a trader may set has a default, a meaning and a unit."""
        if lab.declaration.config_type is object:
            return
        silent = [name for name, meaning in _meanings(lab.declaration.config_type) if meaning is None or not meaning.help.strip()]
        if silent:
            complain(f"configuration keys without a meaning: {', '.join(silent)}; declare each with titan_core.key(default, 'what it does', unit='bps')")

    def test_configuration_cannot_be_changed_by_a_strategy(self, lab: Lab) -> None:
        """One instance serves all activations."""
        made = None if lab.declaration.config_type is object else lab.declaration.config_type()
        if made is not None and not is_frozen(made):
            complain(f"{type(made).__name__} can be changed at run time; declare it with @attrs.frozen")

    def test_an_unknown_key_is_refused_with_a_suggestion(self, lab: Lab) -> None:
        """A misspelled key must never be taken for a setting."""
        keys = [name for name, _ in _meanings(lab.declaration.config_type)] or [f"{LIMITS_TABLE}.drain_s"]
        wrong = keys[0] + "x"
        try:
            load_config(None, [lab.declaration], [f"{lab.declaration.id}.{wrong}=1"], {})
        except ConfigProblems as error:
            if f'did you mean "{keys[0]}"' not in str(error):
                complain(f"the key {wrong!r} was refused without naming {keys[0]!r}: {error}")
        else:
            complain(f"the key {wrong!r} was accepted; config_type must be a plain attrs class whose fields are the keys")

    def test_sources_use_neither_clock_nor_chance(self, lab: Lab) -> None:
        """Two runs of one tape must decide the same, in any process, on any day."""
        found = impurities(lab.sources(self.offline))
        if found:
            complain("\n".join(map(str, found)))

    # -- runs ---------------------------------------------------------------------------------------------------------
    def test_it_trades_somewhere(self, trader: Lab) -> None:
        """A phase that never holds anything passes every check on positions."""
        if self.must_trade and not asked(trader.traded):
            complain(
                f"the phase executed no order on any market ({', '.join(self.markets)}), so nothing about its positions was examined; add a market on which "
                "it trades (markets = {**CONTRACT_MARKETS, 'mine': my_market}), set config to make it trade, or say must_trade = False"
            )

    def test_it_raises_on_no_market(self, trader: Lab, market: str) -> None:
        """A trend, a range, a crash, a hole, no trades, no spot, bars, a thin book: whatever comes, the phase goes on or notes why it does not."""
        for brain in ("free", "halved"):
            trial = asked(lambda brain=brain: trader.trial(market, brain=brain))  # type: ignore[misc]
            if trial.quarantine:
                complain(_raised(trial, market))

    def test_every_position_has_a_stop(self, trader: Lab, market: str) -> None:
        """Unless the phase is hedged, no position is unprotected at any moment."""
        unprotected = asked(lambda: trader.trial(market)).findings.unprotected
        if unprotected:
            complain(f"on market {market!r} nothing protected {unprotected[0]}; give enter() and protect() a stop: only a hedged phase may go without")

    def test_every_order_passes_the_brain(self, trader: Lab, market: str) -> None:
        """Orders are made by enter, enter_pair and exit, and by nothing else."""
        unapproved = asked(lambda: trader.trial(market)).findings.unapproved
        if unapproved:
            complain(f"on market {market!r} order {unapproved[0]} was sent without an approval; use market.enter, market.enter_pair and market.exit only")

    def test_replay_and_reference_decide_the_same(self, trader: Lab, market: str) -> None:
        """The skip-ahead engine and the tick-by-tick one give equal digests."""
        fast, slow = asked(lambda: trader.trial(market)), asked(lambda: trader.trial(market, form=Form.REFERENCE))
        if fast.record.digest != slow.record.digest:
            complain(f"on market {market!r} replay and reference differ, first here (replay, reference):\n{_first_difference(fast.entries, slow.entries)}")

    def test_two_runs_decide_the_same(self, trader: Lab, market: str) -> None:
        """Nothing is left over from a run that would change the next."""
        first = asked(lambda: trader.trial(market))
        second = asked(lambda: trader.examination.run(trader.tape(market)))
        if first.record.digest != second.record.digest:
            complain(
                f"a second run on market {market!r} decided otherwise, first here (first, second run):\n{_first_difference(first.entries, second.entries)}\n"
                "look for state that outlives a strategy (module or class variables, caches) and for randomness"
            )

    def test_another_process_decides_the_same(self, trader: Lab) -> None:
        """The order of sets, ids of objects and hashes of text differ between processes; decisions may not."""
        shared = [name for name in asked(trader.traded) if self.markets[name] is CONTRACT_MARKETS.get(name)] or list(CONTRACT_MARKETS)[:1]
        if not isinstance(self.plugin, str):
            pytest.skip("only a plugin given by its module's name can be imported by another process")
        here = asked(lambda: trader.trial(shared[0])).record.digest
        if asked(lambda: trader.digest_in_another_process(shared[0])) != here:
            complain(f"another process decided otherwise on market {shared[0]!r}; iterate over lists, dicts or sorted(…), not over sets; use no hash() or id()")

    def test_the_future_changes_no_decision(self, trader: Lab, market: str) -> None:
        """A tape that ends earlier leads to the same decisions up to its end."""
        tape, whole = trader.tape(market), asked(lambda: trader.trial(market)).entries
        approved = [entry[1] for entry in whole if entry[0] == "approved"]
        thirds = [tape.first_ns + (tape.last_ns - tape.first_ns) * part // 3 for part in (1, 2)]
        for last_ns in sorted({*thirds, *approved[len(approved) // 2 :][:1], *approved[-1:]}):
            short = truncate(tape, last_ns)
            entries = asked(lambda short=short: trader.examination.run(short)).entries  # type: ignore[misc]
            known, same = ([entry for entry in each if entry[1] <= short.last_ns] for each in (entries, whole))
            if known != same:
                complain(
                    f"without what happened after {short.last_ns} ns on market {market!r} the phase decided otherwise before it, first here (without, with):\n"
                    f"{_first_difference(known, same)}\nit looks ahead: use only what the market's look-ups say as of now"
                )

    def test_it_takes_no_for_an_answer(self, trader: Lab, market: str) -> None:
        """A refusal is a value: the phase goes on, and does not ask again and again."""
        trial = asked(lambda: trader.trial(market, brain="refused"))
        if trial.quarantine:
            complain(f"{_raised(trial, market)}\nit happened while every entry was refused: enter may return a Refused, check with isinstance(result, Refused)")
        hour, most = max(trial.findings.refusals.items(), key=lambda item: item[1], default=(0, 0))
        if most > self.refusals_per_hour:
            allowed = self.refusals_per_hour
            complain(f"on market {market!r} {most} entries were refused within an hour, {allowed} are allowed; wait after a refusal: market.after(5 * MIN, …)")

    def test_it_leaves_when_told(self, trader: Lab) -> None:
        """Once its time to leave is up the phase holds nothing, asks for nothing, and a later activation begins with new strategies."""
        left = 0
        for market in asked(trader.traded):
            trial = asked(lambda market=market: trader.trial(market, brain="leaving"))  # type: ignore[misc]
            left += self._check_leaving(trader, trial, market)
        if not left:
            pytest.skip("the phase held no position for long enough before the end of any market")

    def _check_leaving(self, lab: Lab, trial: Trial, market: str) -> bool:
        """Return whether there was something to check."""
        name, entries = lab.declaration.id, trial.entries
        deadline = trial.findings.left_ns + lab.examination.declaration.drain_s * S + LEAVING_GRACE_NS
        if not trial.findings.left_ns or deadline > lab.tape(market).last_ns or any(e[0] == "chart" and e[2] == "panic" for e in entries):
            return False
        if trial.quarantine:
            complain(f"{_raised(trial, market)}\nit happened in the trial of leaving")
        gone = next((e[1] for e in entries if e[0] == "chart" and e[2] == f"{name}.drained"), None)
        if gone is None or gone > deadline:
            drain_s = lab.examination.declaration.drain_s
            complain(f"on market {market!r} the phase was told to leave and still held a position a minute after its time of {drain_s} s was up")
        back = next((e[1] for e in entries if e[0] == "chart" and e[2] == f"{name}.activate" and e[1] > gone), lab.tape(market).last_ns)
        own = tuple(f"{name}.{strategy.id}." for strategy in trial.made)
        late = next((e for e in entries if e[0] in ("approved", "refused") and gone < e[1] < back and e[2].startswith(own)), None)
        if late is not None:
            complain(f"on market {market!r} a strategy asked for an order after its phase had left: {_shown(late)}")
        per_activation = len(lab.strategies())
        if trial.activations * per_activation != len(trial.made) or len({id(strategy) for strategy in trial.made}) != len(trial.made):
            complain(f"{trial.activations} activations made {len(trial.made)} strategies; create has to return new ones each time")
        return True

    def test_callbacks_are_quick(self, trader: Lab, record_property: Callable[[str, object], None]) -> None:
        """Reported, not judged: see it with `pytest -rP` or in the XML report. Beyond 100 µs a replay is spent in the phase."""
        for market in asked(trader.traded):
            timing = trader.trial(market).timing
            report = f"{timing.calls} callbacks, median {timing.median_ns / 1e3:.1f} µs, slowest {timing.slowest_ns / 1e3:.0f} µs in {timing.slowest}"
            record_property(f"callbacks on {market}", report)
            print(f"{lab_name(trader)} on {market}: {report}")


def lab_name(lab: Lab) -> str:
    """Return the phase's id for a report."""
    return str(lab.declaration.id)


def _meanings(section: type[Any], prefix: str = "") -> Iterator[tuple[str, Meaning | None]]:
    """Yield each key of a configuration class by its dotted name with what it says about itself; None where it says nothing."""
    if not attrs.has(section):
        return
    for field in attrs.fields(attrs.resolve_types(section)):
        if attrs.has(field.type):
            yield from _meanings(field.type, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, Meaning.of(field) if {"help", "unit"} <= set(field.metadata) else None


def _raised(trial: Trial, market: str) -> str:
    told = "\n".join(trial.findings.faults) or trial.quarantine
    return f"the phase raised on market {market!r} and was put in quarantine: {trial.quarantine}\n{told}".rstrip()


def _first_difference(one: list[Entry], other: list[Entry]) -> str:
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            return f"  {_shown(mine)}\n  {_shown(theirs)}"
    longer = max(one, other, key=len)
    rest = longer[min(len(one), len(other)) :]
    return f"  {_shown(rest[0])}\n  nothing" if rest else "  in nothing"


def _shown(entry: Entry) -> str:
    return " ".join(str(part) for part in entry if not isinstance(part, tuple))
