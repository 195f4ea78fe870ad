"""What a session does by the clock: timers in a silent market, doubts about feeds and venues, the venue's clock, agreement with its books, snapshots.

A venue with open positions that answers neither by REST nor by its stream for `LOST_S` seconds of our own running time, outside an announced maintenance, is an
emergency; the flattening itself begins when it answers again.
"""

import asyncio
from typing import TYPE_CHECKING

from titan_core.engine.heard import Doubted, VenueTroubled, Wish
from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.outcomes import Outcome
from titan_core.model.ids import InstrumentId
from titan_core.model.units import MS, S

if TYPE_CHECKING:
    from titan_core.app.live.session import Session

TICK_S = 0.1
LOOK_S = 1.0
PROBE_S = 5.0
POLL_S = 10.0
"""How often executions are asked for while the private stream is there: single messages of it get lost."""
CLOCK_S = 60.0
AGREE_S = 60.0
PEAK_S = 30.0
"""How often a peak of equity that nothing else has made the journal remember is written down: draw-down is measured from it after a kill as well."""
SOON_S, AGAIN_S, UNSETTLED_S = 0.5, 1.5, 5.0
"""How soon after an act of the venue the books are compared, how soon again, and for how long it goes on like that."""
SET_S = 2.0
"""How long an instrument without a single row is doubted after the clock was set forward: a computer that was asleep looks the same."""
SILENT_S = 10.0
"""How long an instrument without a single row is doubted after a standstill; the pings of its socket have told by then whether it lives."""
LOST_S = 30.0
MOST_OFFSET_NS = 500 * MS
RECOVERABLE = (Outcome.CLOCK, Outcome.BANNED, Outcome.MAINTENANCE, Outcome.NOT_ALLOWED, Outcome.POSITION_MODE)


class Watching:
    """Watches one session until its task is cancelled."""

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._doubts: dict[InstrumentId, str] = {}
        self._old: dict[InstrumentId, tuple[int, float, str]] = {}
        """Instruments whose prices are old: how many rows there were, until when they are doubted in any case, and why."""
        self.trouble = ""
        """Why the venue takes no entries now; empty where it does."""
        self.is_answering = True
        self.reconciled_ns = 0
        self._silent_s = 0.0
        self._maintenance = False
        self._measuring = False
        self._wake = asyncio.Event()
        self._agree_s = self._unsettled_s = 0.0
        """When the books are compared next, and until when what differs is looked at again soon: the loop's time."""

    async def run(self) -> None:
        """Watch until cancelled."""
        loop, session = asyncio.get_running_loop(), self._session
        last_look = last_probe = last_clock = loop.time()
        self._agree_s = loop.time() + PROBE_S
        last_peak = loop.time()
        while True:
            await asyncio.sleep(TICK_S)
            session.tick()
            now = loop.time()
            if now - last_look >= LOOK_S:
                self._look(min(now - last_look, 2 * LOOK_S))
                last_look = now
            is_well = self.is_answering and session.trading.service.is_streaming and not self.trouble
            due_s = CLOCK_S if is_well else PROBE_S / 5
            if (now - last_clock >= due_s or self._wake.is_set()) and not self._measuring:
                self._wake.clear()
                self._measuring = True
                last_clock = now
                session.tasks.start(self._measure())
            if now - last_probe >= (POLL_S if session.trading.service.is_streaming else PROBE_S):
                last_probe = now
                session.trading.service.refresh()
            if now - last_peak >= PEAK_S:
                last_peak = now
                session.remember_peak()
            if now >= self._agree_s:
                self._agree_s = now + (AGAIN_S if now < self._unsettled_s else AGREE_S)
                session.tasks.start(session.agree())

    def on_trouble(self, outcome: Outcome, message: str) -> None:
        """The venue has refused something for a reason that concerns every order."""
        if outcome in RECOVERABLE:
            self._maintenance = outcome is Outcome.MAINTENANCE
            self._set_trouble(f"{outcome}: {message}")
            self._wake.set()

    def venue_acted(self) -> None:
        """The venue, or somebody by hand, has traded for us: what else that has cost, such as the fee of a liquidation, no execution tells."""
        now = asyncio.get_running_loop().time()
        self._agree_s, self._unsettled_s = min(self._agree_s, now + SOON_S), now + UNSETTLED_S

    def clock_stepped(self) -> None:
        """The computer's clock was set: what we know of the venue's clock is worth nothing until it is measured again."""
        self._set_trouble("the computer's clock was set; measuring the venue's clock again")
        self._wake.set()

    # -- looks --------------------------------------------------------------------------------------------------------
    def _look(self, passed_s: float) -> None:
        session = self._session
        for name in session.known:
            reason = session.feeds.doubt(name) or self._is_old(name)
            if bool(reason) != bool(self._doubts.get(name, "")):
                self._doubts[name] = reason
                session.hear(Doubted(instrument=name, reason=reason))
        if self.is_answering or session.trading.service.is_streaming or self._maintenance:
            self._silent_s = 0.0
            return
        self._silent_s += passed_s  # a process that was stopped does not count the time it slept
        if self._silent_s >= LOST_S and session.engine.account.held() and not session.governor.machine.configuration.is_in("emergency"):
            session.ask(Wish.PANIC, f"the venue with open positions has not answered for {self._silent_s:.0f} s")

    def doubt_until_heard(self, name: InstrumentId, reason: str, for_s: float) -> None:
        """Do not believe an instrument's prices before its feed has spoken again, or has been up for a while in a market that is silent."""
        self._old[name], self._doubts[name] = (self._session.rows[name], asyncio.get_running_loop().time() + for_s, reason), reason

    def _is_old(self, name: InstrumentId) -> str:
        rows, until_s, reason = self._old.get(name, (0, 0.0, ""))
        if reason and (self._session.rows[name] > rows or asyncio.get_running_loop().time() >= until_s):
            del self._old[name]
            return ""
        return reason

    async def _measure(self) -> None:
        """Ask the venue for its clock; that it answers is worth as much as what it says."""
        session = self._session
        try:
            offset_ns = await session.measure_clock()
        except (VenueUnavailable, Unreadable) as error:
            if self.is_answering:
                session.note("venue", str(error))
            self.is_answering = False
            self._set_trouble(f"it does not answer: {error}")
            return
        finally:
            self._measuring = False
        self.is_answering = True
        self._maintenance = False
        drift_ns = abs(offset_ns)
        if drift_ns > MOST_OFFSET_NS:
            self._set_trouble(f"its clock and ours have drifted {drift_ns / S:.3f} s apart; measuring again")
            self._wake.set()
        else:
            self._set_trouble("")

    def _set_trouble(self, reason: str) -> None:
        if bool(reason) != bool(self.trouble):
            venue_ids = sorted(self._session.setup.order_venues)
            self.trouble = reason
            for venue in venue_ids:
                self._session.hear(VenueTroubled(venue=str(venue), reason=reason))
        else:
            self.trouble = reason
