"""The choice of a venue: capability, health, fee, then price; the same facts give the same venue."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from titan_core.errors import UsageError
from titan_core.execution.choice import Candidate, Choice, Health, Step, choose
from titan_core.model.enums import Side
from titan_core.model.ids import VenueId

BYBIT = Candidate(venue=VenueId("bybit-linear"), maker_fee_ppm=200, taker_fee_ppm=550, bid=6_000_000_000_000, ask=6_000_010_000_000)
MEXC = evolve(BYBIT, venue=VenueId("mexc-contract"), maker_fee_ppm=100, taker_fee_ppm=400)


@st.composite
def candidates(draw, least=1):
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=least, max_size=6))
    found = []
    for name in names:
        bid = draw(st.integers(0, 3))
        found.append(
            Candidate(
                venue=VenueId(name),
                cannot=draw(st.sampled_from(["", "", "no words for it"])),
                health=draw(st.sampled_from(Health)),
                maker_fee_ppm=draw(st.integers(-1, 2)),
                taker_fee_ppm=draw(st.integers(0, 2)),
                bid=bid,
                ask=draw(st.one_of(st.just(0), st.integers(max(bid, 1), 5))),
            )
        )
    return found


sides, making = st.sampled_from(Side), st.booleans()


def fee(candidate, makes):
    return candidate.maker_fee_ppm if makes else candidate.taker_fee_ppm


def paid(candidate, side, makes):
    """What a coin costs at once, the less the better; a venue without a price costs more than any."""
    at = {(Side.BUY, False): candidate.ask, (Side.BUY, True): candidate.bid, (Side.SELL, False): candidate.bid, (Side.SELL, True): candidate.ask}[side, makes]
    return side.sign * at if at else 1 << 90


def rank(candidate, side, makes):
    spread = candidate.ask - candidate.bid if candidate.ask and candidate.bid else 1 << 90
    return (bool(candidate.cannot), candidate.health, fee(candidate, makes), paid(candidate, side, makes), spread, candidate.venue)


@given(candidates(), sides, making)
def test_the_chosen_one_is_the_first_in_the_order_of_the_steps(given_, side, makes):
    able = [each for each in given_ if not each.cannot and each.health is not Health.AWAY]
    chosen = choose(side, given_, makes=makes)
    assert chosen.venue == (min(able, key=lambda each: rank(each, side, makes)).venue if able else None)


@given(candidates(), sides, making, st.randoms(use_true_random=False))
def test_the_order_in_which_they_are_named_does_not_matter(given_, side, makes, random):
    shuffled = list(given_)
    random.shuffle(shuffled)
    assert choose(side, shuffled, makes=makes) == choose(side, given_, makes=makes)


@given(candidates(), sides, making)
def test_why_is_said_of_every_venue(given_, side, makes):
    chosen = choose(side, given_, makes=makes)
    assert {venue for venue, _ in chosen.passed_over} | ({chosen.venue} - {None}) == {each.venue for each in given_}
    assert all(reason for _, reason in chosen.passed_over) and all(venue in chosen.why for venue, _ in chosen.passed_over)


@given(candidates(least=2), sides, making)
def test_a_venue_that_was_not_chosen_does_not_change_the_choice_by_going_away(given_, side, makes):
    chosen = choose(side, given_, makes=makes)
    for other in given_:
        if other.venue != chosen.venue:
            left = [each for each in given_ if each is not other]
            assert choose(side, left, makes=makes).venue == chosen.venue


@given(candidates(least=2), sides, making)
def test_one_that_becomes_better_is_not_left_for_that(given_, side, makes):
    chosen = choose(side, given_, makes=makes)
    for each in given_:
        if each.venue == chosen.venue:
            better = evolve(each, health=Health.WELL, maker_fee_ppm=each.maker_fee_ppm - 1, taker_fee_ppm=each.taker_fee_ppm - 1)
            assert choose(side, [better if other is each else other for other in given_], makes=makes).venue == chosen.venue


@pytest.mark.parametrize(
    ("bybit", "mexc", "venue", "step"),
    [
        ({}, {}, "mexc-contract", Step.FEE),
        ({}, {"cannot": "takes no orders over its API"}, "bybit-linear", Step.CAPABILITY),
        ({}, {"health": Health.SHAKY}, "bybit-linear", Step.HEALTH),
        ({"health": Health.AWAY}, {"health": Health.SHAKY}, "mexc-contract", Step.HEALTH),
        ({"taker_fee_ppm": 400, "ask": 6_000_005_000_000}, {}, "bybit-linear", Step.PRICE),
        ({"taker_fee_ppm": 400, "bid": 0, "ask": 0}, {}, "mexc-contract", Step.PRICE),
        ({"taker_fee_ppm": 400, "bid": 6_000_001_000_000}, {}, "bybit-linear", Step.SPREAD),
        ({"taker_fee_ppm": 400}, {}, "bybit-linear", Step.NAME),
        ({"health": Health.AWAY, "health_note": "banned"}, {"cannot": "closed"}, None, Step.HEALTH),
    ],
)
def test_what_decides_is_told(bybit, mexc, venue, step):
    chosen = choose(Side.BUY, [evolve(BYBIT, **bybit), evolve(MEXC, **mexc)])
    assert (chosen.venue, chosen.decided_by) == (venue, step)


def test_no_venue_is_said_with_the_reason_of_each():
    chosen = choose(Side.SELL, [evolve(BYBIT, health=Health.AWAY, health_note="banned"), evolve(MEXC, cannot="closed")])
    assert chosen.why == "no venue can take it: bybit-linear: banned; mexc-contract: capability: closed"
    assert choose(Side.BUY, []) == Choice(None, Step.NONE, "no venue trades this")


def test_one_venue_alone_needs_no_reason():
    assert choose(Side.BUY, [BYBIT]) == Choice(BYBIT.venue, Step.NONE, "bybit-linear, the only one")


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="each venue may stand for choice once"):
        choose(Side.BUY, [BYBIT, BYBIT])
    with pytest.raises(UsageError, match="crossed"):
        evolve(BYBIT, bid=BYBIT.ask + 1)
