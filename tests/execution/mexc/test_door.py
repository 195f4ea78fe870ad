"""What MEXC answers is taken for what it says, and for nothing where it says nothing."""

import json
import random

import pytest

from titan_core.execution.mexc.door import read
from titan_core.execution.outcomes import SUCCESS, Outcome, known_codes, of_code

BODY = '{"success":true,"code":0,"data":[]}'
LISTED = {
    0: Outcome.ACCEPTED, 603: Outcome.DUPLICATE, 2005: Outcome.NO_MARGIN, 2008: Outcome.NOTHING_TO_REDUCE, 2009: Outcome.NOTHING_TO_REDUCE,
    2040: Outcome.NOT_FOUND, 2041: Outcome.NOT_FOUND, 5002: Outcome.NOT_FOUND, 510: Outcome.RATE_LIMITED, 2037: Outcome.RATE_LIMITED,
    604: Outcome.MAINTENANCE, 801: Outcome.MAINTENANCE, 700003: Outcome.CLOCK, 513: Outcome.CLOCK, 704: Outcome.NOT_ALLOWED, 402: Outcome.NOT_ALLOWED,
    2011: Outcome.REJECTED, 2036: Outcome.REJECTED, 5004: Outcome.REJECTED, 2019: Outcome.POSITION_MODE, 500: Outcome.UNKNOWN, 501: Outcome.UNKNOWN,
}  # fmt: skip


def refusal(code):
    return json.dumps({"success": code == 0, "code": code, "message": "so it is"})


@pytest.mark.parametrize(("code", "outcome"), LISTED.items())
def test_a_listed_code_means_what_the_venue_s_list_says(code, outcome):
    reply = read(200, refusal(code))
    assert (reply.outcome, reply.code, reply.message) == (outcome, code, "so it is")


def test_every_known_code_is_read_as_its_outcome():
    for code in known_codes("mexc"):
        reply = read(200, refusal(code))
        assert reply.outcome is of_code("mexc", code) or (reply.outcome is Outcome.UNKNOWN and of_code("mexc", code) in SUCCESS)


def test_two_hundred_random_codes_are_unknown_and_crash_nothing():
    drawn = random.Random(1)
    codes = [code for code in (drawn.randrange(-1_000, 1_000_000) for _ in range(220)) if code not in known_codes("mexc")][:200]
    assert len(codes) == 200 and {read(200, refusal(code)).outcome for code in codes} == {Outcome.UNKNOWN}


@pytest.mark.parametrize("size", range(len(BODY)))
def test_a_body_that_is_cut_short_is_of_unknown_outcome(size):
    assert read(200, BODY[:size]).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "0",
        "<html>",
        '{"code":"0"}',
        '{"code":true}',
        '{"success":true}',
        '{"success":false,"code":0,"data":[]}',
        '{"code":0,"data":[]}',
        "NaN",
    ],
)
def test_a_body_that_is_no_answer_is_of_unknown_outcome(body):
    assert read(200, body).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("status", "outcome"), [(403, Outcome.BANNED), (429, Outcome.BANNED), (502, Outcome.UNKNOWN), (401, Outcome.NOT_ALLOWED)])
def test_a_page_says_what_its_status_says(status, outcome):
    assert read(status, "<html><title>nginx</title></html>").outcome is outcome


def test_a_success_carries_its_data_with_exact_numbers():
    reply = read(200, '{"success":true,"code":0,"data":{"fee":0.00060288}}')
    assert reply.outcome is Outcome.ACCEPTED and str(reply.result["fee"]) == "0.00060288"
