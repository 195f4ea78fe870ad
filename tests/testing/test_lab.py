"""How the contract looks at a plugin's objects, loads it and configures it."""

import sys
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace

import attrs
import numpy as np
import pytest

import titan_core.testing as kit
from titan_core import CapitalBand, PhaseDeclaration, PhaseId, Strategy, UsageError, hookimpl, key
from titan_core.config.load import ConfigProblems
from titan_core.model.units import MONEY_PER_USDT
from titan_core.testing import Hold, Idle, Lab, forget_modules, ranges, truncate, try_phase, write_distribution
from titan_core.testing.lab import as_overrides, is_frozen, is_mutable, load_phase, misspelled_callbacks, shared_state
from titan_core.testing.trial import equity_inside


class Mode(StrEnum):
    FAST = "fast"
    SLOW = "slow"


@attrs.frozen
class Settings:
    """A configuration with a key of every kind."""

    mode: Mode = key(Mode.FAST, "how")
    count: int = key(3, "how many", unit="pieces")
    share: float = key(0.5, "how much")
    on: bool = key(True, "whether")
    word: str = key("a", "which")
    many: tuple[int, ...] = key((1, 2), "several", unit="pieces")
    words: tuple[str, ...] = key(("x", "y"), "several words")
    exact: Decimal = key(Decimal("0.1"), "exactly")
    maybe: int | None = key(None, "perhaps", unit="pieces")


class Plugin:
    """A plugin that is an object."""

    @hookimpl
    def titan_phase(self) -> PhaseDeclaration:
        """Declare it."""
        return PhaseDeclaration(
            id=PhaseId("object"), title="Object", summary="holds", band=CapitalBand.usdt(200, 5_000), leverage=(1, 5), config_type=Settings,
            create=lambda config: [Hold()],
        )  # fmt: skip


GIVEN = {
    "mode": Mode.SLOW, "count": 7, "share": 0.25, "on": False, "word": "true", "many": (5,), "words": ["a b", "c"], "exact": Decimal("2.50"), "maybe": 4
}  # fmt: skip


def test_values_of_every_kind_reach_the_configuration() -> None:
    loaded = Lab(Plugin(), config=GIVEN).examination.config.phase("object")
    assert attrs.asdict(loaded) == {**GIVEN, "words": ("a b", "c")}
    assert as_overrides("object", {"on": True}) == ["object.on=true"]


def test_a_value_out_of_range_and_an_unknown_key_are_refused() -> None:
    with pytest.raises(ConfigProblems, match='did you mean "count"'):
        Lab(Plugin(), config={"cuont": 1})


def test_a_plugin_may_be_named_or_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "from tests_lab_donor import Plugin\nplugin = Plugin()\n"
    write_distribution(tmp_path, "lab-plugin", {"lab_plugin.py": source}, phases={})
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "tests_lab_donor", SimpleNamespace(Plugin=Plugin))  # type: ignore[misc]
    assert load_phase("lab_plugin:plugin").id == load_phase(Plugin()).id == "object"
    with pytest.raises(UsageError, match="does not implement titan_phase"):
        load_phase("lab_plugin")
    with pytest.raises(UsageError, match="ModuleNotFoundError"):
        load_phase("lab_plugin_that_is_not_there")
    forget_modules("lab_plugin")


def test_a_phase_is_tried_in_one_call() -> None:
    trial = try_phase(Plugin(), ranges(1), equity_usdt=500)
    (order,) = trial.orders
    assert order.signed_lots == 500 * 1_000 // 2 // 60_000 and order.stop is not None
    assert [fill.signed_lots for fill in trial.fills] == [order.signed_lots]
    assert trial.positions == {"BTCUSDT.bybit-linear": order.signed_lots}
    assert (trial.quarantine, trial.refusals, trial.notes, trial.activations, len(trial.made)) == ("", [], [], 1, 1)


@pytest.mark.parametrize(("band", "usdt"), [((200, 5_000), 1_000), ((50_000, None), 100_000), ((0, 1_000), 100)])
def test_the_equity_of_trials_lies_well_inside_the_band(band: tuple[int, int | None], usdt: int) -> None:
    chosen = CapitalBand.usdt(*band)
    assert equity_inside(chosen) == usdt * MONEY_PER_USDT and chosen.holds(equity_inside(chosen))


# -- objects ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("value", [None, 1, 1.5, "a", b"a", Mode.FAST, (1, ("a",)), frozenset({1}), Settings(), len, Decimal(1), Path("a"), range(3)])
def test_what_cannot_change_may_be_shared(value: object) -> None:
    assert not is_mutable(value)


@pytest.mark.parametrize("value", [[], {}, set(), bytearray(), ([],), np.zeros(2), SimpleNamespace(a=1), attrs.make_class("Loose", ["a"])(1)], ids=repr)
def test_what_can_change_may_not(value: object) -> None:
    class Shares(Strategy):
        def __init__(self) -> None:
            self.thing = value

    assert is_mutable(value)
    assert shared_state(Shares(), Shares()) == ["self.thing"]


def test_class_attributes_and_slots_are_looked_at() -> None:
    class Slotted(Strategy):
        __slots__ = ("mine", "ours")
        seen: list[int] = []

        def __init__(self, ours: object) -> None:
            self.mine, self.ours = [1], ours

    common: dict[str, int] = {}
    assert shared_state(Slotted(common), Slotted(common)) == ["self.ours", "Slotted.seen"]
    assert shared_state(Hold(), Hold()) == shared_state(Idle(), Idle()) == []


def test_frozen_means_that_no_field_can_be_set() -> None:
    assert is_frozen(Settings())
    assert not is_frozen(attrs.make_class("Loose", ["a"])(1))
    assert is_frozen(attrs.make_class("Empty", [])())


def test_own_names_that_begin_like_callbacks_are_no_mistakes() -> None:
    class Fine(Strategy):
        def on_break(self) -> None: ...
        def on_fill(self, market, order, fill, more=1): ...  # type: ignore[no-untyped-def]

    assert misspelled_callbacks(Fine) == []


def test_an_installed_distribution_is_found_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import entry_points, version

    write_distribution(tmp_path, "kit-made", {"kit_made/__init__.py": "\n    VALUE = 1\n"}, phases={"made": "kit_made"}, version="2.5")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert version("kit-made") == "2.5"
    (point,) = entry_points(group="titan.phases", name="made")
    assert point.load().VALUE == 1 and "kit_made" in sys.modules
    forget_modules("kit_made")
    assert "kit_made" not in sys.modules


# -- the kit's names --------------------------------------------------------------------------------------------------
def test_every_name_of_the_kit_is_there_and_costs_nothing_before_it_is_used() -> None:
    assert sorted(kit._HOME_OF) == sorted(kit.__all__) and set(kit.__all__) <= set(dir(kit))
    for name in kit.__all__:
        assert getattr(kit, name) is not None
    assert not hasattr(kit, "nothing_of_that_name")
    assert truncate(ranges(1), ranges(1).first_ns).ticks == 1
