"""What the phases make of years of real bars: one account through all of them, and each phase alone on each period, with fees and without.

Needs the shared recordings. Prints tables, and writes them as Markdown beside the record: `docs/results.md` is made of them. No parameter was chosen on any of
these periods: the configuration is the default.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from attrs import frozen

from benchmarks import _harness as harness
from titan_core.app.life import live_through, whole
from titan_core.app.replay_run import ReplayRequest, run_replay
from titan_core.app.results import summary
from titan_core.brain.table import LOCKED
from titan_core.config.load import Config, load_config
from titan_core.engine.warmup import warmup
from titan_core.model.calendar import utc
from titan_core.model.units import to_money
from titan_core.plugin_host import LoadedPhase, discover
from titan_core.tape.tape import Tape
from titan_core.testing.recordings import imported_tape

MARKET = Path(__file__).resolve().parents[2] / "shared" / "market"
FUNDING = "funding/binance_usdm_BTCUSDT_funding_20190910_20250720"
PERIODS = {
    "2022 H2": ("ohlcv/binance_usdm_BTCUSDT_5m_20220601_20221124", FUNDING),
    "2023": ("ohlcv/binance_usdm_BTCUSDT_5m_20230101_20230930", "ohlcv/binance_spot_BTCUSDT_5m_20220801_20230927", FUNDING),
    "2024 H1": (
        "ohlcv/binance_usdm_BTCUSDT_5m_20231101_20240630", "ohlcv/binance_spot_BTCUSDT_5m_20240101_20240630", FUNDING,
        "open_interest/binance_usdm_BTCUSDT_oi_1h_20231204_20240630",
    ),
    "2025 Q1": ("ohlcv/binance_usdm_BTCUSDT_5m_20250101_20250331", "ohlcv/binance_spot_BTCUSDT_5m_20250101_20250506", FUNDING),
    "2025-26": ("ohlcv/bybit_linear_BTCUSDT_5m_20251201_20260721", "funding/bybit_linear_BTCUSDT_funding_20251201_20260721"),
}  # fmt: skip
EQUITIES = {"scavenger": 1_000, "hunter": 10_000, "sentinel": 100_000}
NO_FEES = [f"venues.{venue}.{kind}_fee_ppm=0" for venue in ("binance-spot", "binance-usdm", "bybit-spot", "bybit-linear") for kind in ("maker", "taker")]
BARS = (
    harness.Bar("three lives on years of real 5-minute bars, from 1,000, 10,000 and 100,000 USDT: seconds for all", 60.0, "s", at_most=True),
    harness.Bar("lives whose digest differs when they are lived again", 0.0, "lives", at_most=True),
)


@frozen
class World:
    """What all runs share."""

    tapes: dict[str, Tape]
    phases: Sequence[LoadedPhase]
    declarations: Sequence[Any]

    def config(self, overrides: Sequence[str] = ()) -> Config:
        """Return the default configuration with overrides."""
        return load_config(None, self.declarations, overrides, environ={})


def tapes(out: Path) -> dict[str, Tape]:
    """Import the recordings once. Raises NotMeasured where they are absent."""
    if not MARKET.is_dir():
        raise harness.NotMeasured(f"the shared market recordings are not at {MARKET}")
    found = {}
    for name, files in PERIODS.items():
        found[name] = imported_tape(out / "life-tapes" / name.replace(" ", "-"), (MARKET / f"{file}.csv.gz" for file in files))
    return found


def life(world: World, equity: int) -> dict[str, Any]:
    """Live through all periods; an operator unlocks a locked Brain at the beginning of the next."""
    requests = [ReplayRequest(tape, {"path": name}, to_money(equity)) for name, tape in world.tapes.items()]
    return whole(list(live_through(requests, world.phases, world.config(), resumes=True)))


def alone(world: World, phase: str, name: str, *, fees: bool) -> dict[str, Any]:
    """Replay one period with one phase, from the equity that its band is for."""
    (chosen,) = [each for each in world.phases if each.id == phase]
    tape = world.tapes[name]
    perp = next(s for s in tape.streams if s.kind == "trade" and "spot" not in s.instrument)
    window = (int(perp.ts[0]), int(perp.ts[-1]))  # funding reaches back for years, and without the perpetual there is nothing to trade
    request = ReplayRequest(tape, {"path": name}, to_money(EQUITIES[phase]), start_ns=window[0], end_ns=window[1])
    return summary(run_replay(request, [chosen], world.config([] if fees else NO_FEES)))


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join(['---', *['---:'] * (len(columns) - 1)])} |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _life_row(figures: dict[str, Any]) -> list[str]:
    phases = ", ".join(f"{name} {row['trades']} ({row['net']:+,.0f})" for name, row in figures["by_phase"].items() if row["trades"]) or "none"
    turns = ", ".join(f"{name} {count}" for name, count in figures["turns"].items() if not name.endswith("activate")) or "none"
    cells = [f"{figures['equity_start']:,.0f}", f"{figures['equity_end']:,.0f}", f"{100 * figures['total_return']:+.1f} %"]
    return [*cells, f"{100 * figures['max_drawdown']:.1f} %", f"{figures['fees']:,.0f}", f"{figures['funding']:+,.0f}", phases, turns]


def _phase_row(name: str, tape: Tape, paid: dict[str, Any], free: dict[str, Any]) -> list[str]:
    factor = "–" if paid["profit_factor"] is None else f"{paid['profit_factor']:.2f}"
    locked = " (locked)" if paid["brain"] == LOCKED else ""
    when = f"{utc(paid['first_ns'])[:10]} to {utc(paid['last_ns'])[:10]}"
    cells = [f"{name}: {when}", str(paid["trades"]), f"{100 * paid['total_return']:+.2f} %{locked}", f"{100 * free['total_return']:+.2f} %"]
    return [*cells, f"{100 * paid['max_drawdown']:.2f} %", f"{paid['fees']:,.0f}", f"{paid['funding']:+,.0f}", factor]


def main(argv: Sequence[str]) -> int:
    """Run everything, print, write. Returns 0 where every bar was met."""
    parse = argparse.ArgumentParser(prog="python -m benchmarks life", description=__doc__.splitlines()[0])
    parse.add_argument("--lives-only", action="store_true", help="leave the tables of each phase alone out")
    given = parse.parse_args(argv)
    report = discover()
    world = World(tapes(harness.OUT), report.phases, report.declarations)
    warmup()
    began = perf_counter()
    lives = [life(world, equity) for equity in EQUITIES.values()]
    took = perf_counter() - began
    again = [life(world, equity)["digest"] for equity in EQUITIES.values()]
    differ = sum(one["digest"] != other for one, other in zip(lives, again, strict=True))
    columns = ["from (USDT)", "to", "result", "draw-down", "fees", "funding", "trades by phase (net)", "what the Brain did"]
    parts = ["## One account through all periods", markdown(columns, (_life_row(figures) for figures in lives))]
    for phase in () if given.lives_only else EQUITIES:
        rows = []
        for name, tape in world.tapes.items():
            if phase != "hunter" and not tape.pairs:
                continue
            rows.append(_phase_row(name, tape, alone(world, phase, name, fees=True), alone(world, phase, name, fees=False)))
        columns = ["period", "trades", "result", "without fees", "draw-down", "fees (USDT)", "funding (USDT)", "profit factor"]
        parts += [f"## {phase.capitalize()}, from {EQUITIES[phase]:,} USDT", markdown(columns, rows)]
    text = "\n\n".join(parts) + "\n"
    print(text)
    (harness.OUT / "life.md").write_text(text, "utf-8")
    verdicts = [harness.Verdict(BARS[0], took), harness.Verdict(BARS[1], float(differ))]
    harness.stdout_console().print(harness.verdict_table(verdicts))
    harness.write_json(harness.OUT / "life.json", {"machine": harness.machine(), "lives": lives, "bars": [v.record() for v in verdicts]})
    return 0 if all(verdict.met for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
