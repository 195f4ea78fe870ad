"""What a session is given: who takes orders, where the market comes from, what runs on it. The same for the built-in venue, for paper and for live."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import field, frozen

from titan_core.app.live.entries import Entry, Kept
from titan_core.brain.limits import BrainLimits
from titan_core.engine.phases import PhaseBinding
from titan_core.execution.client import Listener, VenueClient
from titan_core.feed.channels import Handler
from titan_core.feed.rest.port import VenueRest
from titan_core.feed.transport import Transport
from titan_core.feed.venues import Endpoint
from titan_core.feed.watch import Patience
from titan_core.journal.port import Journal, OnStatus
from titan_core.journal.recovery import Recovery
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument


class Account(Protocol):
    """An account at the venue that takes our orders."""

    @property
    def client(self) -> VenueClient:
        """What the execution service sends through."""
        ...

    async def run(self) -> None:
        """Keep its connections alive until cancelled."""
        ...


OpenJournal = Callable[[asyncio.AbstractEventLoop, OnStatus], tuple[Journal[Entry], Recovery[Entry, Kept]]]


@frozen(kw_only=True)
class Identity:
    """What the journal and the screen say of a session."""

    name: str
    mode: str
    feed: str
    seed: int | None = None
    code_digest: str = ""
    config_digest: str = ""
    settings: Mapping[str, str] = field(factory=dict)


@frozen(kw_only=True)
class Setup:
    """Everything around a session. `clock` is the market's time, `wall` the computer's; both ns since 1970."""

    identity: Identity
    bindings: Sequence[PhaseBinding]
    limits: BrainLimits
    instruments: tuple[Instrument, ...]
    order_venues: frozenset[VenueId]
    clock: Callable[[], int]
    wall: Callable[[], int]
    steady: Callable[[], int] | None
    jitter: Callable[[], float]
    transport: Transport
    endpoints: Mapping[VenueId, Endpoint]
    rests: Mapping[VenueId, VenueRest]
    join: Callable[[Listener, Callable[[], int]], Account]
    """`join(listener, now_ns)` makes the account; `now_ns` is the venue's clock as well as we know it."""
    open_journal: OpenJournal
    recording: Path | None = None
    on_kept: Callable[[Kept], None] | None = None
    """Told what the journal has kept, before the account is joined."""
    exchange: Callable[[Instrument], Handler] | None = None
    """Where rows go first: an exchange of ours that fills orders on them."""
    latched: str = ""
    """Why the session must begin in a locked emergency, whatever its journal says: the guard had to act."""
    before_resume: Callable[[], None] = lambda: None
    """Called before the operator's resume takes effect; raises TitanError where it must not yet."""
    speed: Callable[[], float] = lambda: 1.0
    patience: Patience | None = None
    history_minutes: int = 5
    history_bars: int = 400
