from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.errors import UsageError
from titan_core.ledger.ledger import Ledger
from titan_core.model.enums import InstrumentKind, Liquidity
from titan_core.model.fill import Fill, FundingPayment
from titan_core.model.ids import ClientOrderId, PhaseId, StrategyId, VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import H, Money

PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size="0.1", lot_size="0.001")
SPOT = Instrument(venue=VenueId("binance-spot"), symbol="BTCUSDT", kind=InstrumentKind.SPOT, base="BTC", tick_size="0.01", lot_size="0.00001")
FINE = Instrument(venue=VenueId("mexc-contract"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size="0.01", lot_size="0.000001")
INSTRUMENTS = (PERP, SPOT, FINE)
HUNTER, SCAVENGER = PhaseId("hunter"), PhaseId("scavenger")
START = Money(1_000 * 10**8)
UNIT = PERP.money_per_tick_lot


def fill(lots: int, price: int, fee: int = 0, *, ts: int = 0, phase: PhaseId = HUNTER, instrument: Instrument = PERP, tag: str = "") -> Fill:
    return Fill(ts, instrument.id, phase, StrategyId("main"), ClientOrderId("c1"), lots, price, Money(fee), Liquidity.TAKER, tag)


def funding(amount: int, *, ts: int = 0, phase: PhaseId = HUNTER, instrument: Instrument = PERP) -> FundingPayment:
    return FundingPayment(ts, instrument.id, phase, 1, 1, 10_000, Money(amount))


def opened() -> Ledger:
    return Ledger(INSTRUMENTS, START)


# -- laws -----------------------------------------------------------------------------------------------------------------------
prices = st.integers(1, 2_000_000)
lots = st.integers(-2_000, 2_000).filter(bool)
phases = st.sampled_from([HUNTER, SCAVENGER])
instruments = st.sampled_from(INSTRUMENTS)
fills = st.builds(lambda q, p, f, ph, i: fill(q, p, f, phase=ph, instrument=i), lots, prices, st.integers(-5_000, 10**7), phases, instruments)
payments = st.builds(lambda a, ph, i: funding(a, phase=ph, instrument=i), st.integers(-(10**9), 10**9), phases, instruments)
charges = st.tuples(st.just("charge"), phases, instruments, st.integers(0, 10**9))
transfers = st.tuples(st.just("transfer"), phases, instruments, prices, st.booleans())
happenings = st.lists(st.one_of(fills, fills, payments, charges, transfers), max_size=40)
whole_tick_transfers = st.tuples(st.just("transfer"), phases, instruments, prices, st.just(False))
whole_tick_happenings = st.lists(st.one_of(fills, fills, payments, charges, whole_tick_transfers), max_size=40)


def feed(ledger: Ledger, happening: Any) -> None:
    if isinstance(happening, Fill):
        ledger.fill(happening)
    elif isinstance(happening, FundingPayment):
        ledger.funding(happening)
    elif happening[0] == "charge":
        ledger.charge(happening[1], happening[2].id, Money(happening[3]))
    else:
        _, giver, instrument, mark, half = happening
        ledger.transfer(instrument.id, giver, SCAVENGER if giver is HUNTER else HUNTER, mark, half_tick=half)


def assert_balanced(ledger: Ledger, at: dict[Any, int]) -> None:
    totals = ledger.totals(at)
    assert ledger.equity(at) == START + totals.realised + totals.unrealised - totals.fees + totals.funding
    assert ledger.cash == START + sum(book.cash for book in ledger.books.values())
    for (phase, name), book in ledger.books.items():
        worth = book.position.signed_lots * at[name] * book.position.instrument.money_per_tick_lot
        assert book.cash + worth == ledger.totals(at, phase, name).net
        assert (book.position.cost == 0) >= (book.position.signed_lots == 0)
    assert totals.net == sum(ledger.totals(at, phase).net for phase in ledger.phases)


@given(happenings, st.tuples(prices, prices, prices))
def test_what_was_made_and_what_is_there_are_the_same_money_after_every_step(steps: list[Any], at: tuple[int, int, int]) -> None:
    ledger = opened()
    marks = {instrument.id: price for instrument, price in zip(INSTRUMENTS, at, strict=True)}
    for step in steps:
        feed(ledger, step)
        assert_balanced(ledger, marks)


@given(st.lists(st.one_of(fills, payments, charges), max_size=25), st.randoms(use_true_random=False), st.tuples(prices, prices, prices))
def test_the_order_of_fills_changes_no_total(steps: list[Any], random: Any, at: tuple[int, int, int]) -> None:
    marks = {instrument.id: price for instrument, price in zip(INSTRUMENTS, at, strict=True)}
    one, other = opened(), opened()
    for step in steps:
        feed(one, step)
    random.shuffle(steps)
    for step in steps:
        feed(other, step)
    assert one.equity(marks) == other.equity(marks) and one.cash == other.cash
    for phase in (HUNTER, SCAVENGER):
        a, b = one.totals(marks, phase), other.totals(marks, phase)
        assert (a.net, a.fees, a.funding, a.realised + a.unrealised) == (b.net, b.fees, b.funding, b.realised + b.unrealised)


@given(happenings, phases, instruments, prices, st.booleans(), st.tuples(prices, prices, prices))
def test_a_hand_over_conserves_positions_and_every_total(
    steps: list[Any], giver: PhaseId, instrument: Instrument, mark: int, half: bool, at: tuple[int, int, int]
) -> None:
    ledger = opened()
    for step in steps:
        feed(ledger, step)
    marks = {known.id: price for known, price in zip(INSTRUMENTS, at, strict=True)}
    taker = SCAVENGER if giver is HUNTER else HUNTER
    before, held, cash = ledger.totals(marks), ledger.held(instrument.id), ledger.cash
    given_, taken = ledger.position(giver, instrument.id), ledger.position(taker, instrument.id)
    ledger.transfer(instrument.id, giver, taker, mark, half_tick=half)
    after = ledger.totals(marks)
    assert (ledger.cash, ledger.held(instrument.id), ledger.equity(marks)) == (cash, held, START + before.net)
    assert (after.net, after.fees, after.funding) == (before.net, before.fees, before.funding)
    assert ledger.position(giver, instrument.id) == 0
    assert ledger.position(taker, instrument.id) == given_ + taken
    assert_balanced(ledger, marks)


@settings(max_examples=200)
@given(whole_tick_happenings)
def test_round_trips_hold_all_that_was_realised(steps: list[Any]) -> None:
    ledger = opened()
    orphaned = 0
    for step in steps:
        owner = (
            (step.phase, step.instrument)
            if isinstance(step, FundingPayment)
            else (step[1], step[2].id)
            if isinstance(step, tuple) and step[0] == "charge"
            else None
        )
        book = ledger.books.get(owner) if owner else None
        if owner and (book is None or (book.trip is None and book.last_trip < 0)):
            orphaned += step.amount if isinstance(step, FundingPayment) else -step[3]
        feed(ledger, step)
    made = sum(book.realised - book.fees + book.funding for book in ledger.books.values())
    in_trips = sum(trip.net for trip in ledger.trips) + sum(book.trip.net for book in ledger.books.values() if book.trip is not None)
    assert made == in_trips + orphaned
    for trip in ledger.trips:
        assert trip.max_lots and abs(trip.max_lots) <= trip.entry_lots
        assert trip.gross == (trip.exit_notional - trip.entry_notional) * (1 if trip.max_lots > 0 else -1) * unit_of(trip.instrument)
    for book in ledger.books.values():
        assert (book.trip is None) == (book.position.signed_lots == 0)
        if book.trip is not None:
            assert book.trip.entry_lots - book.trip.closed_lots == abs(book.position.signed_lots)


def unit_of(name: Any) -> int:
    return next(instrument.money_per_tick_lot for instrument in INSTRUMENTS if instrument.id == name)


# -- by hand --------------------------------------------------------------------------------------------------------------------
def test_a_long_bought_in_two_parts_and_sold_in_two_is_one_trip() -> None:
    ledger = opened()
    for step in (fill(10, 600_000, 100, ts=1, tag="sweep"), fill(30, 600_400, 300, ts=2), fill(-25, 601_000, 250, ts=5), fill(-15, 602_000, 150, ts=9)):
        ledger.fill(step)
    (trip,) = ledger.trips
    assert (trip.entry_ns, trip.exit_ns, trip.max_lots, trip.entry_lots, trip.fills, trip.tag) == (1, 9, 40, 40, 4, "sweep")
    assert (trip.average_entry, trip.average_exit) == (600_300.0, 601_375.0)
    assert trip.gross == 40 * 1_075 * UNIT
    assert (trip.fees, trip.net, trip.duration_ns, trip.is_win) == (800, 40 * 1_075 * UNIT - 800, 8, True)
    assert ledger.equity({}) == START + trip.net


def test_a_fill_across_zero_ends_one_trip_and_begins_another_with_its_share_of_the_fee() -> None:
    ledger = opened()
    ledger.fill(fill(10, 600_000, 10, ts=1))
    realised = ledger.fill(fill(-30, 601_000, 31, ts=2))
    assert realised == 10 * 1_000 * UNIT
    (trip,) = ledger.trips
    assert (trip.max_lots, trip.fees, trip.exit_ns) == (10, 10 + 10, 2)
    book = ledger.books[HUNTER, PERP.id]
    assert book.trip is not None
    assert (book.trip.fees, book.trip.max_lots, ledger.position(HUNTER, PERP.id)) == (21, -20, -20)


def test_a_short_wins_when_the_price_falls_and_funding_counts() -> None:
    ledger = opened()
    ledger.fill(fill(-10, 600_000, 5, ts=1))
    ledger.funding(funding(700, ts=8 * H))
    ledger.fill(fill(10, 599_000, 5, ts=9 * H))
    (trip,) = ledger.trips
    assert (trip.gross, trip.fees, trip.funding, trip.net) == (10_000 * UNIT, 10, 700, 10_000 * UNIT + 690)


def test_a_liquidations_fee_that_comes_after_the_exit_belongs_to_its_trip() -> None:
    ledger = opened()
    ledger.fill(fill(10, 600_000, ts=1))
    ledger.fill(fill(-10, 590_000, ts=2))
    ledger.charge(HUNTER, PERP.id, Money(12_345))
    assert ledger.trips[0].fees == 12_345
    assert ledger.equity({}) == START - 10 * 10_000 * UNIT - 12_345


def test_a_handed_over_position_ends_the_givers_trip_at_the_mark_and_begins_the_takers() -> None:
    ledger = opened()
    ledger.fill(fill(10, 600_000, 7, ts=1))
    ledger.transfer(PERP.id, HUNTER, SCAVENGER, 601_000, ts_ns=5)
    (trip,) = ledger.trips
    assert (trip.phase, trip.exit_ns, trip.handed_over, trip.net) == (HUNTER, 5, True, 10_000 * UNIT - 7)
    assert ledger.totals({PERP.id: 601_000}, SCAVENGER).net == 0
    ledger.fill(fill(-10, 600_500, 3, ts=9, phase=SCAVENGER))
    assert (ledger.trips[1].phase, ledger.trips[1].entry_ns, ledger.trips[1].net) == (SCAVENGER, 5, -5_000 * UNIT - 3)


def test_a_mid_of_half_a_tick_is_handed_over_exactly() -> None:
    ledger = opened()
    ledger.fill(fill(10, 600_000))
    ledger.transfer(PERP.id, HUNTER, SCAVENGER, 600_000, half_tick=True)
    assert ledger.totals({PERP.id: 600_000}, HUNTER).net == 10 * UNIT // 2
    assert ledger.totals({PERP.id: 600_000}, SCAVENGER).net == -10 * UNIT // 2


def test_two_phases_have_books_of_their_own() -> None:
    ledger = opened()
    ledger.fill(fill(10, 600_000, 4))
    ledger.fill(fill(500, 6_000_000, 3, phase=SCAVENGER, instrument=SPOT))
    at = {PERP.id: 600_100, SPOT.id: 6_000_050}
    assert ledger.phases == (HUNTER, SCAVENGER)
    assert ledger.totals(at, HUNTER).net == 10 * 100 * UNIT - 4
    assert ledger.totals(at, SCAVENGER).net == 500 * 50 * SPOT.money_per_tick_lot - 3
    assert ledger.totals(at, instrument=SPOT.id).fees == 3


def test_an_unknown_instrument_and_a_missing_price_are_named() -> None:
    ledger = Ledger([PERP], START)
    with pytest.raises(UsageError, match=r"BTCUSDT\.binance-spot.*BTCUSDT\.bybit-linear"):
        ledger.fill(fill(1, 1, instrument=SPOT))
    ledger.fill(fill(1, 1))
    with pytest.raises(UsageError, match=r"position in BTCUSDT\.bybit-linear is open"):
        ledger.equity({})
