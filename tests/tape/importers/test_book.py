import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.tape.columns import DEPTH_LEVELS
from titan_core.tape.importers.book import AnyBook, Book, CompiledBook, LevelRuns

kernels = pytest.importorskip("titan_core.tape.importers.kernels", reason="numba is absent")

sizes = st.integers(0, 3)
level = st.tuples(st.integers(1, 60), sizes)
message = st.tuples(st.lists(level, max_size=12), st.lists(level, max_size=12))
Message = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def runs_of(messages: list[Message]) -> LevelRuns:
    flat = [one for bids, asks in messages for one in [*bids, *asks]]
    ends = np.cumsum([0, *(size for bids, asks in messages for size in (len(bids), len(asks)))])
    table = np.array(flat, np.int64).reshape(-1, 2)
    return LevelRuns(ends[0:-1:2], ends[1::2], ends[2::2], table[:, 0].copy(), table[:, 1].copy())


def expected_rows(first: Message, messages: list[Message]) -> list[list[int]]:
    """The book as two dictionaries, sorted anew after each message."""
    bids, asks = dict(first[0]), dict(first[1])
    rows = []
    for changed_bids, changed_asks in messages:
        bids |= dict(changed_bids)
        asks |= dict(changed_asks)
        row: list[int] = []
        for side, sign in ((bids, 1), (asks, -1)):
            best = sorted((sign * price for price, size in side.items() if size), reverse=True)[:DEPTH_LEVELS]
            padding = [0] * (DEPTH_LEVELS - len(best))
            row += best + padding + [side[sign * price] for price in best] + padding
        rows.append(row)
    return rows


def columns(levels: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    return [price for price, _ in levels], [size for _, size in levels]


@pytest.mark.parametrize("make", [Book, lambda: CompiledBook(kernels)], ids=["plain", "compiled"])
@settings(max_examples=60)
@given(first=message, messages=st.lists(message, max_size=30), cut=st.integers(0, 30))
def test_a_book_is_what_sorting_all_levels_anew_gives(make: type[AnyBook], first: Message, messages: list[Message], cut: int) -> None:
    book, runs, cut = make(), runs_of(messages), min(cut, len(messages))
    book.load(columns(first[0]), columns(first[1]))
    expected = expected_rows(first, messages)
    rows = np.concatenate([book.apply(runs, 0, cut), book.apply(runs, cut, len(messages))])
    assert rows.tolist() == expected
    if messages:
        assert book.row().tolist() == expected[-1]


def test_a_compiled_book_grows_and_forgets_emptied_levels() -> None:
    book, plain = CompiledBook(kernels), Book()
    rng = np.random.default_rng(3)
    for _ in range(12):
        prices = rng.permutation(30_000)[:4_000] + 1
        messages: list[Message] = [([(int(p), int(rng.integers(0, 3))) for p in prices[:2_000]], [(int(p) + 40_000, 1) for p in prices[2_000:]])]
        runs = runs_of(messages)
        assert book.apply(runs, 0, 1).tolist() == plain.apply(runs, 0, 1).tolist()
    everything: Message = ([(price, 0) for price in range(1, 30_000)], [])
    assert book.apply(runs_of([everything]), 0, 1).tolist() == plain.apply(runs_of([everything]), 0, 1).tolist()


def test_best_of_an_empty_side_is_zero() -> None:
    book = Book()
    assert book.best() == (0, 0, 0, 0)
    book.update(([5], [2]), ([], []))
    assert book.best() == (5, 2, 0, 0)
