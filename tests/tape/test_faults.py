from hypothesis import given
from hypothesis import strategies as st

from titan_core.tape.faults import EXAMPLE_LENGTH, FaultKind, FaultLog, fault_total


def test_each_class_is_counted_and_the_first_place_is_kept_whatever_the_order_of_reports() -> None:
    log = FaultLog("a.gz")
    log.add(FaultKind.GAP, 30, "later")
    log.add(FaultKind.GAP, 7, "first", count=2)
    log.add(FaultKind.GAP, 9, "between")
    log.add(FaultKind.BAD_LINE, 1, "x")
    gap, bad = log.faults
    assert (gap.kind, gap.count, gap.file, gap.line, gap.example) == (FaultKind.GAP, 4, "a.gz", 7, "first")
    assert (bad.kind, bad.count) == (FaultKind.BAD_LINE, 1)
    assert fault_total(log.faults) == 5 and log.count(FaultKind.GAP) == 4 and log.count(FaultKind.HOLE) == 0


def test_nothing_found_is_nothing_reported() -> None:
    log = FaultLog("a.gz")
    log.add(FaultKind.GAP, 1, "none", count=0)
    assert log.faults == ()


@given(st.text(max_size=500))
def test_examples_are_one_short_line(text: str) -> None:
    log = FaultLog("a.gz")
    log.add(FaultKind.BAD_LINE, 1, text)
    assert len(log.faults[0].example) <= EXAMPLE_LENGTH and "\n" not in log.faults[0].example
