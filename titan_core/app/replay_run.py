"""One replay from start to finish: compose, warm up, run under the watchdog, collect, write the folder."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from attrs import frozen

from titan_core.app import run_documents
from titan_core.app.compose import compose_replay
from titan_core.app.results import Results, book, collect, summary
from titan_core.app.watchdog import Watchdog
from titan_core.config.load import Config
from titan_core.engine.core import Engine, span
from titan_core.engine.forms import Form
from titan_core.engine.memory import Memory
from titan_core.engine.swapping import Swap
from titan_core.engine.warmup import warmup
from titan_core.model.enums import OrderType
from titan_core.model.units import Money
from titan_core.plugin_host import LoadedPhase
from titan_core.tape.tape import Tape
from titan_core.telemetry.run_folder import write_run_folder

END_OF_TAPE = "end of tape"


@frozen
class ReplayRequest:
    """What to replay."""

    tape: Tape
    source: Mapping[str, Any]
    """Where the tape comes from, for the manifest."""
    equity: Money
    form: Form = Form.REPLAY
    start_ns: int | None = None
    end_ns: int | None = None
    swaps: tuple[Swap, ...] = ()


def run_replay(
    request: ReplayRequest,
    phases: Sequence[LoadedPhase],
    config: Config,
    *,
    memory: Memory | None = None,
    closes: bool = False,
    say: Callable[[str], None] = lambda text: None,
    begun: Callable[[Engine], None] = lambda engine: None,
) -> Results:
    """Replay and return the results. `begun` is given the engine just before it runs, so that its progress can be shown.

    `memory` is what the Brain remembers of a run before this one; with `closes` what is open at the end is closed at market, at the last prices.
    """
    tape = request.tape
    start, end = span(tape, request.start_ns, request.end_ns)
    if request.form is Form.REPLAY:
        warmup()
    composition = compose_replay(tape, phases, config, equity=request.equity, form=request.form, memory=memory, swaps=request.swaps, say=say)
    begun(composition.engine)
    started = time.perf_counter()
    with redirect_stdout(sys.stderr), Watchdog(composition.engine, config.replay.callback_timeout_s):
        composition.engine.run(request.start_ns, request.end_ns)
        if closes:
            for k in composition.engine.account.held():
                composition.engine.venue.close_position(k, OrderType.MARKET, END_OF_TAPE)
    wall_s = time.perf_counter() - started
    return collect(composition, book(composition, request.equity), request.equity, start, end, wall_s)


def save_run(path: Path, results: Results, config: Config, *, source: Mapping[str, Any], packages: Sequence[str], arguments: Mapping[str, Any]) -> None:
    """Write the run folder."""
    d = run_documents
    write_run_folder(
        path,
        documents={
            "manifest.json": d.manifest(results, config, source=source, packages=packages, arguments=arguments),
            "summary.json": summary(results),
            "config.json": [setting.as_row() for setting in config.settings],
        },
        lines={
            "trades.jsonl": d.trades(results),
            "fills.jsonl": d.fills(results),
            "funding.jsonl": d.funding(results),
            "chart.jsonl": d.chart(results),
            "decisions.jsonl": d.decisions(results),
        },
        texts={"equity.csv": lambda: d.equity_csv(results)},
    )
