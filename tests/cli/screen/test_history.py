"""What a screen remembers."""

from msgspec.structs import replace

from tests.app.control.pictures import PERP, calm, feed
from titan_core.cli.screen.history import BLOCKS, KEPT, History, mid_of, spark


def test_prices_move_from_picture_to_picture() -> None:
    history = History()
    assert (history.move(PERP), history.drift_bps(PERP)) == (0.0, None)
    for bid in (100.0, 102.0, 101.0):
        history.add(calm(feeds=(feed(bid=bid),)))
    assert round(history.move(PERP), 6) == -1.0
    assert round(history.drift_bps(PERP) or 0, 1) == 100.0  # 1 of 100.05


def test_it_does_not_grow_without_end() -> None:
    history = History()
    for number in range(KEPT + 50):
        history.add(replace(calm(), equity=number))
    assert len(history.equity) == len(history.mids[PERP]) == KEPT and history.equity[-1] == KEPT + 49


def test_what_is_no_price_is_not_remembered() -> None:
    for bid in ("", "–", "nan", "inf", "-5", "1e400"):
        assert mid_of(replace(feed(), bid=bid)) is None


def test_a_line_of_blocks_goes_from_the_lowest_to_the_highest() -> None:
    history = History()
    history.equity.extend([5, 1, 9])
    assert spark(history.equity, 10) == BLOCKS[4] + BLOCKS[0] + BLOCKS[7]
    assert spark(history.equity, 2) == BLOCKS[0] + BLOCKS[7]
    assert spark(history.equity, 1) == spark(history.equity, 0) == spark(None, 5) == ""
    history.equity.extend([9] * 4)
    assert spark(history.equity, 3) == BLOCKS[3] * 3
