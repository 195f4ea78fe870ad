"""One account at Bybit: orders over the trade websocket while it is open, else over REST under the same order id; everything else over REST."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field

from titan_core.errors import ConfigError, Unreadable, UsageError, VenueUnavailable
from titan_core.execution.bybit import words
from titan_core.execution.bybit.door import Door, Reply
from titan_core.execution.bybit.words import CATEGORY, Instruments
from titan_core.execution.client import OnAnswer
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.outcomes import SUCCESS, Outcome
from titan_core.execution.reports import Answer, Execution, OrderReport, PositionReport, WalletReport
from titan_core.feed.tasks import Tasks
from titan_core.model.enums import InstrumentKind
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved
from titan_core.model.units import MS

PAGE = 50
MAX_PAGES = 40


class OrderEntry:
    """The trade websocket as the client uses it; without one everything goes over REST."""

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return False

    def send(self, op: str, parameters: Mapping[str, Any], answered: OnAnswer) -> None:
        """Send a request; `answered` is called exactly once."""
        raise NotImplementedError


@define
class BybitClient:
    """Implements `titan_core.execution.client.VenueClient`."""

    door: Door
    known: Instruments
    entry: OrderEntry = field(factory=OrderEntry)
    now_ns: Callable[[], int] = time.time_ns
    _tasks: Tasks = field(factory=lambda: Tasks("the Bybit client"))
    family: str = "bybit"

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What we trade here."""
        return self.known.all

    @property
    def limiter(self) -> Limiter:
        """The budget of requests."""
        return self.door.limiter

    # -- orders -----------------------------------------------------------------------------------------------------
    def place(self, approved: Approved, answered: OnAnswer) -> None:
        """Send an order now; see VenueClient.place."""
        try:
            parameters = words.order_parameters(approved)
        except UsageError as error:
            answered(Answer(Outcome.REJECTED, None, str(error)))
            return
        self._order("order.create", "v5/order/create", parameters, answered)

    def cancel(self, instrument: Instrument, client_order_id: ClientOrderId, venue_order_id: str, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw an order."""
        ident = {"orderLinkId": client_order_id} if client_order_id else {"orderId": venue_order_id}
        parameters = {"category": CATEGORY[instrument.venue], "symbol": instrument.symbol} | ident
        self.limiter.run(lane, lambda: self._order("order.cancel", "v5/order/cancel", parameters, answered))

    def protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane, answered: OnAnswer) -> None:
        """Set what rests at the venue for the open position."""
        self._tasks.start(self._post(lane, "v5/position/trading-stop", words.protection_parameters(instrument, stop, target), answered))

    def withdraw_all(self, *, protective: bool, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw every order of the perpetuals at once; spot orders as well where we trade spot."""
        scope = "StopOrder" if protective else "Order"
        spot = "spot" in self.known.categories and not protective
        pages = [{"category": "linear", "settleCoin": "USDT", "orderFilter": scope}] + ([{"category": "spot", "orderFilter": scope}] if spot else [])
        self._tasks.start(self._withdraw(pages, lane, answered))

    async def _withdraw(self, pages: list[dict[str, str]], lane: Lane, answered: OnAnswer) -> None:
        for parameters in pages:
            reply = await self.door.call(lane, "POST", "v5/order/cancel-all", parameters)
            if reply.outcome not in SUCCESS:
                break
        answered(_answer(reply))

    def _order(self, op: str, path: str, parameters: Mapping[str, Any], answered: OnAnswer) -> None:
        """Send what the limiter has admitted: over the trade websocket while it is open, else over REST."""
        if self.entry.is_open:
            self.entry.send(op, parameters, answered)
        else:
            self._tasks.start(self._post_now(path, parameters, answered))

    async def _post(self, lane: Lane, path: str, parameters: Mapping[str, Any], answered: OnAnswer) -> None:
        answered(_answer(await self.door.call(lane, "POST", path, parameters)))

    async def _post_now(self, path: str, parameters: Mapping[str, Any], answered: OnAnswer) -> None:
        answered(_answer(await self.door.send("POST", path, parameters)))

    async def close(self) -> None:
        """End what is under way."""
        await self._tasks.close()

    # -- reads ------------------------------------------------------------------------------------------------------
    async def _get(self, path: str, parameters: Mapping[str, Any], *, lane: Lane = Lane.READ) -> Any:
        reply = await self.door.call(lane, "GET", path, parameters)
        if reply.outcome not in SUCCESS:
            raise reply.failure(f"bybit {path}")
        return reply.result

    async def _pages(self, path: str, parameters: Mapping[str, Any], limit: int = PAGE, *, lane: Lane = Lane.READ) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        cursor = ""
        for _ in range(MAX_PAGES):
            result = await self._get(path, {**parameters, "limit": limit} | ({"cursor": cursor} if cursor else {}), lane=lane)
            page = words.rows(result, path)
            found += page
            following = str(result.get("nextPageCursor") or "")
            if not page or not following or following == cursor:
                return found
            cursor = following
        raise Unreadable(f"bybit {path}: more than {MAX_PAGES} pages of {limit}; the end was not reached")

    async def look_up(self, instrument: Instrument, client_order_id: ClientOrderId) -> OrderReport | None:
        """Ask for an order among the open and the closed; None only where both lists were readable and empty."""
        for path in ("v5/order/realtime", "v5/order/history"):
            asked = {"category": CATEGORY[instrument.venue], "symbol": instrument.symbol, "orderLinkId": client_order_id}
            for row in words.rows(await self._get(path, asked, lane=Lane.EXIT), path):
                if row.get("orderLinkId") == client_order_id:
                    return words.order_report(instrument, row)
        return None

    async def open_orders(self, *, lane: Lane = Lane.READ, protective: bool = True) -> list[OrderReport]:
        """Return all open orders of the instruments that we trade."""
        reports = []
        scope = {} if protective else {"orderFilter": "Order"}
        for category in self.known.categories:
            settle = {"settleCoin": "USDT"} if category == "linear" else {}
            for row in await self._pages("v5/order/realtime", {"category": category, "openOnly": 0} | settle | scope, lane=lane):
                instrument = self.known.find(category, row.get("symbol"))
                if instrument is not None:
                    report = words.order_report(instrument, row)
                    if not report.status.is_final:
                        reports.append(report)
        return reports

    async def positions(self, *, lane: Lane = Lane.READ) -> list[PositionReport]:
        """Return all open positions in perpetuals that we trade."""
        if "linear" not in self.known.categories:
            return []
        found = []
        for row in await self._pages("v5/position/list", {"category": "linear", "settleCoin": "USDT"}, 200, lane=lane):
            instrument = self.known.find("linear", row.get("symbol"))
            held = None if instrument is None else words.position(instrument, row)
            if held is not None:
                found.append(held)
        return found

    async def executions(self, since_ns: int) -> list[Execution]:
        """Return the executions since a moment, oldest first."""
        found: list[Execution] = []
        for category in self.known.categories:
            rows = await self._pages("v5/execution/list", {"category": category, "startTime": since_ns // MS}, 100)
            found += self.read_executions(category, rows)
        return sorted(found, key=lambda e: e.ts_event_ns)

    def read_executions(self, category: str, rows: Iterable[Mapping[str, Any]]) -> list[Execution]:
        """Read executions, those of other instruments left out."""
        found = []
        for row in rows:
            instrument = self.known.find(row.get("category", category), row.get("symbol"))
            if instrument is not None:
                found.append(words.execution(instrument, row))
        return found

    async def wallet(self) -> WalletReport:
        """Return the unified account."""
        path = "v5/account/wallet-balance"
        accounts = words.rows(await self._get(path, {"accountType": "UNIFIED"}), path)
        if len(accounts) != 1:
            raise Unreadable(f"bybit {path}: expected one unified account, found {len(accounts)}")
        return words.wallet(accounts[0])

    async def clock_offset_ns(self) -> int:
        """Return the venue's clock minus ours."""
        before = self.now_ns()
        result = await self._get("v5/market/time", {})
        after = self.now_ns()
        try:
            venue_ns = int(result["timeNano"])
        except (KeyError, TypeError, ValueError):
            raise Unreadable(f"bybit v5/market/time: expected timeNano, found {str(result)[:80]!r}") from None
        return venue_ns - (before + after) // 2

    # -- before trading -----------------------------------------------------------------------------------------------
    async def prepare(self, leverage: Mapping[InstrumentId, int]) -> None:
        """Assert one-way mode (positions of both modes are read), set leverage, assert that each instrument trades on the grid that we assume."""
        await self.positions()
        for instrument in self.instruments:
            await self._check_rules(instrument)
            times = leverage.get(instrument.id)
            if instrument.kind is InstrumentKind.PERP and times is not None:
                asked = {"category": "linear", "symbol": instrument.symbol, "buyLeverage": str(times), "sellLeverage": str(times)}
                reply = await self.door.call(Lane.PROTECT, "POST", "v5/position/set-leverage", asked)
                if reply.outcome not in SUCCESS:
                    raise VenueUnavailable(f"bybit: leverage {times} for {instrument.symbol} was not set: {reply.outcome} ({reply.code}): {reply.message}")

    async def _check_rules(self, instrument: Instrument) -> None:
        path = "v5/market/instruments-info"
        listed = words.rows(await self._get(path, {"category": CATEGORY[instrument.venue], "symbol": instrument.symbol}), path)
        if len(listed) != 1:
            raise ConfigError(f"bybit does not list {instrument.symbol} ({CATEGORY[instrument.venue]}); remove it from the configuration")
        row = listed[0]
        if row.get("status") != "Trading":
            raise ConfigError(f"bybit: {instrument.symbol} is not trading (status {row.get('status')!r}); close it by hand or wait")
        sizes, prices = row.get("lotSizeFilter") or {}, row.get("priceFilter") or {}
        lot = sizes.get("qtyStep") or sizes.get("basePrecision") or ""
        for name, ours, theirs in (("tick size", instrument.tick_size, prices.get("tickSize")), ("lot size", instrument.lot_size, lot)):
            if not theirs or words.plain(ours) != words.plain(type(ours)(theirs)):
                raise ConfigError(f"bybit: the {name} of {instrument.symbol} is {theirs}, Titan assumes {ours}; renew the instrument's terms")


def _answer(reply: Reply) -> Answer:
    ident = reply.result.get("orderId", "") if isinstance(reply.result, Mapping) else ""
    outcome = reply.outcome
    if outcome is Outcome.ACCEPTED and not isinstance(reply.result, Mapping):
        outcome = Outcome.UNKNOWN
    return Answer(outcome, reply.code, reply.message, str(ident))
