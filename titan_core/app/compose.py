"""Builds a run: tape, phases and configuration become an engine governed by the Brain."""

import difflib
from collections.abc import Callable, Sequence
from functools import partial

import attrs
from attrs import frozen

from titan_core.config.load import Config
from titan_core.engine.core import Engine
from titan_core.engine.forms import Form, make_engine
from titan_core.engine.governor import BrainGovernor
from titan_core.engine.memory import Memory
from titan_core.engine.phases import PhaseBinding
from titan_core.engine.swapping import Swap
from titan_core.errors import UsageError
from titan_core.model.units import MS, Money
from titan_core.plugin_host import LoadedPhase
from titan_core.tape.tape import Tape


@frozen
class Composition:
    """An engine and its governor, ready to run."""

    engine: Engine
    governor: BrainGovernor
    tape: Tape


def choose_phases(available: Sequence[LoadedPhase], wanted: Sequence[str]) -> tuple[LoadedPhase, ...]:
    """Return the phases of those names, or all where none is named. Raises UsageError for a name that is not installed."""
    by_name = {str(phase.id): phase for phase in available}
    for name in wanted:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, 1)
            raise UsageError(f"no phase {name!r} is installed; installed: {', '.join(by_name) or 'none'}" + (f" (did you mean {near[0]!r}?)" if near else ""))
    return tuple(by_name[name] for name in dict.fromkeys(wanted)) if wanted else tuple(available)


def bind(phase: LoadedPhase, config: Config) -> PhaseBinding:
    """Bind a loaded phase to its configuration and to the limits in force."""
    return PhaseBinding(
        declaration=config.declaration(phase.id),
        create=partial(phase.strategies, config.phase(phase.id)),
        health=phase.health,
        adopt=phase.adopt,
        activated=phase.activated,
        deactivated=phase.deactivated,
    )


def on_terms(tape: Tape, config: Config) -> Tape:
    """Return the tape with its instruments on the configured terms of their venues."""
    return attrs.evolve(tape, instruments=tuple(config.venue(i.venue).applied_to(i) for i in tape.instruments))


def compose_replay(
    tape: Tape,
    phases: Sequence[LoadedPhase],
    config: Config,
    *,
    equity: Money,
    form: Form = Form.REPLAY,
    memory: Memory | None = None,
    swaps: Sequence[Swap] = (),
    say: Callable[[str], None] = lambda text: None,
) -> Composition:
    """Build a replay of `tape` from `equity` (1e-8 USDT); `memory` is what the Brain remembers of a run before it."""
    tape = on_terms(tape, config)
    governor = BrainGovernor([bind(phase, config) for phase in phases if phase.declaration.band is not None], config.brain, memory=memory, swaps=swaps)
    engine = make_engine(
        form,
        tape,
        governor,
        cash=equity,
        slots=governor.slots,
        latency_ns=config.replay.order_latency_ms * MS,
        slippage_ticks=config.replay.slippage_ticks,
        say=say,
    )
    return Composition(engine, governor, tape)
