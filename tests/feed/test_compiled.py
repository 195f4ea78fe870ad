"""Frames read in compiled code make the rows, faults and books that the plain way makes of them, whatever they hold."""

import json
import random
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tests.feed.sinks import Collector
from titan_core.feed import book
from titan_core.feed.book import PlainSides
from titan_core.feed.codecs.binance_spot import BinanceSpot
from titan_core.feed.port import Topic
from titan_core.feed.venues import CODECS, compiled_codecs
from titan_core.model.enums import StreamKind
from titan_core.model.instrument import Instrument
from titan_core.testing.chaos import SPOT

compiled = pytest.importorskip("titan_core.feed.compiled", reason="numba is absent")
QUOTE, TRADE, DEPTH = StreamKind.QUOTE, StreamKind.TRADE, StreamKind.DEPTH
TOPICS = {"bookTicker": {QUOTE}, "trade": {TRADE}, "aggTrade": {TRADE}, "depth@100ms": {QUOTE, DEPTH}}
COIN = evolve(SPOT, symbol="BTCUSDT", tick_size=Decimal("0.05"), lot_size=Decimal("0.0002"))
SYMBOL = "btcusdt"
CODEC = partial(BinanceSpot, compiled=compiled)


class Pair:
    """The plain codec and the compiled one, fed alike."""

    def __init__(self, instrument: Instrument = COIN) -> None:
        self.sinks = Collector(), Collector()
        self.codecs = [make(sink) for make, sink in zip((BinanceSpot, CODEC), self.sinks, strict=True)]
        for codec in self.codecs:
            for name, kinds in TOPICS.items():
                codec.add(Topic(f"{SYMBOL}@{name}", instrument, frozenset(kinds)))

    def feed(self, frame: bytes) -> None:
        plain, fast = (codec.feed(frame) for codec in self.codecs)
        assert plain == fast

    def snapshot(self, body: bytes) -> None:
        plain, fast = (codec.snapshot(f"{SYMBOL}@depth@100ms", body) for codec in self.codecs)
        assert plain == fast

    def agree(self) -> None:
        plain, fast = self.sinks
        assert fast.rows == plain.rows and fast.ids == plain.ids
        assert (fast.gaps, fast.resyncs) == (plain.gaps, plain.resyncs)
        first, second = (codec.log.faults for codec in self.codecs)
        assert first == second
        books = [codec.books[f"{SYMBOL}@depth@100ms"].book for codec in self.codecs]
        assert len({(each.readable, each.last, each.worn) for each in books}) == 1
        if books[0].readable:
            assert books[0].levels() == books[1].levels() and books[0].depth() == books[1].depth() and books[0].best() == books[1].best()


def wrapped(name: str, members: dict[str, Any]) -> bytes:
    return json.dumps({"stream": f"{SYMBOL}@{name}", "data": members}, separators=(",", ":")).encode()


def levels(side: list[tuple[str, str]]) -> list[list[str]]:
    return [list(level) for level in side]


def depth(first: int, last: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> bytes:
    return wrapped(
        "depth@100ms", {"e": "depthUpdate", "E": 1_723_161_255_208 + last, "s": "BTCUSDT", "U": first, "u": last, "b": levels(bids), "a": levels(asks)}
    )


USUAL_PRICES = st.integers(1, 10**7).map(lambda ticks: f"{Decimal(ticks) * COIN.tick_size:.8f}")
USUAL_SIZES = st.integers(0, 10**8).map(lambda lots: f"{Decimal(lots) * COIN.lot_size:.8f}")
STRANGE = st.sampled_from(
    [
        "",
        "0",
        "00.5",
        ".5",
        "5.",
        ".",
        "1e3",
        "-1",
        "nan",
        "inf",
        "1.0001",
        "0.00030000",
        "0.00010000",
        "0.0003",
        "999999999999",
        "1" * 19,
        "1" * 40,
        "0.1" + "0" * 20,
    ]
    + ["53687091.15", "53687091.20", "429496.7294", "429496.7296", "429496.7295", " 1", "1 ", "1,0", "\u0661", "1\\u0030"]
)
PRICES, SIZES = st.one_of(USUAL_PRICES, USUAL_PRICES, STRANGE), st.one_of(USUAL_SIZES, USUAL_SIZES, STRANGE)
NUMBERS = st.one_of(st.integers(0, 50), st.integers(-2, 2**63 + 2), st.integers(0, 2**62))
TICKERS = st.builds(
    lambda u, b, q, a, r: wrapped("bookTicker", {"u": u, "s": "BTCUSDT", "b": b, "B": q, "a": a, "A": r}), NUMBERS, PRICES, SIZES, PRICES, SIZES
)
TRADES = st.builds(
    lambda t, p, q, sent, m, ignored: wrapped("trade", {"e": "trade", "E": sent, "s": "BTCUSDT", "t": t, "p": p, "q": q, "T": sent, "m": m, "M": ignored}),
    st.integers(0, 6), PRICES, SIZES, NUMBERS, st.booleans(), st.sampled_from([True, True, False, None, 1]),
)  # fmt: skip
AGG_TRADES = st.builds(
    lambda a, p, q, sent, m: wrapped(
        "aggTrade", {"e": "aggTrade", "E": sent, "s": "BTCUSDT", "a": a, "p": p, "q": q, "f": 1, "l": 2, "T": sent, "m": m, "M": True}
    ),
    st.integers(0, 6), PRICES, SIZES, NUMBERS, st.booleans(),
)  # fmt: skip
SIDES = st.lists(st.tuples(PRICES, SIZES), max_size=4)
DEPTHS = st.builds(lambda first, more, bids, asks: depth(first, first + more, bids, asks), st.integers(1, 6), st.integers(-1, 2), SIDES, SIDES)
FRAMES = st.one_of(TICKERS, TRADES, AGG_TRADES, DEPTHS)
START = json.dumps({"lastUpdateId": 0, "bids": [["10.00", "1"], ["9.95", "2"]], "asks": [["10.05", "1"], ["10.10", "2"]]}).encode()


@given(st.lists(FRAMES, max_size=12))
def test_frames_of_any_content_make_what_the_plain_way_makes_of_them(frames: list[bytes]) -> None:
    pair = Pair()
    pair.snapshot(START)
    for frame in frames:
        pair.feed(frame)
        pair.agree()


@given(FRAMES, st.data())
def test_frames_that_are_cut_or_changed_make_what_the_plain_way_makes_of_them(frame: bytes, data: st.DataObject) -> None:
    pair = Pair()
    pair.snapshot(START)
    pair.feed(depth(1, 1, [], []))
    at = data.draw(st.integers(0, len(frame) - 1))
    cut, put = (
        data.draw(st.integers(0, 3)),
        data.draw(st.one_of(st.binary(max_size=3), st.sampled_from([b'"', b",", b"]", b"}", b"0", b" ", b"\0", b"\\u0030"]))),
    )
    pair.feed(frame[:at])
    pair.feed(frame[:at] + put + frame[at + cut :])
    pair.feed(frame + put)
    pair.agree()


@given(st.integers(0, 2**32))
def test_a_book_under_losses_and_repetitions_is_the_plain_one(seed: int) -> None:
    draw, pair = random.Random(seed), Pair()

    middle = 0

    def side(start: int) -> list[tuple[str, str]]:
        return [
            (f"{Decimal(start + middle + draw.randrange(-30, 30)) * COIN.tick_size:.8f}", draw.choice(["0.00000000", "1.5", "0.0004", "0.00030000"]))
            for _ in range(draw.randrange(12))
        ]

    last = 0
    with patch.object(book, "CUT_OFF", 3):
        pair.snapshot(START)
        for _ in range(40):
            middle += draw.choice([0, 0, 0, 40, -40])
            first = last + draw.choice([1, 1, 1, 1, 1, 1, 0, -2, 3])
            last = max(last, first + draw.randrange(3))
            pair.feed(depth(max(first, 0), last, side(400), side(440)))
            kept = pair.codecs[0].books[f"{SYMBOL}@depth@100ms"].book
            if (kept.worn or not kept.readable) and draw.random() < 0.5:
                pair.snapshot(json.dumps({"lastUpdateId": last - draw.randrange(3), "bids": levels(side(400)), "asks": levels(side(440))}).encode())
            pair.agree()


def room(name: str, members: str) -> Any:
    return compiled.room_for(f'{{"stream":"{SYMBOL}@{name}'.encode(), members, COIN)


def test_usual_frames_are_read_without_the_plain_way() -> None:
    ticker = wrapped("bookTicker", {"u": 5, "s": "BTCUSDT", "b": "10.05000000", "B": "1.00020000", "a": "10.10000000", "A": "0.00020000"})
    assert compiled.ticker(ticker, room("bookTicker", compiled.TICKER)) == (201, 202, 5001, 1)
    rest = {"p": "10.05000000", "q": "1.00020000", "T": 8, "m": True, "M": True}
    trade = wrapped("trade", {"e": "trade", "E": 9, "s": "BTCUSDT", "t": 7} | rest)
    assert compiled.trade(trade, room("trade", compiled.TRADE)) == (7, 8, 201, -5001)
    rest = {"p": "10.05", "q": "1.0002", "f": 1, "l": 2, "T": 8, "m": False, "M": True}
    trade = wrapped("aggTrade", {"e": "aggTrade", "E": 9, "s": "BTCUSDT", "a": 7} | rest)
    assert compiled.agg_trade(trade, room("aggTrade", compiled.AGG_TRADE)) == (7, 8, 201, 5001)
    sides = compiled.CompiledSides()
    found = compiled.depth(depth(8, 9, [("10.00000000", "2.00000000")], []), room("depth@100ms", compiled.DEPTH), 7, sides.sides, sides.told)
    assert found == (9, 1_723_161_255_217) and sides.levels() == ({200: 10_000}, {})


SIDE = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=30).map(lambda found: tuple(map(list, zip(*found, strict=True))) or ([], []))


@given(SIDE, SIDE, st.lists(st.tuples(SIDE, SIDE), max_size=20))
def test_compiled_sides_hold_the_levels_of_plain_ones(bids: Any, asks: Any, updates: list[Any]) -> None:
    plain, fast = PlainSides(), compiled.CompiledSides()
    for sides in (plain, fast):
        sides.load(bids, asks)
    for update in [([], []), *updates]:
        if update != ([], []):
            for sides in (plain, fast):
                sides.update(*update)
        assert fast.best() == plain.best() and fast.depth() == plain.depth() and fast.levels() == plain.levels()


def test_compiled_sides_grow_as_far_as_they_must() -> None:
    plain, fast = PlainSides(), compiled.CompiledSides()
    for start in range(1, 40_000, 5_000):
        prices = list(range(start, start + 5_000))
        for sides in (plain, fast):
            sides.update((prices, [1] * 5_000), ([price + 10**6 for price in prices], [2] * 5_000))
    assert fast.depth() == plain.depth() and fast.levels() == plain.levels()


def test_a_grid_that_is_too_fine_is_read_the_plain_way() -> None:
    pair = Pair(evolve(COIN, tick_size=Decimal("0.000000000001"), lot_size=Decimal(10_000)))
    pair.feed(wrapped("bookTicker", {"u": 1, "s": "BTCUSDT", "b": "0.000000000100", "B": "10000", "a": "0.000000000101", "A": "20000"}))
    pair.agree()
    assert len(pair.sinks[1].rows) == 1


def test_the_compiled_codecs_are_those_of_all_venues() -> None:
    assert compiled_codecs().keys() == CODECS.keys()
