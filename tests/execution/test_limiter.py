"""The budget of requests: never exceeded, urgent first, with a reserve for the emergency."""

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.execution.limiter import Lane, Limiter


class Loop:
    """Time that passes only when told."""

    def __init__(self):
        self.now, self.serial, self.timers = 0.0, 0, []

    def time(self):
        return self.now

    def later(self, delay_s, fn):
        self.serial += 1
        heapq.heappush(self.timers, (self.now + delay_s, self.serial, fn))

    def run_until(self, end_s):
        while self.timers and self.timers[0][0] <= end_s:
            self.now, _, fn = heapq.heappop(self.timers)
            fn()
        self.now = end_s


def make(**settings):
    loop = Loop()
    return loop, Limiter(loop.time, loop.later, **settings)


def test_what_the_budget_holds_is_sent_at_once_and_the_rest_at_the_rate():
    loop, limiter = make(rate_per_s=10, burst=10, reserved=4)
    sent = []
    for _ in range(26):
        limiter.run(Lane.ENTRY, lambda: sent.append(loop.now))
    assert sent == [0.0] * 6, "all but the reserve"
    loop.run_until(1.0)
    assert 15 <= len(sent) <= 16
    loop.run_until(3.0)
    assert len(sent) == 26 and limiter.waiting() == 0


def test_the_emergency_is_not_kept_waiting_by_anybody():
    loop, limiter = make()
    sent = []
    for _ in range(500):
        limiter.run(Lane.READ, lambda: sent.append("read"))
    limiter.run(Lane.EMERGENCY, lambda: sent.append("panic"))
    assert sent[-1] == "panic" and loop.now == 0.0


def test_lanes_are_served_in_order_of_urgency():
    loop, limiter = make(rate_per_s=1, burst=1, reserved=0)
    sent = []
    limiter.run(Lane.READ, lambda: sent.append("first"))
    for lane in (Lane.READ, Lane.ENTRY, Lane.EXIT, Lane.PROTECT, Lane.EMERGENCY):
        limiter.run(lane, lambda lane=lane: sent.append(lane.name))
    loop.run_until(6.5)
    assert sent == ["first", "EMERGENCY", "EXIT", "PROTECT", "ENTRY", "READ"]


def test_a_ban_is_heeded_by_all_and_ends():
    loop, limiter = make()
    limiter.ban(30)
    sent = []
    limiter.run(Lane.EMERGENCY, lambda: sent.append(loop.now))
    loop.run_until(29.9)
    assert sent == [] and limiter.is_banned
    loop.run_until(31)
    assert len(sent) == 1 and not limiter.is_banned


def test_the_venue_is_believed_where_it_says_that_less_remains():
    loop, limiter = make(rate_per_s=10, burst=10, reserved=0)
    limiter.heed(1)
    sent = []
    for _ in range(3):
        limiter.run(Lane.EXIT, lambda: sent.append(loop.now))
    assert len(sent) == 1
    loop.run_until(0.11)
    assert len(sent) == 2


def test_what_weighs_more_than_the_bucket_is_sent_when_it_is_full():
    loop, limiter = make(rate_per_s=10, burst=10, reserved=4)
    sent = []
    limiter.run(Lane.READ, lambda: sent.append(loop.now), weight=50)
    limiter.run(Lane.READ, lambda: sent.append(loop.now), weight=1)
    assert sent == [0.0]
    loop.run_until(6.0)
    assert len(sent) == 2 and sent[1] >= 4.0


def test_what_waits_can_be_dropped_and_is_told_so():
    loop, limiter = make(rate_per_s=1, burst=1, reserved=0)
    sent, dropped = [], []
    for lane in (Lane.READ, Lane.ENTRY, Lane.ENTRY, Lane.EXIT):
        limiter.run(lane, lambda lane=lane: sent.append(lane), dropped=lambda lane=lane: dropped.append(lane))
    assert limiter.drop(Lane.ENTRY, Lane.READ) == 2 and limiter.waiting() == 1
    assert dropped == [Lane.ENTRY, Lane.ENTRY]
    loop.run_until(5)
    assert sent == [Lane.READ, Lane.EXIT] and len(dropped) == 2


def test_a_reserve_as_large_as_the_burst_is_refused():
    with pytest.raises(ValueError, match="reserve must lie below the burst of 10"):
        make(reserved=10)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(Lane), st.integers(1, 5)), max_size=60), st.floats(1, 20), st.integers(1, 12))
def test_no_second_sees_more_than_burst_and_rate(requests, rate, burst):
    loop, limiter = make(rate_per_s=rate, burst=burst, reserved=burst / 3)
    sent = []
    for at, lane, weight in sorted(requests, key=lambda r: r[0]):
        loop.run_until(at)
        limiter.run(lane, lambda weight=weight: sent.append((loop.now, weight)), weight)
    loop.run_until(3 + sum(w for _, _, w in requests) / rate + burst / rate + 10)
    assert len(sent) == len(requests) and limiter.waiting() == 0
    for i, (start, _) in enumerate(sent):
        within = sum(weight for at, weight in sent[i:] if at <= start + 1.0)
        largest = max(weight for _, weight in sent[i:])
        assert within <= burst + rate + largest + 1e-6
