"""The Brain governs the per-event form as it governs the reference: bands, hand-over, escalation and emergency come out the same."""

import numpy as np
import pytest

from tests.engine.governed import WIDE, Checked, Hold, price_tape, three
from titan_core.brain.limits import BrainLimits
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent, play
from titan_core.engine.reference import Reference
from titan_core.model.phase import LossLevels
from titan_core.model.units import MONEY_PER_USDT


def run(tape, make_bindings, usdt, form):
    governor = Checked(make_bindings(), BrainLimits(dwell_s=120))
    governor.cash = usdt * MONEY_PER_USDT
    if form == "reference":
        return Reference(tape, governor, cash=governor.cash, slots=governor.slots).run()
    return play(PerEvent(Layout.of(tape), governor, cash=governor.cash, slots=governor.slots, segment_rows=64), tape)


@pytest.mark.parametrize("seed", range(12))
def test_the_brain_takes_the_same_steps_event_by_event(seed):
    g = np.random.default_rng(seed)
    prices = (600_000 * np.exp(np.cumsum(g.normal(0, (0.0005, 0.002, 0.008)[seed % 3], 300)))).astype(np.int64)

    class Again(Hold):
        share = (0.5, 2.0, 5.0)[seed % 3]
        stop_bps = int(g.integers(30, 900))

        def on_flat(self, market, instrument):
            market.after(120 * 10**9, self._enter)

    def bindings():
        return three(strategy=Again, losses=LossLevels() if seed % 2 else WIDE, adopt=lambda offer: seed % 4 < 2)

    usdt = (210, 1_000, 2_510, 4_950, 5_100, 50_500)[seed % 6]
    tape = price_tape(prices)
    fast, slow = run(tape, bindings, usdt, "per-event"), run(tape, bindings, usdt, "reference")
    assert fast.record.entries == slow.record.entries
    kinds = {entry[0] for entry in slow.record.entries}
    assert "chart" in kinds and kinds & {"fill", "refused"}
    assert slow.record.fills or seed % 2, "with wide loss levels it trades"
