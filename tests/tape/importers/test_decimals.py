import re
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.tape.importers.decimals import (
    PRICE_DECIMALS,
    SIZE_DECIMALS,
    Trouble,
    is_time,
    read_joined,
    read_number,
    read_numbers,
    seconds_to_ns,
    times_to_ns,
)
from titan_core.tape.importers.framing import is_stamp

plain = st.from_regex(r"-?[0-9]{1,8}(\.[0-9]{1,8})?", fullmatch=True)
anything = st.one_of(plain, st.from_regex(r"-?[0-9]{1,9}(\.[0-9]{1,12})?([eE][+-]?[0-9]{1,2})?", fullmatch=True), st.text("0123456789.-,_ x١", max_size=12))


@given(st.lists(plain, min_size=1, max_size=40))
def test_plain_decimals_are_read_exactly_and_all_at_once(tokens: list[str]) -> None:
    joined = read_joined(",".join(tokens).encode(), len(tokens))
    assert joined is not None
    for scale in (8, 10):
        values, trouble = joined.fine(scale)
        assert values.tolist() == [int(Decimal(token).scaleb(scale)) for token in tokens]
        assert not trouble.any()


@settings(max_examples=200)
@given(st.lists(anything, min_size=1, max_size=10))
def test_every_token_is_read_exactly_or_marked(tokens: list[str]) -> None:
    numbers = read_numbers(tokens)
    for scale in (PRICE_DECIMALS, SIZE_DECIMALS):
        values, trouble = numbers.fine(scale)
        for token, value, problem in zip(tokens, values.tolist(), trouble.tolist(), strict=True):
            truth = fraction(token)
            if problem == Trouble.UNREADABLE:
                assert truth is None
                continue
            assert truth is not None
            exact, least = truth * 10**scale, 1 if truth >= 0 else -1
            if problem == Trouble.NONE:
                assert value == exact
            elif problem == Trouble.TOO_FINE:
                assert value != exact and 0 <= (exact - value) * least < 1
            else:
                assert abs(exact) > 2**63 - 1


def fraction(token: str) -> Fraction | None:
    """Read a number in the slow and obvious way."""
    match = re.fullmatch(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]+))?", token.strip(), re.ASCII)
    if match is None or not (match[2] or match[3]):
        return None
    value = Fraction(int(match[2] + (match[3] or "")), 10 ** len(match[3] or "")) * Fraction(10) ** int(match[4] or 0)
    return -value if match[1] == "-" else value


@given(st.lists(anything, min_size=1, max_size=8))
def test_a_batch_says_of_each_token_what_it_says_of_it_alone(tokens: list[str]) -> None:
    batch, _ = read_numbers(tokens).fine(10)
    assert batch.tolist() == [int(read_numbers([token]).fine(10)[0][0]) for token in tokens]


def test_bytes_and_text_are_the_same() -> None:
    assert read_numbers([b"1.5", b"2"]).fine(8)[0].tolist() == read_numbers(["1.5", "2"]).fine(8)[0].tolist() == [150_000_000, 200_000_000]


def test_no_token_is_no_number() -> None:
    assert len(read_numbers([]).fine(8)[0]) == 0 and read_joined(b"", 0) is None


@pytest.mark.parametrize("text", [b"1..2", b"1.2.3", b"--1", b"1-", b"", b"1,,2", b".", b"-", b"1e5", b"1 2", b"1234567890123456789"])
def test_what_is_not_plain_is_not_read_fast(text: bytes) -> None:
    assert read_joined(text, text.count(b",") + 1) is None


@pytest.mark.parametrize("token", ["nan", "inf", "", " ", "abc", "1_000", "١", "0x10"])
def test_what_is_no_number_is_unreadable(token: str) -> None:
    assert read_number(token) is None and read_numbers([token]).fine(8)[1].tolist() == [Trouble.UNREADABLE]


def test_units_of_time_are_told_apart_by_size() -> None:
    moment = 1_723_161_253_937_085_768
    values = np.array([moment, moment // 10**3, moment // 10**6, moment // 10**9], np.int64)
    assert times_to_ns(values).tolist() == [moment, moment // 10**3 * 10**3, moment // 10**6 * 10**6, moment // 10**9 * 10**9]


@pytest.mark.parametrize(
    ("text", "ns"),
    [(b"1633998512.0633569", 1633998512063356900), (b"1633998512", 1633998512 * 10**9), (b"1.5", 1_500_000_000), (b"1.1234567899", 1_123_456_789)],
)
def test_decimal_seconds_are_exact(text: bytes, ns: int) -> None:
    assert seconds_to_ns(text) == ns


@given(st.one_of(st.integers(1, 10**20), st.sampled_from([10**9, 5 * 10**9, 10**12, 5 * 10**12, 10**15, 5 * 10**15, 10**18, 5 * 10**18]).map(int)))
def test_the_three_forms_of_telling_a_time_agree(value: int) -> None:
    for number in (value, value - 1, value + 1):
        converted = int(times_to_ns(np.array([min(number, 2**63 - 1)], np.int64))[0])
        assert is_time(number) == is_stamp(str(number).encode()) == (converted > 0)
        assert not is_stamp(b"0" + str(number).encode()) and not is_stamp(b"-" + str(number).encode())
