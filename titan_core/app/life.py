"""A life: one account through many tapes, one after the other, with what the Brain must remember carried from each to the next.

Each tape is a chapter, lived like a process of its own: strategies are made anew at its beginning, look-ups see only its own past. What is open at its end is
closed at market, at the last prices, because nothing is known of the time until the next. Carried over are the money, the peak of equity and the levels of
risk that follow from it, the phases on duty, and the dwell that the bands demand of all others.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from attrs import evolve, frozen
from msgspec import structs

from titan_core.app.replay_run import ReplayRequest, run_replay
from titan_core.app.results import Results, summary
from titan_core.brain.table import LOCKED
from titan_core.config.load import Config
from titan_core.engine.core import Engine, span
from titan_core.engine.memory import Memory, remember
from titan_core.errors import UsageError
from titan_core.model.calendar import utc
from titan_core.model.units import Money
from titan_core.plugin_host import LoadedPhase

SUMS = ("trades", "net", "trade_fees", "trade_funding")
RISK = ("warn", "reduce", "halt", "panic")
"""Steps of the chart towards more risk control, as the account's own region takes them."""


@frozen(eq=False)
class Chapter:
    """One tape of a life."""

    request: ReplayRequest
    results: Results
    figures: dict[str, Any]
    """The summary of its run, and `turns`: what the Brain did in it."""


def in_order(requests: Sequence[ReplayRequest]) -> tuple[ReplayRequest, ...]:
    """Return the requests that have something between their bounds, each beginning after the one before it has ended: what overlaps is lived once.

    Raises UsageError where one has nothing beyond the end of the one before it, or none is left.
    """
    kept: list[ReplayRequest] = []
    reached = -1
    for request in requests:
        if (request.start_ns or 0) > request.tape.last_ns or (request.end_ns is not None and request.end_ns < request.tape.first_ns):
            continue
        start, end = span(request.tape, request.start_ns, request.end_ns)
        if end <= reached:
            text = f"{request.source.get('path', 'a tape')} ends at {utc(end)}, and the tapes before it reach to {utc(reached)}"
            raise UsageError(f"{text}; a life goes forward: give the tapes in order of time")
        kept.append(evolve(request, start_ns=max(start, reached + 1), end_ns=end))
        reached = end
    if not kept:
        raise UsageError("none of the tapes has anything between the start and the end that were given")
    return tuple(kept)


def live_through(
    requests: Sequence[ReplayRequest],
    phases: Sequence[LoadedPhase],
    config: Config,
    *,
    resumes: bool = False,
    say: Callable[[str], None] = lambda text: None,
    begun: Callable[[Engine], None] = lambda engine: None,
) -> Iterator[Chapter]:
    """Replay one tape after the other from the first one's equity; yield each chapter as it ends.

    A Brain that has locked itself stays locked, as it does until its operator acts; with `resumes` one does at the beginning of the next tape, and takes
    the equity of that moment for the peak.
    """
    memory: Memory | None = None
    for request in in_order(requests):
        now = request if memory is None else evolve(request, equity=Money(memory.cash))
        if memory is not None and resumes and memory.is_in(LOCKED):
            memory = structs.replace(memory, leaves=(), standing=(), peak2=2 * memory.cash, drawdown=0)
        results = run_replay(now, phases, config, memory=memory, closes=True, say=say, begun=begun)
        composition = results.composition
        # what a chapter reports is its own; what the Brain judges by goes on
        memory = structs.replace(remember(composition.governor, composition.engine), fees=0, funding=0, worst_drawdown_ppm=0)
        yield Chapter(now, results, {**summary(results), "turns": turns(results)})


def turns(results: Results) -> dict[str, int]:
    """Count what the Brain did in a run: activations, departures and hand-overs of phases, steps of risk, by name."""
    found: Counter[str] = Counter()
    for kind, _, *values in results.composition.engine.record.entries:
        if kind == "handed_over":
            found[f"hand-over {values[2]} → {values[3]}"] += 1
        elif kind == "chart":
            phase, _, step = str(values[0]).rpartition(".")
            if step in ("activate", "drain", "escalate") and phase:
                found[f"{phase} {step}"] += 1
            elif not phase and step in RISK:
                found[step] += 1
    return dict(sorted(found.items()))


def whole(chapters: Sequence[Chapter]) -> dict[str, Any]:
    """Return the figures of a whole life."""
    first, last = chapters[0].figures, chapters[-1].figures
    total: Counter[str] = Counter()
    by_phase: dict[str, dict[str, Any]] = {}
    for chapter in chapters:
        total.update(chapter.figures["turns"])
        for name, row in chapter.figures["by_phase"].items():
            sums = by_phase.setdefault(name, dict.fromkeys(SUMS, 0))
            for amount in SUMS:
                sums[amount] += row[amount]
    names = ("fills", "trades", "fees", "funding", "liquidations", "ticks", "wall_s")
    return {
        "digest": hashlib.sha256("".join(chapter.figures["digest"] for chapter in chapters).encode()).hexdigest(),
        "chapters": len(chapters),
        "first_ns": first["first_ns"],
        "last_ns": last["last_ns"],
        "equity_start": first["equity_start"],
        "equity_end": last["equity_end"],
        "total_return": last["equity_end"] / first["equity_start"] - 1,
        "max_drawdown": max(chapter.figures["max_drawdown"] for chapter in chapters),
        **{name: sum(chapter.figures[name] for chapter in chapters) for name in names},
        "brain": last["brain"],
        "turns": dict(sorted(total.items())),
        "by_phase": by_phase,
    }
