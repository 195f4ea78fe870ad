"""What the guard does from its start to its end: it listens for the session, looks at the venue, and acts.

It acts where the session has fallen silent while something is or may be open, and sees to what is left where the session has died.
"""

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from attrs import define, field
from msgspec.structs import replace

from titan_core.app.guard.accounts import GuardedAccount, look_at_all
from titan_core.app.guard.latch import Latch, read_latch, write_latch
from titan_core.app.guard.orphan import OrphanDuty
from titan_core.app.guard.page import SharedPage
from titan_core.app.guard.silence import Silence
from titan_core.app.guard.stack import read_stack, state_of
from titan_core.app.guard.words import BLIND, LATCHED, LEAVING, SHUT, WATCHING, Farewell, Order, Reopen, Report, ToGuard, Watched
from titan_core.errors import Unreadable, VenueUnavailable
from titan_core.execution.flatten import Flattened, Flattening

TURN_S = 0.1
REPORT_S = 1.0
QUICK_LOOK_S = 2.0
"""From look to look while the venue does not answer or is being left."""
LATE_S = 60.0
"""How long after the end of an emergency the venue is still looked at for what was on its way."""


@define(eq=False)
class GuardDuty:
    """One guard. `tell` sends a report to the session, `say` writes a line into the guard's log; `parent` returns the process's parent."""

    order: Order
    accounts: list[GuardedAccount]
    page: SharedPage
    tell: Callable[[Report], None]
    say: Callable[[str], None]
    parent: Callable[[], int] = os.getppid
    state: str = BLIND
    text: str = "it has not looked at the venue yet"
    latch: Latch | None = None
    _last: Watched | None = None
    _silence: Silence = field(init=False)
    _said_farewell: bool = False
    _ended: bool = False
    """Whether the session's end of the socket is closed."""
    _relieved: asyncio.Event = field(factory=asyncio.Event)
    _acting: "asyncio.Task[None] | None" = None
    _folder: Path = field(init=False)
    _unkept: Latch | None = None
    """A latch that the disk has not taken yet."""

    def __attrs_post_init__(self) -> None:
        self._silence = Silence(TURN_S, self.order.hang_s)
        self._folder = Path(self.order.folder)

    # -- what it hears ------------------------------------------------------------------------------------------------
    def hear(self, word: ToGuard) -> None:
        """Take in what the session says."""
        if isinstance(word, Watched):
            self._last = word
            self._silence.heard()
        elif isinstance(word, Farewell):
            self._said_farewell = True
        elif isinstance(word, Reopen) and self.state == LATCHED:
            self.say("the operator has taken the latch away")
            self.latch = None
            if self._acting is not None:
                self._acting.cancel()  # it looks for what is late, as long as the session is silent
                self._acting = None
            self._silence.heard()
            self._open()

    def session_ended(self) -> None:
        """The session's end of the socket was closed."""
        self._ended = True

    def ask_to_go(self) -> None:
        """Another guard takes over, or the system shuts down: end, unless there is a session to guard."""
        if self._is_alone():
            self._relieved.set()

    def _is_alone(self) -> bool:
        return self._ended or self.parent() != self.order.session_pid

    @property
    def _is_silent(self) -> bool:
        return self._silence.seconds >= self.order.hang_s

    # -- the whole of it ------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Guard until the session has ended and nothing is left to do."""
        loop = asyncio.get_running_loop()
        looking = loop.create_task(self._keep_looking())
        self.latch = read_latch(self._folder)
        if self.latch is not None:
            self._begin(self._leave(self.latch) if not self.latch.is_done else self._stay_latched())
        try:
            turned = told = loop.time()
            while not self._is_alone():
                await asyncio.sleep(TURN_S)
                now = loop.time()
                if self._last is not None and self._silence.pass_time(now - turned) and self.latch is None and not self._is_acting:
                    self._begin(self._hung())
                turned = now
                if now - told >= REPORT_S:
                    told = now
                    self._report()
                for task in (looking, self._acting):
                    if task is not None and task.done():
                        task.result()  # a defect ends the guard, and the session starts another
            await self._finish()
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    @property
    def _is_acting(self) -> bool:
        return self._acting is not None and not self._acting.done()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._acting = asyncio.get_running_loop().create_task(work)

    async def _finish(self) -> None:
        """The session has ended: end what is under way, or see to what it has left behind."""
        if self.state == LEAVING and self._acting is not None:
            await self._unless_relieved(self._acting)
            return
        if self._acting is not None:
            self._acting.cancel()
            await asyncio.gather(self._acting, return_exceptions=True)
        if self._said_farewell or self.state == LATCHED:
            return
        self.page.shut()
        self.say("the session has died; seeing to what it has left at the venue")
        await self._unless_relieved(asyncio.get_running_loop().create_task(self._see_to_what_is_left()))

    async def _unless_relieved(self, work: "asyncio.Task[None]") -> None:
        relieved = asyncio.get_running_loop().create_task(self._relieved.wait())
        await asyncio.wait({work, relieved}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            self.say("asked to go")
        for task in (work, relieved):
            task.cancel()
        await asyncio.gather(work, relieved, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def _see_to_what_is_left(self) -> None:
        stops, run = self._last.stops if self._last is not None else {}, f"orphan{secrets.token_hex(4)}"
        duties = [OrphanDuty(each.client, stops, self.order.adopt_stop_bps, run, self.say).finish() for each in self.accounts]
        try:
            async with asyncio.timeout(self.order.give_up_s):
                await asyncio.gather(*duties)
        except TimeoutError:
            self.say(f"gave up after {self.order.give_up_s:g} s: the next start sees to it")

    # -- looking --------------------------------------------------------------------------------------------------------
    async def _keep_looking(self) -> None:
        """Read clock and positions now and then: it shows that the guard could act, and keeps the way to the venue warm."""
        while True:
            if self.state in (LEAVING, SHUT):
                for account in self.accounts:
                    try:
                        async with asyncio.timeout(QUICK_LOOK_S):
                            await account.keep_time()
                    except (VenueUnavailable, Unreadable, TimeoutError):
                        continue
            else:
                self._judge(await look_at_all(self.accounts))
            await asyncio.sleep(QUICK_LOOK_S if self.state in (BLIND, LEAVING, SHUT) else self.order.look_s)

    def _judge(self, problem: str) -> None:
        if problem and self.state in (WATCHING, BLIND):
            self._stand(BLIND, f"it cannot read the venue: {problem}")
        elif not problem and self.state == BLIND:
            self._open()

    def _open(self) -> None:
        self.page.open()
        self._stand(WATCHING)

    def _stand(self, state: str, text: str = "") -> None:
        if (state, text) != (self.state, self.text):
            self.say(f"{state} {text}".rstrip())
        self.state, self.text = state, text
        self._report()

    def _report(self) -> None:
        if self._unkept is not None:
            self._keep(self._unkept)
        if not self._is_alone():
            self.tell(Report(state=self.state, text=self.text, latch=self.latch))

    # -- the session is silent --------------------------------------------------------------------------------------------
    async def _hung(self) -> None:
        """Shut the gate; get out of the market where anything is or may be in it, else wait for the session to come back."""
        self.page.shut()
        before, latch = self.state, self._diagnose()
        self._stand(SHUT, latch.why)
        if (self._last is not None and self._last.is_held) or await self._is_found_in_the_market():
            await self._leave(latch)
            return
        if before == WATCHING:
            self._open()
        else:
            self._stand(BLIND, "it has yet to look at the venue")

    async def _is_found_in_the_market(self) -> bool:
        """Ask the venue until the session is back; what was on its way when it fell silent may be filled by now."""
        while self._is_silent:
            try:
                if await self._is_anybody_in_the_market():
                    return True
            except (VenueUnavailable, Unreadable, TimeoutError) as error:
                self.say(f"asking what is open: {error}")
            await asyncio.sleep(1.0)
        return False

    def _diagnose(self) -> Latch:
        seconds, last = self._silence.seconds, self._last
        stack = read_stack(self.order.stacks_fd, self.order.thread)
        phase, place = stack.culprit(last.code if last is not None else {})
        state = state_of(self.order.session_pid)
        if state.startswith("stopped"):
            why = f"the session's process is {state}; no sign of life for {seconds:.0f} s"
        elif phase:
            why = f"a callback of phase {phase} has not returned for {seconds:.0f} s: {place}"
        else:
            doing = f", last seen at {stack.lines[0]}" if stack.lines else ""
            why = f"the session's loop has not turned for {seconds:.0f} s{doing}" + (f" (its process is {state})" if state else "")
        return Latch(why=why, since_ns=time.time_ns(), plugin=phase, where=stack.lines, silent_s=round(seconds, 1), mode=last.mode if last is not None else "")

    # -- the emergency ----------------------------------------------------------------------------------------------------
    async def _leave(self, latch: Latch) -> None:
        """Leave every venue and write down that it was done; whatever happens, go on until it is true."""
        self.page.shut()
        self.latch = latch
        self._keep(latch)
        self._stand(LEAVING, latch.why)
        while True:
            done = await asyncio.gather(*(self._flatten(account) for account in self.accounts))
            closed = dict.fromkeys((*latch.closed, *(str(name) for each in done for name in each.closed)))
            latch = replace(latch, is_done=True, done_ns=time.time_ns(), closed=tuple(closed), orders=latch.orders + sum(each.orders for each in done))
            self.latch = latch
            self._keep(latch)
            self._stand(LATCHED, str(latch))
            if not await self._is_more_to_come():
                return
            self._stand(LEAVING, "something was filled after the venue had been left")

    async def _flatten(self, account: GuardedAccount) -> Flattened:
        run = f"outg{secrets.token_hex(4)}"
        for attempt in range(1, 1 << 30):
            try:
                return await Flattening(account.client, f"{run}{attempt:x}", say=self.say).leave()
            except Exception as error:  # whatever is wrong: something is open and nobody else is here to close it
                self.say(f"leaving {account.client.family} failed ({type(error).__name__}: {error}); beginning again")
                await asyncio.sleep(1.0)
        raise AssertionError

    async def _is_anybody_in_the_market(self) -> bool:
        """Ask every account, each within its time. Raises VenueUnavailable, Unreadable, TimeoutError."""
        found = []
        for account in self.accounts:
            async with asyncio.timeout(self.order.timeout_s * 2):
                found.append(await account.is_in_the_market())
        return any(found)

    async def _is_more_to_come(self) -> bool:
        """Look for what was on its way, while the session lives and says nothing and hence does not do it itself."""
        until = asyncio.get_running_loop().time() + LATE_S
        while self._is_silent and not self._is_alone() and self.state == LATCHED and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(QUICK_LOOK_S)
            try:
                if self._is_silent and await self._is_anybody_in_the_market():
                    return True
            except (VenueUnavailable, Unreadable, TimeoutError) as error:
                self.say(f"looking for what is late: {error}")
        return False

    async def _stay_latched(self) -> None:
        self.page.shut()
        self._stand(LATCHED, str(self.latch))

    def _keep(self, latch: Latch) -> None:
        """Write the latch down; a disk that does not take it is asked again and keeps nothing else waiting."""
        try:
            write_latch(self._folder, latch)
            self._unkept = None
        except OSError as error:
            self.say(f"the latch cannot be written: {error.strerror}")
            self._unkept = latch
