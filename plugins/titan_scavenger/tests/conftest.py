"""What the Scavenger's tests share: hand-made markets and a run without a Brain."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from attrs import define, frozen

from titan_core import MONEY_PER_USDT, MS, Instrument, InstrumentKind, Intent, OrderStatus, RefusalCode, Refused, S, VenueId
from titan_core.engine.layout import Layout
from titan_core.engine.live import PerEvent, play
from titan_core.engine.reference import Reference
from titan_core.model.enums import StreamKind
from titan_core.tape.columns import SPECS
from titan_core.tape.tape import Tape, build_tape
from titan_core.testing.governors import OpenGovernor
from titan_scavenger.config import ScavengerConfig
from titan_scavenger.strategy import Scavenger

START = 1_704_067_200 * S  # 2024-01-01 00:00 UTC
SPOT = Instrument(
    venue=VenueId("binance-spot"), symbol="BTCUSDT", kind=InstrumentKind.SPOT, base="BTC", tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"),
    maker_fee_ppm=1_000, taker_fee_ppm=1_000,
)  # fmt: skip
PERP = Instrument(venue=VenueId("bybit-linear"), symbol="BTCUSDT", kind=InstrumentKind.PERP, base="BTC", tick_size=Decimal("0.1"), lot_size=Decimal("0.001"))
CASH = 1_000 * MONEY_PER_USDT


@frozen
class Allowance:
    """A budget as a test sets it."""

    equity: int
    max_notional: int
    risk: int


class BudgetGovernor(OpenGovernor):
    """Approves everything within a budget that the test sets, but refuses or rejects what the test wants to see refused or rejected."""

    def __init__(
        self, strategies: Sequence[Any], *, allowance: Allowance | None = None, refusing: bool = False, refused_exits: int = 0, rejected_exits: int = 0
    ) -> None:
        super().__init__(strategies)
        self.allowance = allowance
        self.refusing = refusing
        self.refused_exits = refused_exits
        self.rejected_exits = rejected_exits

    def budget(self, desk: Any, instrument: Any) -> Allowance:
        equity = self.engine.account.equity2(self.engine.value2) // 2
        return self.allowance or Allowance(equity, 10 * equity, equity // 20)

    def approve(self, intents: tuple[Intent, ...]) -> Any:
        intent = intents[0]
        if intent.reduce_only and self.refused_exits:
            self.refused_exits -= 1
            return Refused(intent, RefusalCode.DUPLICATE_ORDER, 1, 0, "sent before")
        if intent.reduce_only and self.rejected_exits:
            self.rejected_exits -= 1
            self.engine.at_system(self.engine.now + 1, self._reject, intent.client_order_id)
        if self.refusing and not intent.reduce_only:
            return Refused(intent, RefusalCode.RISK_BUDGET, 1, 0, "the risk of the day is used up")
        return super().approve(intents)

    def _reject(self, timer: Any) -> None:
        venue = self.engine.venue
        venue._close(venue.working[timer.payload], OrderStatus.REJECTED)


@define
class Outcome:
    """A finished run."""

    strategy: Scavenger
    engine: Any
    governor: BudgetGovernor

    @property
    def tally(self) -> Any:
        return self.strategy.tally

    @property
    def entries(self) -> list[Any]:
        """The intents that were approved, protective orders of the venue left out."""
        return [entry for entry in self.engine.record.entries if entry[0] == "approved"]

    @property
    def notes(self) -> list[str]:
        return [entry[3] for entry in self.engine.record.entries if entry[0] == "note"]

    @property
    def fills(self) -> list[Any]:
        return self.engine.record.fills  # type: ignore[no-any-return]


class Scenes:
    """Makes markets second by second and runs the Scavenger on them."""

    START = START
    SPOT, PERP, CASH = SPOT, PERP, CASH
    Allowance = Allowance
    EAGER = ScavengerConfig(rearm_s=60, warmup_bars=0)
    """Sets its traps within the first minutes, so that a market of half an hour is enough."""

    def tape(
        self, perp: Sequence[int], spot: Sequence[int] | None = None, flow: Sequence[int] | None = None, *, step_ns: int = S, spread: int = 1,
        quiet_spot: range = range(0), gaps: Sequence[int] = (), bars_ns: int = 0, start_ns: int = START,
    ) -> Tape:  # fmt: skip
        """One quote and one trade of each market per step: perpetual prices in ticks, spot prices (default: the same in USDT), signed spot lots.

        The spot market prints nothing during `quiet_spot`; a gap in its data ends at each step of `gaps`.
        """
        p = np.asarray(perp, np.int32)
        s = p * 10 if spot is None else np.asarray(spot, np.int32)
        n = len(p)
        lots = np.where(np.arange(n) % 2, 10, -10).astype(np.int32) if flow is None else np.asarray(flow, np.int32)
        ts = start_ns + np.arange(n, dtype=np.int64) * step_ns
        prints = np.array([i not in quiet_spot and lots[i] != 0 for i in range(n)])
        ones = np.full(n, 1_000, np.int32)
        raw: dict[Any, Any] = {
            (SPOT.id, StreamKind.QUOTE): {"ts": ts, "bid": s, "ask": s + 1, "bid_lots": ones, "ask_lots": ones},
            (PERP.id, StreamKind.QUOTE): {"ts": ts + MS, "bid": p, "ask": (p + spread).astype(np.int32), "bid_lots": ones, "ask_lots": ones},
            (SPOT.id, StreamKind.TRADE): {"ts": (ts + 2 * MS)[prints], "price": s[prints], "signed_lots": lots[prints]},
            (PERP.id, StreamKind.TRADE): {"ts": ts + 3 * MS, "price": p, "signed_lots": np.where(np.arange(n) % 2, 5, -5).astype(np.int32)},
        }
        if gaps:
            at = np.array([start_ns + i * step_ns for i in gaps], np.int64)
            raw[SPOT.id, StreamKind.GAP] = {"ts": at, "length_ns": np.full(len(at), S, np.int64), "reason": np.ones(len(at), np.int32)}
        return build_tape((SPOT, PERP), raw, bars_only={SPOT.id: bars_ns, PERP.id: bars_ns} if bars_ns else None)

    def run(
        self, tape: Tape, config: ScavengerConfig = EAGER, *, engine: str = "reference", latency_ns: int = 5 * MS, made: Any = Scavenger,
        start_ns: int | None = None, end_ns: int | None = None, **governor: Any,
    ) -> Outcome:  # fmt: skip
        """Run the Scavenger over a tape. Fails where a callback raised."""
        strategy = made(config)
        ruler = BudgetGovernor([strategy], **governor)
        form: Any
        if engine == "per-event":
            form = PerEvent(Layout.of(tape), ruler, cash=CASH, slots=1, latency_ns=latency_ns)
            play(form, tape, start_ns, end_ns)
            assert not ruler.faults, ruler.faults
            return Outcome(strategy, form, ruler)
        if engine == "reference":
            form = Reference(tape, ruler, cash=CASH, slots=1, latency_ns=latency_ns)
        else:
            replay = pytest.importorskip("titan_core.engine.replay", reason="numba is not installed")
            form = replay.Replay(replay.Prepared(tape), ruler, cash=CASH, slots=1, latency_ns=latency_ns)
        form.run(start_ns, end_ns)
        assert not ruler.faults, ruler.faults
        return Outcome(strategy, form, ruler)

    def break_out(self, *, flow: int, up: bool = True, then: Sequence[int] = (), size: int = 200, lead: int = 900) -> Tape:
        """A quiet quarter of an hour around 60,070 USDT, then a move of `size` ticks in ten seconds with `flow` spot lots each, then `then` (offsets)."""
        sign = 1 if up else -1
        quiet = [600_700 + (i % 7 - 3) for i in range(lead)]
        move = [600_700 + sign * size * (i + 1) // 10 for i in range(10)]
        after = [600_700 + sign * offset for offset in then]
        signed = [10 if i % 2 else -10 for i in range(lead)] + [flow] * 10 + [10 if i % 2 else -10 for i in range(len(after))]
        return self.tape(quiet + move + after, flow=signed)

    @cached_property
    def busy(self) -> Tape:
        """Swings through its levels all the time, with spot behind every move."""
        path, flow, price = [], [], 600_700
        for leg in range(160):
            sign = 1 if leg % 2 else -1
            for _ in range((60, 40, 140, 130, 30)[leg % 5]):
                price += sign * (35 + leg % 5)
                path.append(price)
                flow.append(sign * (200 + 10 * (leg % 7)))
        return self.tape(path, flow=flow)

    def shifted(self, tape: Tape, by_ns: int) -> Tape:
        """The same market at another time of day."""
        raw = {}
        for s in tape.streams:
            if s.kind is not StreamKind.BASIS:
                raw[s.instrument, s.kind] = {name: s.columns[name] for name in SPECS[s.kind].raw} | {"ts": s.ts + by_ns}
        return build_tape(tape.instruments, raw)

    def without_spot(self, tape: Tape) -> Tape:
        """The perpetual alone."""
        raw = {
            (s.instrument, s.kind): {name: s.columns[name] for name in SPECS[s.kind].raw}
            for s in tape.streams
            if s.instrument == PERP.id and s.kind is not StreamKind.BASIS
        }
        return build_tape((PERP,), raw)

    def until(self, tape: Tape, end_ns: int) -> Tape:
        """The market as it was known at a time: everything later is gone."""
        raw = {}
        for s in tape.streams:
            if s.kind is not StreamKind.BASIS:
                rows = int(np.searchsorted(s.ts, end_ns, "right"))
                raw[s.instrument, s.kind] = {name: s.columns[name][:rows] for name in SPECS[s.kind].raw}
        return build_tape(tape.instruments, raw)


@pytest.fixture(scope="session")
def scenes() -> Scenes:
    return Scenes()
