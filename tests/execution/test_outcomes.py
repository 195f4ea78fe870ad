"""Codes mean what the tables say, and whatever is not listed is of unknown outcome."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.execution.outcomes import FINAL_REFUSALS, REFUSED_UNSEEN, SUCCESS, Outcome, known_codes, of_code, of_status


@pytest.mark.parametrize(
    ("family", "code", "outcome"),
    [
        ("bybit", 0, Outcome.ACCEPTED),
        ("bybit", 110072, Outcome.DUPLICATE),
        ("bybit", 110043, Outcome.UNCHANGED),
        ("bybit", 110001, Outcome.NOT_FOUND),
        ("bybit", 110017, Outcome.NOTHING_TO_REDUCE),
        ("bybit", 110094, Outcome.REJECTED),
        ("bybit", 170140, Outcome.REJECTED),
        ("bybit", 110007, Outcome.NO_MARGIN),
        ("bybit", 110025, Outcome.POSITION_MODE),
        ("bybit", 10002, Outcome.CLOCK),
        ("bybit", 10006, Outcome.RATE_LIMITED),
        ("bybit", 110063, Outcome.SETTLING),
        ("bybit", 10016, Outcome.UNKNOWN),
        ("bybit", 170146, Outcome.UNKNOWN),
        ("mexc", 0, Outcome.ACCEPTED),
        ("mexc", 2040, Outcome.NOT_FOUND),
        ("mexc", 2009, Outcome.NOTHING_TO_REDUCE),
        ("mexc", 2005, Outcome.NO_MARGIN),
        ("mexc", 604, Outcome.MAINTENANCE),
        ("mexc", 510, Outcome.RATE_LIMITED),
        ("mexc", 700003, Outcome.CLOCK),
        ("mexc", 500, Outcome.UNKNOWN),
    ],
)
def test_the_failure_table(family, code, outcome):
    assert of_code(family, code) is outcome


@given(st.sampled_from(["bybit", "mexc"]), st.one_of(st.none(), st.integers()))
def test_what_is_not_listed_is_unknown(family, code):
    assert of_code(family, code) is Outcome.UNKNOWN or code in known_codes(family)


@given(st.integers(100, 599))
def test_no_http_status_alone_is_a_success(status):
    assert of_status(status) not in SUCCESS | FINAL_REFUSALS - {Outcome.NOT_ALLOWED}


def test_an_outcome_is_a_success_or_a_refusal_or_neither():
    assert not SUCCESS & FINAL_REFUSALS and not SUCCESS & REFUSED_UNSEEN and not FINAL_REFUSALS & REFUSED_UNSEEN
    assert Outcome.UNKNOWN not in SUCCESS | FINAL_REFUSALS | REFUSED_UNSEEN
