"""A configuration key: declaration, strict types, bounds."""

from decimal import Decimal
from enum import StrEnum
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.config.keys import KeySpec, Meaning, bounds_text, build, convert, key, keys_of, plain, type_name
from titan_core.errors import ConfigError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Inner:
    width_bps: int = key(10, "width", unit="bps", low=1, high=100)


@attrs.frozen
class Outer:
    ratio: float = key(0.5, "a ratio", low=0.0, high=1.0)
    inner: Inner = attrs.field(factory=Inner)
    plain_field: str = "x"


def spec(kind: Any, **meaning: Any) -> KeySpec:
    return KeySpec(("section", "name"), kind, None, Meaning(**meaning))


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (bool, True, True),
        (str, "3", "3"),
        (Decimal, "0.10", Decimal("0.10")),
        (Decimal, 0.1, Decimal("0.1")),
        (Colour, "red", Colour.RED),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (int | None, 4, 4),
        (int | None, None, None),
    ],
)
def test_a_value_of_the_right_type_is_taken(kind: Any, raw: Any, value: Any) -> None:
    converted = convert(spec(kind), raw)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (int, True),
        (int, 3.0),
        (int, "3"),
        (float, "3"),
        (float, True),
        (bool, 1),
        (bool, "false"),
        (str, 3),
        (Decimal, "three"),
        (Decimal, True),
        (Colour, "green"),
        (tuple[int, ...], 3),
        (tuple[int, ...], ["a"]),
        (tuple[int, str], [1]),
        (int | None, "x"),
    ],
)
def test_nothing_is_coerced(kind: Any, raw: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(spec(kind), raw)
    assert type_name(kind) in str(caught.value)
    assert "found" in str(caught.value)


@given(st.integers(-1_000, 1_000), st.integers(-100, 0), st.integers(0, 100))
def test_bounds_are_inclusive(value: int, low: int, high: int) -> None:
    bounded = spec(int, low=low, high=high, unit="bps")
    if low <= value <= high:
        assert convert(bounded, value) == value
    else:
        with pytest.raises(ConfigError, match=f"must lie in {low} … {high} bps, found {value}"):
            convert(bounded, value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_must_be_finite(value: float) -> None:
    with pytest.raises(ConfigError, match="must be finite"):
        convert(spec(float), value)


def test_each_element_of_a_list_is_bounded() -> None:
    with pytest.raises(ConfigError, match="found 9"):
        convert(spec(tuple[int, ...], low=0, high=5), [1, 9])


def test_a_secret_never_appears_in_an_error() -> None:
    for kind, raw in ((int, "hunter2"), (str, 4711)):
        with pytest.raises(ConfigError) as caught:
            convert(spec(kind, secret=True), raw)
        assert str(raw) not in str(caught.value)
    assert spec(str, secret=True).show("hunter2") == "***"
    assert spec(str, secret=True).show("") == ""


def test_bounds_hold_in_code_as_in_files() -> None:
    with pytest.raises(ConfigError, match="width_bps must lie in 1 … 100 bps, found 101"):
        Inner(width_bps=101)


def test_keys_are_walked_with_nested_tables_and_defaults_of_an_instance() -> None:
    found = {spec.name: spec for spec in keys_of(Outer, Outer(inner=Inner(width_bps=20)), ("outer",))}
    assert list(found) == ["outer.ratio", "outer.inner.width_bps", "outer.plain_field"]
    assert found["outer.inner.width_bps"].default == 20
    assert found["outer.inner.width_bps"].meaning.unit == "bps"
    assert found["outer.plain_field"].meaning == Meaning()


def test_a_section_is_built_from_typed_values() -> None:
    values = {("o", "ratio"): 0.25, ("o", "inner", "width_bps"): 7, ("o", "plain_field"): "y"}
    assert build(Outer, values, ("o",)) == Outer(ratio=0.25, inner=Inner(width_bps=7), plain_field="y")


def test_a_key_without_default_is_refused() -> None:
    @attrs.frozen
    class Needy:
        amount: int

    with pytest.raises(ConfigError, match="give every key a default"):
        list(keys_of(Needy))


def test_a_type_that_no_file_can_hold_is_refused() -> None:
    @attrs.frozen
    class Odd:
        thing: complex = 1j

    with pytest.raises(ConfigError, match="no configuration file can hold"):
        list(keys_of(Odd))


def test_a_section_must_be_an_attrs_class() -> None:
    with pytest.raises(ConfigError, match="no attrs class"):
        list(keys_of(int))


def test_bounds_are_written_with_their_unit() -> None:
    assert bounds_text(Meaning(low=1, unit="s")) == "1 … ∞ s"
    assert bounds_text(Meaning(high=0.5)) == "-∞ … 0.5"
    assert bounds_text(Meaning(unit="x")) == "x"


def test_plain_data_is_what_json_holds() -> None:
    assert plain((Colour.RED, Decimal("1.50"), [1, True])) == ["red", "1.50", [1, True]]
