"""An execution service on an account at the venue in a box: real words and real signatures, no sockets, virtual time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from titan_core.execution.access import Access
from titan_core.execution.bybit import account as bybit
from titan_core.execution.bybit.account import BybitAccount
from titan_core.execution.bybit.words import Instruments
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.mexc import account as mexc
from titan_core.execution.mexc.account import MexcAccount
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.outcomes import Outcome
from titan_core.execution.reports import Execution
from titan_core.execution.service import ExecutionService
from titan_core.execution.tracker import TrackedOrder
from titan_core.model.enums import Side
from titan_core.model.ids import ClientOrderId, InstrumentId, PhaseId, StrategyId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved, Intent
from titan_core.simulator.box import Box
from titan_core.simulator.ccxt_plug import redirect
from titan_core.simulator.exchange import Exchange
from titan_core.simulator.faults import Rule
from titan_core.simulator.inprocess import BoxHttp, BoxTransport
from titan_core.simulator.orders import Kind, NewOrder, Refusal
from titan_core.simulator.virtual_loop import run_virtual
from titan_core.simulator.wire import Credential

PERP = InstrumentId("BTCUSDT.bybit-linear")
PERPS = {"bybit": PERP, "mexc": InstrumentId("BTCUSDT.mexc-contract")}


class Owner:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.executions: list[Execution] = []
        self.ended: dict[ClientOrderId, str] = {}
        self.troubles: list[Outcome] = []

    def on_order(self, order: TrackedOrder) -> None:
        if order.is_done:
            assert order.client_order_id not in self.ended, "an order ends once"
            self.ended[order.client_order_id] = f"{order.status} {order.filled_lots}"

    def on_execution(self, execution: Execution, order: TrackedOrder | None) -> None:
        self.executions.append(execution)

    def on_trouble(self, outcome: Outcome, message: str) -> None:
        self.troubles.append(outcome)

    @property
    def position(self) -> int:
        return sum(e.signed_lots for e in self.executions)


class Relay:
    """Passes on what the private stream says; the service comes after the account."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.to, name)


class Rig:
    """The box, the account, the service and its owner."""

    def __init__(self, box: Box, account: Any, service: ExecutionService, owner: Owner, relay: Relay, venue: str = "bybit") -> None:
        self.box, self.account, self.service, self.owner, self.relay = box, account, service, owner, relay
        self.venue: Exchange = box.exchanges[venue]
        self.perp: Instrument = self.venue.account.listings[PERPS[venue]].instrument
        self.serial = 0
        self.journalled: list[ClientOrderId] = []

    def restart(self) -> ExecutionService:
        """Put a new service that knows nothing in the place of the old one, as after a crash; the owner is new as well."""
        self.owner = Owner()
        self.service = ExecutionService(self.account.client, self.owner, lambda approved, send, failed: send())
        self.relay.to = self.service
        return self.service

    def approved(self, signed_lots: int, **terms: Any) -> Approved:
        self.serial += 1
        ident = ClientOrderId(f"p.s.1.{self.serial}")
        intent = Intent(client_order_id=ident, phase=PhaseId("p"), strategy=StrategyId("s"), instrument=self.perp, signed_lots=signed_lots, **terms)
        return Approved(intent, signed_lots, ())

    def submit(self, signed_lots: int, lane: Lane = Lane.ENTRY, **terms: Any) -> TrackedOrder:
        return self.service.submit(self.approved(signed_lots, **terms), lane)

    @property
    def touch(self) -> tuple[int, int]:
        """Best bid and ask of the perpetual now, in ticks."""
        account = self.venue.account
        bid, ask, *_ = account.depth.best(account.listings[self.perp.id])
        return bid, ask

    @property
    def venue_position(self) -> int:
        held = self.venue.account.positions.get(self.perp.id)
        return held.lots if held else 0

    def hold(self, positions: int, orders: int = 0) -> None:
        """Open positions of both sides, each with a stop, and orders below the market, at the venue itself and at once."""
        exchange = self.venue
        perps = [listing for listing in exchange.account.listings.values() if listing.instrument.is_perp]
        for number in range(positions + orders):
            listing = perps[number % len(perps)]
            last = exchange.account.depth.last(listing)
            lots = max(1, int(Decimal(50) / (last * listing.instrument.tick_size * listing.instrument.lot_size)))
            side = (Side.BUY, Side.SELL)[number % 2] if number < positions else Side.BUY
            terms = {"kind": Kind.MARKET} if number < positions else {"kind": Kind.LIMIT, "price": last * 95 // 100}
            made = exchange.place(NewOrder(instrument=listing.instrument.id, side=side, lots=lots, **terms))
            assert not isinstance(made, Refusal), made

    @property
    def held(self) -> dict[InstrumentId, int]:
        """What the venue holds for us."""
        return {name: position.lots for name, position in self.venue.account.positions.items() if position.lots}

    @property
    def venue_links(self) -> list[str]:
        """The client ids of all orders that the venue has ever created on our behalf, by its executions and open orders; as the venue writes them."""
        account = self.venue.account
        return [e.order.link_id for e in account.executions if e.order.link_id] + [o.link_id for o in account.open_orders.values() if o.link_id]

    async def settled(self, within_s: float = 120.0) -> None:
        """Wait until every order has ended and nothing is missing."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while self.service.tracker.open_orders():
            assert loop.time() < end, self.service.tracker.open_orders()
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)


def _bybit(box: Box, key: Credential, listener: Any, over_socket: bool, common: dict[str, Any]) -> BybitAccount:
    listed = [listing.instrument for listing in box.exchanges["bybit"].account.listings.values()]
    perps = Instruments([instrument for instrument in listed if instrument.is_perp])
    access = Access(socket_url="ws://box/bybit", key=key.key, secret=key.secret.encode())
    return bybit.join(access, perps, listener, over_socket=over_socket, **common)


def _mexc(box: Box, key: Credential, listener: Any, over_socket: bool, common: dict[str, Any]) -> MexcAccount:
    contracts = Contracts(listing.instrument for listing in box.exchanges["mexc"].account.listings.values())
    access = Access(socket_url="ws://box/mexc/edge", key=key.key, secret=key.secret.encode())
    return mexc.join(access, contracts, listener, **common)


def run(
    scene: Callable[[Rig], Awaitable[None]],
    *,
    faults: tuple[Rule, ...] = (),
    seed: int = 1,
    over_socket: bool = True,
    rate: float = 10.0,
    coins: int = 0,
    venue: str = "bybit",
) -> Rig:
    """Run a scene on a fresh box with `coins` perpetuals beyond BTC; the faults begin once the streams are up. Returns the rig, ended.

    `over_socket` is about orders at Bybit; MEXC takes them over REST only.
    """
    import ccxt.async_support as ccxt

    box = Box(seed, ticks_per_day=200_000, balance_usdt=1_000_000, extra_coins=coins)
    kept: list[Rig] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        key = Credential()
        exchange = {"bybit": ccxt.bybit, "mexc": ccxt.mexc}[venue]({"apiKey": key.key, "secret": key.secret})
        redirect(exchange, "http://box")
        exchange.nonce = lambda: box.now_ns() // 1_000_000
        through = BoxHttp(box)

        async def http(url: str, method: str, headers: Any, body: str | None) -> Any:
            response = await through.request(method, url, dict(headers or {}), (body or "").encode())
            return response.status, response.headers, response.body.decode()

        limiter = Limiter(loop.time, loop.call_later, rate_per_s=rate, burst=rate, reserved=rate * 0.4)
        relay, owner = Relay(), Owner()
        common = {
            "exchange": exchange, "http": http, "transport": BoxTransport(box), "now_ns": box.now_ns,
            "jitter": random.Random(seed).random, "limiter": limiter, "timeout_s": 2.0,
        }  # fmt: skip
        account: Any = {"bybit": _bybit, "mexc": _mexc}[venue](box, key, relay, over_socket, common)
        rig: Rig

        def write_ahead(approved: Approved, send: Callable[[], None], failed: Callable[[str], None]) -> None:
            rig.journalled.append(approved.intent.client_order_id)
            loop.call_soon(send)

        relay.to = service = ExecutionService(account.client, owner, write_ahead)
        rig = Rig(box, account, service, owner, relay, venue)
        kept.append(rig)
        running = loop.create_task(account.run())
        while not service.is_streaming or (venue == "bybit" and over_socket and not account.client.entry.is_open):
            await asyncio.sleep(0.05)
        for rule in faults:
            box.add_fault(rule)
        try:
            await scene(rig)
        finally:
            running.cancel()
            await rig.service.close()
            await service.close()
            await asyncio.gather(running, return_exceptions=True)
            await exchange.close()

    run_virtual(main(), box.clock, box)
    return kept[0]
