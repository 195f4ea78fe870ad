"""What the Sentinel's tests share: markets whose basis moves, and a run with or without a Brain."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from attrs import define, frozen

from titan_core import MONEY_PER_USDT, MS, Intent, OrderStatus
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent, play
from titan_core.engine.reference import Reference
from titan_core.engine.replay import Prepared, Replay
from titan_core.tape.tape import Tape
from titan_core.testing.chaos import PERP, SPOT, START
from titan_core.testing.governors import OpenGovernor
from titan_core.testing.markets import stepped_market
from titan_sentinel.config import SentinelConfig
from titan_sentinel.strategy import Sentinel

STEP_S = 10
CASH = 100_000 * MONEY_PER_USDT
QUICK = SentinelConfig(
    sample_s=60, window_samples=240, warmup_samples=30, z_enter=1.5, min_edge_bps=-28.0, clip_usdt=20_000, pause_s=60, carry=False, max_hold_s=14_400
)
"""Trades often: what it would have to earn is set so low that fees are not covered."""


def swinging(seed: int, hours: float, level_bps: float = 5.0, noise_bps: float = 2.0, jumps: int = 12, jump_bps: float = 20.0) -> list[float]:
    """Return a basis that returns to its level, with jumps now and then."""
    chance, count = np.random.default_rng(seed), int(hours * 3_600 / STEP_S)
    basis, now = [], level_bps
    jumped = set(chance.integers(count // 8, count, jumps).tolist())
    for k in range(count):
        now += 0.01 * (level_bps - now) + chance.normal(0, noise_bps * 0.14)
        now += jump_bps if k in jumped else 0.0
        basis.append(float(now))
    return basis


@cache
def market(seed: int, hours: float = 24.0, derivatives: bool = True) -> Tape:
    """A quiet price with a swinging basis."""
    basis = swinging(seed, hours)
    price = 60_000 * np.exp(np.cumsum(np.random.default_rng(seed + 1_000).normal(0, 0.00005, len(basis))))
    return stepped_market(price, step_s=STEP_S, start_ns=START, basis_bps=basis, derivatives=derivatives)


@frozen
class Allowance:
    """A budget as a test sets it."""

    equity: int
    max_notional: int
    risk: int


class PairGovernor(OpenGovernor):
    """Approves everything within the budget of the Sentinel's caps; refuses or rejects what the test wants to see fail."""

    def __init__(self, strategies: Sequence[Any], *, rejects: Callable[[Intent], bool] | None = None, only_data: Sequence[str] = ()) -> None:
        super().__init__(strategies)
        self.rejects, self.only_data = rejects, only_data

    def takes_orders(self, instrument: Any) -> bool:
        return instrument.id not in self.only_data

    def budget(self, desk: Any, instrument: Any) -> Allowance:
        account = self.engine.account
        equity = account.equity2(self.engine.value2) // 2
        held = sum(abs(lots) * account.units[k] * self.engine.value2(k) // 2 for k, lots in enumerate(account.lots) if lots) // 2
        left = max(0, equity - held * 4 // 3)
        return Allowance(equity, left * (3 if instrument is not None and instrument.is_perp else 1), equity // 20)

    def approve(self, intents: tuple[Intent, ...]) -> Any:
        decision = super().approve(intents)
        for intent in intents:
            if self.rejects is not None and self.rejects(intent):
                self.engine.at_system(self.engine.now + 1, self._reject, intent.client_order_id)
        return decision

    def _reject(self, timer: Any) -> None:
        venue = self.engine.venue
        order = venue.working.get(timer.payload)
        if order is not None:
            venue._close(order, OrderStatus.REJECTED)


@define
class Outcome:
    """A finished run."""

    strategy: Sentinel
    engine: Any

    @property
    def fills(self) -> list[Any]:
        return self.engine.record.fills  # type: ignore[no-any-return]

    @property
    def notes(self) -> list[str]:
        return [entry[3] for entry in self.engine.record.entries if entry[0] == "note"]

    @property
    def tally(self) -> Counter[str]:
        """What came of all days."""
        return self.strategy.tally.with_notes(self.notes)

    def net_deltas(self) -> list[tuple[int, float]]:
        """Return the net delta in coins after each fill, with its time."""
        held, found = {SPOT.id: 0, PERP.id: 0}, []
        for fill in self.fills:
            held[fill.instrument] += fill.signed_lots
            delta = held[SPOT.id] * float(SPOT.lot_size) + held[PERP.id] * float(PERP.lot_size)
            found.append((fill.ts_ns, delta))
        return found


class Spreads:
    """Runs the Sentinel on a market."""

    QUICK, CASH, STEP_S, START, SPOT, PERP = QUICK, CASH, STEP_S, START, SPOT, PERP

    def market(self, seed: int, hours: float = 24.0) -> Tape:
        return market(seed, hours)

    def with_basis(self, basis_bps: Sequence[float], **shape: Any) -> Tape:
        """A price that stands still, with that basis at each step."""
        return stepped_market([60_000.0] * len(basis_bps), step_s=STEP_S, basis_bps=list(basis_bps), **({"start_ns": START} | shape))

    def run(self, tape: Tape, config: SentinelConfig = QUICK, *, form: str = "replay", latency_ns: int = 5 * MS, **governor: Any) -> Outcome:
        """Run over a tape in one of the engine's forms. Fails where a callback raised."""
        strategy = Sentinel(config)
        ruler = PairGovernor([strategy], **governor)
        made: Any
        if form == "per-event":
            made = PerEvent(Layout.of(tape), ruler, cash=CASH, slots=1, latency_ns=latency_ns)
            play(made, tape)
        else:
            made = (
                Reference(tape, ruler, cash=CASH, slots=1, latency_ns=latency_ns)
                if form == "reference"
                else Replay(Prepared(tape), ruler, cash=CASH, slots=1, latency_ns=latency_ns)
            )
            made.run()
        assert not ruler.faults, ruler.faults
        return Outcome(strategy, made)


@pytest.fixture(scope="session")
def spreads() -> Spreads:
    return Spreads()
