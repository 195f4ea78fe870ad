"""One account at MEXC contract, all of it over REST: the venue has no other way for orders."""

import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from attrs import define, evolve, field
from msgspec.structs import replace

from titan_core.errors import ConfigError, Unreadable, UsageError, VenueUnavailable
from titan_core.execution.client import OnAnswer
from titan_core.execution.limiter import Lane, Limiter
from titan_core.execution.mexc import words
from titan_core.execution.mexc.door import Door, Reply
from titan_core.execution.mexc.ids import external_id
from titan_core.execution.mexc.orders import Gate, OrderNames
from titan_core.execution.mexc.reading import Reader, unavailable
from titan_core.execution.mexc.stops import Stops
from titan_core.execution.mexc.words import Contracts
from titan_core.execution.outcomes import SUCCESS, Outcome, of_code
from titan_core.execution.reports import Answer, Execution, OrderReport, PositionReport, WalletReport
from titan_core.feed.tasks import Tasks
from titan_core.model.ids import ClientOrderId, InstrumentId
from titan_core.model.instrument import Instrument
from titan_core.model.order import Approved
from titan_core.model.units import MS, D, S

BATCH = 50
LOOKS_BACK_NS = 89 * D
"""The venue answers for 90 days at most."""
LATE_NS = 60 * S
"""How long the venue may list an execution before the order that it belongs to."""


@define
class MexcClient:
    """Implements `titan_core.execution.client.VenueClient`."""

    door: Door
    known: Contracts
    now_ns: Callable[[], int] = time.time_ns
    """The venue's clock as well as we know it."""
    names: OrderNames = field(factory=OrderNames)
    gate: Gate = field(factory=Gate)
    family: str = "mexc"
    _leverage: dict[InstrumentId, int] = field(factory=dict)
    _tasks: Tasks = field(factory=lambda: Tasks("the MEXC client"))
    _reader: Reader = field(init=False)
    _stops: Stops = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._reader = Reader(self.door, self.known)
        self._stops = Stops(self._reader)

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
            parameters = words.order_parameters(approved, self._leverage.get(approved.intent.instrument.id))
        except UsageError as error:
            answered(Answer(Outcome.REJECTED, None, str(error)))
            return
        refused = None if approved.intent.reduce_only else self.gate.refusal()
        if refused is not None:
            answered(refused)
            return
        self._tasks.start(self._place(parameters, answered))

    async def _place(self, parameters: Mapping[str, Any], answered: OnAnswer) -> None:
        reply = await self.door.send("POST", "order/create", parameters)
        answer = self.gate.heed(reply)
        if answer.outcome is Outcome.ACCEPTED:
            made = reply.result.get("orderId") if isinstance(reply.result, Mapping) else reply.result
            if isinstance(made, (str, int)) and not isinstance(made, bool) and made:
                self.names.learn(str(made), parameters["externalOid"])
                answer = replace(answer, venue_order_id=str(made))
            else:
                answer = replace(answer, outcome=Outcome.UNKNOWN, message=f"accepted without an id: {str(reply.result)[:80]!r}")
        answered(answer)

    def cancel(self, instrument: Instrument, client_order_id: ClientOrderId, venue_order_id: str, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw an order: by the venue's id where it is known, for which alone the venue says what became of it."""
        try:
            ours = "" if venue_order_id else external_id(client_order_id)
        except UsageError as error:
            answered(Answer(Outcome.REJECTED, None, str(error)))
            return
        path = "order/cancel_with_external" if ours else "order/cancel"
        asked = [{"symbol": words.symbol(instrument), "externalOid": ours}] if ours else [venue_order_id]
        self._tasks.start(self._cancel(lane, path, asked, answered))

    async def _cancel(self, lane: Lane, path: str, asked: list[Any], answered: OnAnswer) -> None:
        reply = await self.door.call(lane, "POST", path, asked)
        outcome, code, message = reply.outcome, reply.code, reply.message
        row = reply.result[0] if isinstance(reply.result, list) and reply.result else reply.result
        said = row.get("errorCode") if isinstance(row, Mapping) else None
        if outcome is Outcome.ACCEPTED and isinstance(row, Mapping) and isinstance(said, int) and said:
            outcome, code, message = of_code("mexc", said), said, str(row.get("errorMsg") or "")
        answered(Answer(outcome, code, message))

    def protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane, answered: OnAnswer) -> None:
        """Set what rests at the venue for the open position."""
        self._tasks.start(self._protect(instrument, stop, target, lane, answered))

    async def _protect(self, instrument: Instrument, stop: int | None, target: int | None, lane: Lane, answered: OnAnswer) -> None:
        answered(_answer(await self._stops.set(instrument, stop, target, lane)))

    def withdraw_all(self, *, protective: bool, lane: Lane, answered: OnAnswer) -> None:
        """Withdraw every order of the account at once, conditional ones too, which may open; or (`protective`) what rests on positions."""
        paths = ["stoporder/cancel_all"] if protective else ["order/cancel_all", "planorder/cancel_all"]
        self._tasks.start(self._withdraw(paths, lane, answered))

    async def _withdraw(self, paths: list[str], lane: Lane, answered: OnAnswer) -> None:
        for path in paths:
            reply = await self._reader.call(lane, "POST", path, {})
            if reply.outcome is Outcome.NOT_FOUND:
                reply = evolve(reply, outcome=Outcome.UNCHANGED)
            if reply.outcome not in SUCCESS:
                break
        answered(_answer(reply))

    async def close(self) -> None:
        """End what is under way."""
        await self._tasks.close()

    # -- reads ------------------------------------------------------------------------------------------------------
    async def look_up(self, instrument: Instrument, client_order_id: ClientOrderId) -> OrderReport | None:
        """Ask for an order by our id. None where the venue says that it has none, or where it says nothing and all its lists of orders are without it."""
        try:
            external = external_id(client_order_id)
        except UsageError:
            return None  # what cannot be written was not sent
        path = f"order/external/{words.symbol(instrument)}/{external}"
        reply = await self.door.call(Lane.EXIT, "GET", path, {})
        if reply.outcome is Outcome.NOT_FOUND:
            return None
        if reply.outcome not in SUCCESS:
            raise unavailable(path, reply)
        row = reply.result
        if isinstance(row, Mapping) and not words.is_duplicate(row):
            if words.client_order(row) != client_order_id:
                raise Unreadable(f"mexc {path}: asked for {external}, found {str(row)[:120]}")
            return self._report(instrument, row)
        found = await self._listed(instrument, client_order_id)
        if found is None and row is not None:
            raise Unreadable(f"mexc {path}: only the void double of the order was found")
        return found

    async def _listed(self, instrument: Instrument, client_order_id: ClientOrderId) -> OrderReport | None:
        for path in ("order/list/open_orders", "order/list/history_orders"):
            for row in await self._reader.pages(path, {"symbol": words.symbol(instrument)}, lane=Lane.EXIT):
                if words.client_order(row) == client_order_id and not words.is_duplicate(row):
                    return self._report(instrument, row)
        return None

    def _report(self, instrument: Instrument, row: Mapping[str, Any]) -> OrderReport:
        self.names.learn(*words.order_of(row))
        return words.order_report(instrument, row)

    async def open_orders(self, *, lane: Lane = Lane.READ, protective: bool = True) -> list[OrderReport]:
        """Return all open orders of the instruments that we trade, conditional ones too."""
        reports = []
        for row in await self._reader.pages("order/list/open_orders", {}, lane=lane):
            instrument = self.known.find(row.get("symbol"))
            if instrument is not None and not words.is_duplicate(row):
                report = self._report(instrument, row)
                if not report.status.is_final:
                    reports.append(report)
        for row in await self._reader.pages("planorder/list/orders", {"states": "1"}, lane=lane):
            instrument = self.known.find(row.get("symbol"))
            if instrument is not None and words.whole(row, "state") == 1:
                reports.append(words.plan_report(instrument, row))
        if protective:
            reports += [stop.report() for stop in await self._stops.resting(lane)]
        return reports

    async def positions(self, *, lane: Lane = Lane.READ) -> list[PositionReport]:
        """Return all open positions in what we trade, with what rests on them; in an emergency without, since the venue tells that apart."""
        held = [each.report for each in await self._reader.held(lane)]
        if not held or lane is Lane.EMERGENCY:
            return held
        resting = await self._stops.resting(lane)
        found = []
        for report in held:
            own = [each for each in resting if each.instrument == report.instrument and each.is_long == (report.signed_lots > 0)]
            stop = next((each.stop for each in own if each.stop is not None), None)
            found.append(replace(report, stop=stop, target=next((each.target for each in own if each.target is not None), None)))
        return found

    async def executions(self, since_ns: int) -> list[Execution]:
        """Return the executions since a moment, oldest first. The venue is asked for each instrument: it gives none for all of them."""
        start = {"start_time": max(since_ns, self.now_ns() - LOOKS_BACK_NS) // MS} if since_ns else {}
        read: list[tuple[Instrument, Mapping[str, Any]]] = []
        for instrument in self.known.all:
            rows = await self._reader.pages("order/list/order_deals", {"symbol": words.symbol(instrument)} | start)
            read += [(instrument, row) for row in rows if row.get("symbol") == words.symbol(instrument)]
        await self._learn_owners([row for _, row in read])
        found = [words.execution(instrument, row, self._owner(row)) for instrument, row in read]
        return sorted(found, key=lambda e: e.ts_event_ns)

    async def _learn_owners(self, deals: list[Mapping[str, Any]]) -> None:
        """Ask for the orders that executions belong to, where they are not known."""
        unknown = dict.fromkeys(words.ident(row, "orderId") for row in deals if not row.get("externalOid"))
        missing = [each for each in unknown if self.names.find(each) is None]
        path = "order/batch_query"
        for begin in range(0, len(missing), BATCH):
            asked = {"order_ids": ",".join(missing[begin : begin + BATCH])}
            for row in words.rows(await self._reader.get(path, asked), path):
                self.names.learn(*words.order_of(row))

    def _owner(self, row: Mapping[str, Any]) -> str:
        known = str(row.get("externalOid") or "") or self.names.find(words.ident(row, "orderId"))
        if known is not None:
            return known
        if words.whole(row, "category") == 1 and self.now_ns() - words.whole(row, "timestamp") * MS < LATE_NS:
            raise Unreadable(f"mexc: execution {row.get('id')} belongs to order {row.get('orderId')}, which the venue does not show yet")
        return ""

    async def wallet(self) -> WalletReport:
        """Return the contract account."""
        path = "account/assets"
        return words.wallet(words.rows(await self._reader.get(path, {}), path))

    async def clock_offset_ns(self) -> int:
        """Return the venue's clock minus ours. The wait for a turn is over before the time is taken."""
        path = "contract/ping"
        await self.door.turn(Lane.READ)
        before = self.now_ns()
        reply = await self.door.send("GET", path, {})
        after = self.now_ns()
        if reply.outcome not in SUCCESS:
            raise unavailable(path, reply)
        if not isinstance(reply.result, int) or isinstance(reply.result, bool):
            raise Unreadable(f"mexc {path}: expected a time in ms, found {str(reply.result)[:80]!r}")
        return reply.result * MS - (before + after) // 2

    # -- before trading -----------------------------------------------------------------------------------------------
    async def prepare(self, leverage: Mapping[InstrumentId, int]) -> None:
        """Assert one-way mode, that orders are taken at all and that each contract trades on the grid that we assume; set leverage."""
        mode = await self._reader.get("position/position_mode", {})
        if mode != words.ONE_WAY:
            raise ConfigError(f"mexc: the account's position mode is {mode!r}, Titan needs one-way mode (2); switch it at the venue while flat")
        listed = await self._reader.get("contract/detail", {})
        rows = {row.get("symbol"): row for row in words.rows(listed, "contract/detail")}
        held = {each.report.instrument: each.ident for each in await self._reader.held(Lane.READ)}
        for instrument in self.instruments:
            _check_rules(instrument, rows.get(words.symbol(instrument)))
            times = leverage.get(instrument.id)
            if times is not None:
                await self._set_leverage(instrument, times, held.get(instrument.id))

    async def _set_leverage(self, instrument: Instrument, times: int, position: str | None) -> None:
        """Set it for the position, or where there is none for both directions. Orders that open repeat it: the venue wants it there too."""
        apart = {"openType": words.CROSS, "symbol": words.symbol(instrument)}
        asked = [{"positionId": position}] if position is not None else [apart | {"positionType": kind} for kind in (1, 2)]
        for which in asked:
            reply = await self.door.call(Lane.PROTECT, "POST", "position/change_leverage", which | {"leverage": times})
            if reply.outcome not in SUCCESS:
                raise VenueUnavailable(f"mexc: leverage {times} for {instrument.symbol} was not set: {reply.outcome} ({reply.code}): {reply.message}")
        self._leverage[instrument.id] = times


def _check_rules(instrument: Instrument, row: Mapping[str, Any] | None) -> None:
    if row is None:
        raise ConfigError(f"mexc does not list {instrument.symbol}; remove it from the configuration")
    if words.whole(row, "state") != 0:
        raise ConfigError(f"mexc: {instrument.symbol} is not trading (state {row.get('state')!r}); close it by hand or wait")
    if row.get("apiAllowed") is not True:
        raise ConfigError(f"mexc takes no orders in {instrument.symbol} over its API (apiAllowed {row.get('apiAllowed')!r}); trade it at another venue")
    lot = words.decimal(row, "contractSize") * words.decimal(row, "volUnit", Decimal(1))
    for name, ours, theirs in (("tick size", instrument.tick_size, words.decimal(row, "priceUnit")), ("lot size", instrument.lot_size, lot)):
        if ours != theirs:
            raise ConfigError(f"mexc: the {name} of {instrument.symbol} is {theirs}, Titan assumes {ours}; renew the instrument's terms")


def _answer(reply: Reply) -> Answer:
    return Answer(reply.outcome, reply.code, reply.message)
