"""Choosing a form of the engine. Where numba cannot be imported the reference form runs, and says so."""

from collections.abc import Callable
from enum import StrEnum

from titan_core.engine.core import Engine, Governor
from titan_core.engine.reference import Reference
from titan_core.tape.tape import Tape


class Form(StrEnum):
    """Forms that run over a tape."""

    REPLAY = "replay"
    REFERENCE = "reference"


def make_engine(
    form: Form, tape: Tape, governor: Governor, *, cash: int, slots: int, latency_ns: int, slippage_ticks: int, say: Callable[[str], None]
) -> Engine:
    """Make an engine over a tape. `say` is told when another form than the one asked for had to be taken."""
    if form is Form.REPLAY:
        try:
            from titan_core.engine.prepared import Prepared
            from titan_core.engine.replay import Replay
        except ImportError as error:
            say(f"numba cannot be imported ({error}); the reference engine runs instead: the results are the same, but it takes far longer")
        else:
            return Replay(Prepared(tape), governor, cash=cash, slots=slots, latency_ns=latency_ns, slippage_ticks=slippage_ticks)
    return Reference(tape, governor, cash=cash, slots=slots, latency_ns=latency_ns, slippage_ticks=slippage_ticks)
