"""A book that can be read is the true one, whatever is lost, doubled, delayed or swapped on the way."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from titan_core.feed.book import CUT_OFF, Levels, Outcome, SequencedBook
from titan_core.tape.columns import DEPTH_LEVELS

Side = dict[int, int]
Message = tuple[int, int, Side, Side]


class Market:
    """A book in truth: its levels after each id, and the messages that tell of them."""

    def __init__(self, draw: random.Random, merged: bool, ids: int = 120) -> None:
        self.states: list[tuple[Side, Side]] = [({}, {})]
        self.messages: list[Message] = []
        bids: Side = {}
        asks: Side = {}
        first, changed = 1, ({}, {})
        for number in range(1, ids + 1):
            bids, asks = dict(bids), dict(asks)
            for _ in range(draw.randrange(1, 4)):
                side = draw.randrange(2)
                price, lots = draw.randrange(1, 30) + 30 * side, draw.choice([0, 0, 1, 2, 3])
                (bids, asks)[side][price] = lots
                changed[side][price] = lots
            bids, asks = ({price: lots for price, lots in each.items() if lots} for each in (bids, asks))
            self.states.append((bids, asks))
            if not merged or draw.random() < 0.4 or number == ids:
                self.messages.append((first, number, *changed))
                first, changed = number + 1, ({}, {})


def levels(side: Side) -> Levels:
    return list(side), list(side.values())


def disturbed(draw: random.Random, messages: list[Message], loss: float, doubling: float, swapping: float) -> list[Message]:
    out = []
    for message in messages:
        if draw.random() >= loss:
            out.append(message)
            if draw.random() < doubling:
                out.append(draw.choice(out[-5:]))
    for place in range(len(out) - 1):
        if draw.random() < swapping:
            out[place], out[place + 1] = out[place + 1], out[place]
    return out


def check(book: SequencedBook, market: Market) -> None:
    if book.readable:
        assert book.last is not None
        assert book.levels() == market.states[book.last]
        bids, bid_lots, asks, ask_lots = book.depth()
        true_bids, true_asks = market.states[book.last]
        best = sorted(true_bids, reverse=True)[:DEPTH_LEVELS]
        lowest = sorted(true_asks)[:DEPTH_LEVELS]
        assert (bids[: len(best)], bid_lots[: len(best)]) == (best, [true_bids[price] for price in best])
        assert (asks[: len(lowest)], ask_lots[: len(lowest)]) == (lowest, [true_asks[price] for price in lowest])
        assert not any(bids[len(best) :]) and not any(asks[len(lowest) :]) and len(bids) == len(ask_lots) == DEPTH_LEVELS
        assert book.best() == (bids[0], asks[0], bid_lots[0], ask_lots[0])
    else:
        for read in (book.levels, book.depth, book.best):
            with pytest.raises(ValueError, match="lost its sequence"):
                read()


SEEDS = st.integers(0, 2**32)
SHARES = st.sampled_from([0.0, 0.01, 0.1, 0.4])


@given(SEEDS, SHARES, SHARES, SHARES, st.booleans())
def test_a_book_joined_to_snapshots_by_rest_is_never_readable_while_gapped(seed: int, loss: float, doubling: float, swapping: float, merged: bool) -> None:
    draw = random.Random(seed)
    market = Market(draw, merged)
    book = SequencedBook(joins=True)
    newest = 0
    for first, last, bids, asks in disturbed(draw, market.messages, loss, doubling, swapping):
        newest = max(newest, last)
        known = book.last
        outcome = book.delta(first, last, levels(bids), levels(asks))
        assert (outcome is Outcome.APPLIED) <= book.readable
        assert (outcome is Outcome.BROKEN) == (known is not None and first > known + 1)
        check(book, market)
        if not book.readable and draw.random() < 0.3:  # a snapshot that is older, as new as or newer than the stream
            update_id = min(len(market.states) - 1, max(0, newest + draw.randrange(-12, 5)))
            book.snapshot(update_id, *(levels(side) for side in market.states[update_id]))
            check(book, market)


@given(SEEDS, SHARES, SHARES, SHARES)
def test_a_book_with_snapshots_in_the_stream_is_never_readable_while_gapped(seed: int, loss: float, doubling: float, swapping: float) -> None:
    draw = random.Random(seed)
    market = Market(draw, merged=False)
    book = SequencedBook(joins=False)
    for first, last, bids, asks in disturbed(draw, market.messages, loss, doubling, swapping):
        if draw.random() < 0.1:
            assert book.snapshot(last, *(levels(side) for side in market.states[last])) is Outcome.APPLIED
        else:
            book.delta(first, last, levels(bids), levels(asks))
        check(book, market)


@given(SEEDS, st.booleans())
def test_without_any_loss_a_book_is_readable_from_its_snapshot_on(seed: int, merged: bool) -> None:
    draw = random.Random(seed)
    market = Market(draw, merged)
    at = draw.randrange(1, len(market.messages) - 1)
    update_id = market.messages[at][1] - draw.randrange(2)
    book = SequencedBook(joins=True)
    for number, (first, last, bids, asks) in enumerate(market.messages):
        book.delta(first, last, levels(bids), levels(asks))
        if number == at:
            book.snapshot(update_id, *(levels(side) for side in market.states[update_id]))
        assert book.readable == (number > at or (number == at and last > update_id))
        check(book, market)


def test_a_snapshot_older_than_what_was_kept_is_not_believed() -> None:
    book = SequencedBook(joins=True)
    assert book.delta(10, 12, ([1], [5]), ([2], [5])) is Outcome.WAITING
    assert book.snapshot(8, ([1], [9]), ([2], [9])) is Outcome.UNFIT and not book.readable
    assert book.delta(13, 13, ([1], [6]), ([], [])) is Outcome.WAITING, "what was kept stays"
    assert book.snapshot(9, ([1], [9]), ([2], [9])) is Outcome.APPLIED
    assert book.levels() == ({1: 6}, {2: 5})


def test_a_snapshot_for_a_book_in_step_changes_nothing() -> None:
    book = SequencedBook(joins=True)
    book.snapshot(9, ([1], [9]), ([2], [9]))
    book.delta(10, 12, ([1], [5]), ([], []))
    assert book.snapshot(11, ([1], [1]), ([2], [1])) is Outcome.REPEATED
    assert book.levels() == ({1: 5}, {2: 9})


# -- snapshots that are cut off -----------------------------------------------------------------------------------------
def deep(best: int, step: int) -> Levels:
    return [best + step * k for k in range(CUT_OFF)], [1] * CUT_OFF


def joined() -> SequencedBook:
    """A book of 100 levels a side, bids from 1000 down to 901, asks from 1001 up to 1100, in step as of id 10."""
    book = SequencedBook(joins=True)
    book.snapshot(9, deep(1000, -1), deep(1001, 1))
    assert book.delta(10, 10, ([], []), ([], [])) is Outcome.APPLIED
    return book


def test_a_book_whose_best_levels_reach_beyond_its_snapshot_is_worn_until_another_comes() -> None:
    book = joined()
    assert not book.wear(901, 1100)
    book.delta(11, 11, ([1000], [0]), ([], []))
    for bid, ask in ((900, 1100), (901, 1101), (0, 1100), (901, 0)):
        assert book.wear(bid, ask) and book.worn and book.readable
    assert book.delta(12, 13, ([950], [7]), ([], [])) is Outcome.APPLIED
    assert book.delta(14, 14, ([800], [7]), ([], [])) is Outcome.APPLIED
    assert book.snapshot(13, ([940, 800], [3, 3]), ([990], [4])) is Outcome.APPLIED
    assert not book.worn and book.levels() == ({940: 3, 800: 7}, {990: 4}), "what came after the snapshot is on top of it, what came before is in it"
    assert not book.wear(0, 0), "a side with few levels was not cut off"


def test_a_snapshot_that_ends_before_what_was_kept_leaves_a_worn_book_as_it_was() -> None:
    book = joined()
    book.wear(900, 1100)
    book.delta(11, 12, ([950], [7]), ([], []))
    before = book.levels()
    assert book.snapshot(9, deep(500, -1), deep(501, 1)) is Outcome.UNFIT
    assert book.readable and book.worn and book.levels() == before


def test_a_worn_book_with_a_newer_snapshot_waits_for_the_stream() -> None:
    book = joined()
    book.wear(900, 1100)
    assert book.snapshot(20, deep(500, -1), deep(501, 1)) is Outcome.WAITING and not book.readable
    assert book.delta(11, 20, ([1], [1]), ([], [])) is Outcome.WAITING
    assert book.delta(21, 21, ([499], [0]), ([], [])) is Outcome.APPLIED
    assert book.depth()[0][:2] == [500, 498]


def test_a_price_that_comes_back_makes_a_worn_book_good_again() -> None:
    book = joined()
    assert book.wear(900, 1100) and not book.wear(901, 1100) and not book.worn
    assert book.snapshot(10, ([1], [1]), ([2], [1])) is Outcome.REPEATED


def test_a_worn_book_that_loses_its_sequence_is_broken() -> None:
    book = joined()
    book.wear(900, 1100)
    assert book.delta(13, 13, ([1], [1]), ([], [])) is Outcome.BROKEN and not book.readable and not book.worn
