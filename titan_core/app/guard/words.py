"""What session and guard say to each other: one JSON line each, over a socket that both inherit and nobody else sees."""

from msgspec import Struct

from titan_core.app.guard.latch import Latch
from titan_core.model.ids import InstrumentId
from titan_core.model.instrument import Instrument

LONGEST_LINE = 1 << 24


class AccountOrder(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One account to guard, in plain text: this is only ever sent over the socket."""

    family: str
    """`bybit` or `mexc`."""
    rest_url: str
    key: str
    secret: str
    instruments: list[Instrument]
    is_simulator: bool = False
    """Whether the venue is one in a box on this machine; no other address of this machine is spoken to."""

    def __repr__(self) -> str:
        return f"AccountOrder({self.family}, {self.rest_url})"


class Order(Struct, frozen=True, kw_only=True):
    """All that a guard is told at its start."""

    folder: str
    session_pid: int
    session_mark: str
    thread: int
    page_fd: int
    stacks_fd: int
    accounts: list[AccountOrder]
    hang_s: float
    look_s: float
    timeout_s: float
    give_up_s: float
    adopt_stop_bps: int


class Watched(Struct, frozen=True, kw_only=True, tag="beat"):
    """A sign of life of the session's loop, and what the guard needs to know should it be the last."""

    is_held: bool
    """Whether a position is held, or an order is on its way that could open one."""
    mode: str
    """The chart's state."""
    stops: dict[InstrumentId, tuple[int | None, int | None]] = {}
    """Stop and target, in ticks, that should rest at the venue for each position."""
    code: dict[str, str] = {}
    """Folder or file of each phase's code."""


class Reopen(Struct, frozen=True, tag="reopen"):
    """The operator has taken the latch away."""


class Farewell(Struct, frozen=True, tag="farewell"):
    """The session ends in order."""


ToGuard = Watched | Reopen | Farewell


class Report(Struct, frozen=True, kw_only=True):
    """How the guard stands; it comes every second."""

    state: str
    text: str = ""
    """Why it is not on duty, or what it does."""
    latch: Latch | None = None


WATCHING, BLIND, SHUT, LEAVING, LATCHED = "watching", "blind", "shut", "leaving", "latched"
"""On duty · cannot read the venue · the session is silent and nothing is held: no entry passes until it is back · the emergency runs · it is done."""
