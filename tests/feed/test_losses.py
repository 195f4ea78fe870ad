"""No decision is taken on a book that lacks a message, or that reaches beyond what is known of it; dead topics are asked for again."""

import pytest

from benchmarks import _feed_bars as bars
from titan_core.feed.book import Levels, Outcome, SequencedBook
from titan_core.feed.events import FeedEventKind


@pytest.mark.parametrize("venue", bars.PATHS)
def test_with_book_messages_lost_every_row_that_is_vouched_for_is_the_true_book(venue: str) -> None:
    true, _, _ = bars.books(venue, 0.0, 90, seed=3)
    found, bench, doubted_s = bars.books(venue, 0.05, 90, seed=3)
    assert sum(rule.hits for rule in bench.box.faults.rules) > 3 and bench.told(FeedEventKind.SYNCED) and doubted_s > 0
    assert found.gapped == 0, "no row was handed on while the feed said that its book is not in step"
    assert len(found.books) > 100 and len(true.books.keys() & found.books.keys()) > 0.9 * len(found.books)
    assert not [event_ns for event_ns, values in found.books.items() if true.books.get(event_ns, values) != values]


def test_the_bar_would_notice_a_book_that_takes_what_does_not_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    delta = SequencedBook.delta

    def trusting(self: SequencedBook, first: int, last: int, bids: Levels, asks: Levels) -> Outcome:
        return delta(self, min(first, (self.last or first) + 1), last, bids, asks)

    monkeypatch.setattr(SequencedBook, "delta", trusting)
    wrong, said = bars.bar_12(seed=3, seconds=60, share=0.05)
    assert wrong >= 5, said


def test_a_book_whose_price_has_wandered_off_its_snapshot_is_in_doubt_until_it_has_another() -> None:
    found, bench, _ = bars.books("binance-spot", 0.0, 95, seed=1)
    assert found.worn and [event for event in bench.told(FeedEventKind.BROKEN) if "beyond its snapshot" in event.text]
    assert all(all(bids) and all(asks) for bids, _, asks, _ in found.books.values()), "rows that are vouched for have all their levels"
    assert not bench.feeds.faults()


@pytest.mark.parametrize("topics", [2, 3])
def test_muted_topics_are_asked_for_again_in_time(topics: int) -> None:
    bench, asked = bars.muted("binance-spot", bars.PATHS["binance-spot"][topics], seed=7)
    found = bench.told(FeedEventKind.SILENT)[0]
    assert 0 < (found.ts_ns - bench.box.start_ns) / 1e9 - bars.MUTED_S < 15 and asked >= 2
