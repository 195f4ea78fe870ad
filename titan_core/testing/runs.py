"""Runs of test-kit phases under the Brain, in one call."""

from collections.abc import Sequence

from attrs import frozen

from titan_core.app.watchdog import Watchdog
from titan_core.brain.limits import BrainLimits
from titan_core.engine.core import Engine
from titan_core.engine.forms import Form, make_engine
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.phases import PhaseBinding
from titan_core.engine.record import Entry
from titan_core.model.units import MS, to_money
from titan_core.tape.tape import Tape


@frozen
class Run:
    """A finished run."""

    engine: Engine
    governor: BrainGovernor

    def entries(self, kind: str, start: str = "") -> list[Entry]:
        """Return the record's entries of a kind; with `start`, those whose order id, author or trigger begins with it."""
        return [entry for entry in self.engine.record.entries if entry[0] == kind and str(entry[2]).startswith(start)]

    def states(self, phase: str) -> list[str]:
        """Return the states of the chart that a phase went through, in order."""
        steps = self.entries("chart", f"{phase}.")
        return [str(entry[4]).rpartition(".")[2] for entry in steps]

    def notes(self, start: str = "") -> list[str]:
        """Return what was noted; with `start`, by authors whose name begins with it."""
        return [str(entry[3]) for entry in self.entries("note", start)]


def run_phases(
    tape: Tape,
    bindings: Sequence[PhaseBinding],
    *,
    usdt: int | str = 1_000,
    form: Form = Form.REPLAY,
    limits: BrainLimits | None = None,
    latency_ns: int = 5 * MS,
    slippage_ticks: int = 0,
    timeout_s: float | None = None,
) -> Run:
    """Run phases under the Brain from an equity in USDT. With `timeout_s` a callback that takes longer aborts the run with CallbackHung."""
    governor = BrainGovernor(bindings, limits or BrainLimits())
    engine = make_engine(
        form, tape, governor, cash=to_money(usdt), slots=governor.slots, latency_ns=latency_ns, slippage_ticks=slippage_ticks, say=lambda text: None
    )
    if timeout_s is None:
        engine.run()
    else:
        with Watchdog(engine, timeout_s):
            engine.run()
    return Run(engine, governor)
