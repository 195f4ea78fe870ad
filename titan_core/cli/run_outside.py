"""`titan run` on markets that are not in this process: paper on live feeds, a venue in a box of its own, and live."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import evolve

from titan_core.app.control.private import make_folder
from titan_core.app.guard.guard import Guard, GuardedVenue, GuardError, GuardTimes
from titan_core.app.guard.watching import watch
from titan_core.app.live.accounts import joiner
from titan_core.app.live.outside import Outside
from titan_core.app.live.paper_account import PaperAccount
from titan_core.app.live.setup import Setup
from titan_core.cli.confirm import confirm, confirmation_phrase
from titan_core.cli.output import print_note
from titan_core.cli.run_plan import Plan
from titan_core.cli.run_screen import follow
from titan_core.engine.heard import Wish
from titan_core.errors import TitanError, UsageError, VenueUnavailable
from titan_core.execution.access import Access
from titan_core.execution.choice import Candidate, Choice, choose
from titan_core.feed.hosts import HostPolicy
from titan_core.feed.rest.port import VenueRest
from titan_core.feed.venues import PUBLIC, box_endpoints, rests
from titan_core.model.enums import Side
from titan_core.model.ids import VenueId
from titan_core.model.instrument import Instrument
from titan_core.model.units import MONEY_PER_USDT

if TYPE_CHECKING:
    from titan_core.app.live.session import Session
    from titan_core.execution.secrets.keystore import ApiKey

SPOT_DATA = VenueId("binance-spot")
"""Where signals of the spot market come from; it is data only."""
PERPS: Mapping[str, VenueId] = {"bybit": VenueId("bybit-linear"), "mexc": VenueId("mexc-contract")}
"""Where orders go, by the family that a key is from."""
REAL_REST: Mapping[str, str] = {"bybit": "https://api.bybit.com", "mexc": "https://contract.mexc.com"}
REAL_SOCKET: Mapping[str, str] = {"bybit": "wss://stream.bybit.com", "mexc": "wss://contract.mexc.com/edge"}
TRIES = 6
GUARD_READY_S = 20.0


def run_outside(plan: Plan, *, box_url: str | None, keys: "Mapping[str, ApiKey] | None", mode: str) -> None:
    """Run until stopped. `box_url` leads to a venue in a box; without keys orders never leave this process, with keys they are sent where they serve best."""
    make_folder(plan.where.folder)
    asyncio.run(_Outing(plan, box_url, mode).run(keys))


class _Outing:
    """One run."""

    def __init__(self, plan: Plan, box_url: str | None, mode: str) -> None:
        self._plan, self._box_url, self._mode = plan, box_url, mode
        # with a venue in a box nothing else is spoken to, else nothing on this machine
        self._policy = HostPolicy.of((SPOT_DATA, *PERPS.values())) if box_url is None else HostPolicy.of((), simulator=True)

    async def run(self, keys: "Mapping[str, ApiKey] | None") -> None:
        async with Outside(self._policy) as outside:
            endpoints = box_endpoints(self._box_url) if self._box_url else PUBLIC
            reads = rests(endpoints, outside.fetch)
            family = await self._venue(reads, keys)
            venues = (SPOT_DATA, PERPS[family])
            instruments = [i for venue in venues for i in await _listed(reads[venue], self._plan.coins)]
            setup = self._setup(outside, {v: endpoints[v] for v in venues}, {v: reads[v] for v in venues}, tuple(map(self._plan.on_terms, instruments)), family)
            if keys is None:
                account = PaperAccount(setup.instruments, self._plan.deposit, time.time_ns)
                setup = evolve(setup, join=account.join, exchange=account.handler, on_kept=account.remember)
                await self._follow(setup)
            else:
                await self._guarded(evolve(setup, join=self._joiner(outside, setup, family, keys[family])), family, keys[family])

    # -- which venue ------------------------------------------------------------------------------------------------
    async def _venue(self, reads: Mapping[VenueId, VenueRest], keys: "Mapping[str, ApiKey] | None") -> str:
        """Choose where orders go: by capability, health, fee and price, among the venues that a key opens."""
        if keys is None:
            return "bybit"
        candidates = [await self._candidate(reads[PERPS[family]]) for family in keys]
        choice: Choice = choose(Side.BUY, candidates)
        if choice.venue is None:
            raise VenueUnavailable(choice.why)
        if len(candidates) > 1:
            print_note(f"orders go to {choice.why}")
        return next(family for family, venue in PERPS.items() if venue == choice.venue)

    async def _candidate(self, rest: VenueRest) -> Candidate:
        terms = self._plan.config.venue(rest.venue)
        try:
            listed = await _listed(rest, self._plan.coins)
            bid, ask = await rest.newest(listed[0])
        except (UsageError, VenueUnavailable) as error:
            return Candidate(venue=rest.venue, cannot=str(error))
        unit = int(listed[0].tick_size * MONEY_PER_USDT)
        return Candidate(venue=rest.venue, maker_fee_ppm=terms.maker_fee_ppm, taker_fee_ppm=terms.taker_fee_ppm, bid=bid * unit, ask=ask * unit)

    # -- the parts of a session ---------------------------------------------------------------------------------------
    def _setup(self, outside: Outside, endpoints: Any, reads: Any, instruments: tuple[Instrument, ...], family: str) -> Setup:
        def nobody(listener: Any, now_ns: Any) -> Any:
            raise AssertionError("no account was joined")

        plan = self._plan
        return Setup(
            identity=plan.identity(self._mode, "simulator" if self._box_url else "live"), bindings=plan.bindings, limits=plan.config.brain,
            instruments=instruments, order_venues=frozenset({PERPS[family]}), clock=time.time_ns, wall=time.time_ns, steady=time.monotonic_ns,
            jitter=random.SystemRandom().random, transport=outside.transport, endpoints=endpoints, rests=reads, join=nobody,
            open_journal=plan.journal(time.time_ns), recording=plan.recording(), history_bars=plan.config.live.history_bars,
        )  # fmt: skip

    def _urls(self, family: str) -> tuple[str, str]:
        if self._box_url is None:
            return REAL_REST[family], REAL_SOCKET[family]
        path = "/edge" if family == "mexc" else ""
        return f"{self._box_url}/{family}", f"ws{self._box_url.removeprefix('http')}/{family}{path}"

    def _joiner(self, outside: Outside, setup: Setup, family: str, key: "ApiKey") -> Any:
        rest_url, socket_url = self._urls(family)
        access = Access(socket_url=socket_url, key=key.key.reveal(), secret=key.secret.reveal().encode())
        return joiner(family, access, rest_url, setup.instruments, transport=outside.transport, jitter=setup.jitter, http=outside.http_of)

    async def _guarded(self, setup: Setup, family: str, key: "ApiKey") -> None:
        """Run with a guard process beside it, which leaves the market where this one hangs."""
        if self._mode == "live":
            await self._confirm(setup, family)
        traded = [i for i in setup.instruments if i.venue in setup.order_venues]
        rest_url, _ = self._urls(family)
        venue = GuardedVenue(
            family=family, rest_url=rest_url, key=key.key, secret=key.secret, instruments=traded, is_simulator=self._box_url is not None
        )  # fmt: skip
        sessions: list[Session] = []

        def latched(latch: Any) -> None:
            if sessions and sessions[0].is_ready.is_set():
                sessions[0].ask(Wish.PANIC, f"the guard: {latch.why}")

        guard = Guard(
            self._plan.where.folder, [venue], on_latch=latched, say=lambda text: sessions[0].note("guard", text) if sessions else print_note(text),
            adopt_stop_bps=self._plan.config.brain.adopt_stop_bps,
            times=GuardTimes(hang_s=float(self._plan.config.live.guard_hang_s)),
        )  # fmt: skip

        def begun(session: "Session") -> None:
            sessions.append(session)
            guard.attend(watch(session))

        async with guard:
            try:
                await guard.ready(GUARD_READY_S)
            except GuardError as error:
                print_note(f"{error}; no entry passes until there is one")
            latched_why = str(guard.latch) if guard.latch is not None else ""
            await self._follow(evolve(setup, join=guard.gated(setup.join), latched=latched_why, before_resume=guard.release), begun)

    async def _confirm(self, setup: Setup, family: str) -> None:
        """Read the account's equity and have it typed that this account is meant. Raises NotConfirmed, UsageError without a terminal."""
        account = setup.join(_Deaf(), time.time_ns)
        try:
            wallet = await account.client.wallet()
        except TitanError as error:
            raise VenueUnavailable(f"{family} does not tell what the account holds: {error}") from None
        finally:
            close = getattr(account, "exchange", None)
            if close is not None:
                await close.close()
        await asyncio.to_thread(confirm, confirmation_phrase(self._plan.name, family, wallet.equity))

    async def _follow(self, setup: Setup, begun: "Callable[[Session], None]" = lambda session: None) -> None:
        plan = self._plan
        await follow(setup, plan.where, seconds=plan.seconds, json=plan.json, levels_bps=plan.levels_bps, begun=begun)


class _Deaf:
    """Hears nothing of an account that is only read."""

    def on_report(self, report: Any) -> None:
        """Nothing."""

    def on_execution(self, execution: Any) -> None:
        """Nothing."""

    def on_stream(self, is_up: bool, reason: str) -> None:
        """Nothing."""


async def _listed(rest: VenueRest, coins: tuple[str, ...]) -> list[Instrument]:
    """Read what a venue trades and pick the coins, quoted in USDT. Raises UsageError for a coin that it does not list."""
    listed, _ = await _patiently(rest)
    by_base = {instrument.base: instrument for instrument in listed if instrument.quote == "USDT"}
    for coin in coins:
        if coin not in by_base:
            raise UsageError(f"{rest.venue} lists no {coin}/USDT; it lists {len(by_base)} coins, such as {', '.join(sorted(by_base)[:5])}")
    return [by_base[coin] for coin in coins]


async def _patiently(rest: VenueRest) -> tuple[list[Instrument], list[str]]:
    """Ask a venue for its instruments; it may be down for a moment. Raises VenueUnavailable where it stays so."""
    wait_s = 0.5
    for attempt in range(1, TRIES + 1):
        try:
            return await rest.instruments()
        except VenueUnavailable as error:
            if attempt == TRIES:
                text = f"{rest.venue} does not answer after {TRIES} attempts: {error}"
                raise VenueUnavailable(f"{text}; look at your connection and at the venue's status page") from None
            print_note(f"{rest.venue} does not answer (attempt {attempt} of {TRIES}): {error}")
        await asyncio.sleep(wait_s)
        wait_s *= 2
    raise AssertionError
