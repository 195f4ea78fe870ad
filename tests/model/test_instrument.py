"""Sizes that fit a loss, and the loss of a size."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from titan_core.model.enums import InstrumentKind
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument

PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))


def test_the_loss_at_the_stop_counts_both_fees() -> None:
    # 10 lots bought at 60,000.1 and stopped at 59,800: 2.001 USDT, fees 0.055 % of 600.001 and of 598
    assert PERP.loss_at_stop(10, 600_001, 598_000) == PERP.loss_at_stop(-10, 600_001, 598_000) == 200_100_000 + 33_000_055 + 32_890_000


@given(entry=st.integers(1_000, 2_000_000), distance=st.integers(1, 5_000), money=st.integers(0, 10**14), side=st.sampled_from([1, -1]))
def test_the_loss_at_the_stop_never_exceeds_the_money_and_one_lot_more_would(entry: int, distance: int, money: int, side: int) -> None:
    stop = entry - side * min(distance, entry - 1)
    lots = PERP.lots_at_risk(entry, stop, money)
    assert PERP.loss_at_stop(lots, entry, stop) <= money
    assert PERP.loss_at_stop(lots + 1, entry, stop) > money


def test_fees_that_are_rounded_up_do_not_exceed_the_money() -> None:
    # both fees of one lot end in a half unit: rounded up they cost one unit more than their sum
    exact = 800 * 10_000 + 11 * (600_001 + 599_201) // 2
    assert PERP.loss_at_stop(1, 600_001, 599_201) == exact + 1
    assert [PERP.lots_at_risk(600_001, 599_201, money) for money in (exact, exact + 1)] == [0, 1]
