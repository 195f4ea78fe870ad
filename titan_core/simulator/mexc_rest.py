"""MEXC contract over REST: signatures, rate limits, orders, positions and assets. The account is in one-way mode with cross margin."""

from collections.abc import Callable
from typing import Any

from titan_core.model.enums import Side
from titan_core.model.ids import InstrumentId
from titan_core.model.units import MS, S
from titan_core.simulator.exchange import Scope
from titan_core.simulator.listings import Listing
from titan_core.simulator.mexc_market import MexcError, MexcMarket
from titan_core.simulator.mexc_shapes import CODES, FIRST_POSITION, asset_shape, key_shape, listed_deal_shape, order_shape, position_shape
from titan_core.simulator.mexc_stops import MexcStops
from titan_core.simulator.orders import FillKind, Kind, NewOrder, Order, Origin, Reason, Refusal, Status, Tif, Trigger
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Credential, Request, Response, Window, encode, number, on_grid, same, signature

PUBLIC, PRIVATE, SPOT = "/api/v1/contract/", "/api/v1/private/", "/api/v3/"
RECV_WINDOW_MS = 10_000
LIMIT, SPAN_NS = 20, 2 * S
"""Requests to one endpoint in two seconds."""
MAX_EXTERNAL_CHARS = 32
TIFS = {1: Tif.GTC, 2: Tif.POST_ONLY, 3: Tif.IOC, 4: Tif.FOK}
SPOT_ANSWERS: dict[str, Any] = {"exchangeInfo": {"timezone": "CST", "symbols": []}, "capital/config/getall": [], "defaultSymbols": {"data": []}, "ping": {}}
"""The spot market is not part of the box; clients ask for its symbols and coins when they start."""


class MexcRest:
    """Answers requests to `/api/v1/...`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.market = MexcMarket(venue)
        stops = MexcStops(self)
        self._windows: dict[str, Window] = {}
        self.routes: dict[tuple[str, str], Callable[[str, Any], Any]] = {
            ("GET", "account/assets"): lambda rest, query: [self._asset()],
            ("GET", "account/asset"): lambda rest, query: self._asset(),
            ("GET", "account/tiered_fee_rate"): self.fees,
            ("GET", "position/open_positions"): self.positions,
            ("GET", "position/position_mode"): lambda rest, query: 2,
            ("POST", "position/change_position_mode"): self.change_mode,
            ("GET", "position/leverage"): self.leverage,
            ("POST", "position/change_leverage"): self.change_leverage,
            ("GET", "position/funding_records"): self.funding_records,
            ("POST", "order/create"): self.create,
            ("POST", "order/submit"): lambda rest, body: self.create(rest, body)["orderId"],
            ("POST", "order/cancel"): self.cancel,
            ("POST", "order/cancel_with_external"): self.cancel_external,
            ("POST", "order/cancel_all"): self.cancel_all,
            ("GET", "order/get"): self.get,
            ("GET", "order/external"): self.get_external,
            ("GET", "order/list/open_orders"): self.open_orders,
            ("GET", "order/list/history_orders"): self.history,
            ("GET", "order/list/order_deals"): self.deals,
            ("GET", "order/deal_details"): lambda rest, query: self._deals_of(rest),
            ("GET", "order/batch_query"): self.batch,
            ("POST", "planorder/place"): stops.place_plan,
            ("POST", "planorder/cancel"): stops.cancel_plans,
            ("POST", "planorder/cancel_all"): stops.cancel_all_plans,
            ("GET", "planorder/list/orders"): stops.plans,
            ("POST", "stoporder/place"): stops.place_stop,
            ("POST", "stoporder/cancel"): stops.cancel_stops,
            ("POST", "stoporder/cancel_all"): stops.cancel_all_stops,
            ("POST", "stoporder/change_plan_price"): stops.change_stop,
            ("GET", "stoporder/list/orders"): stops.stops,
            ("GET", "stoporder/open_orders"): stops.open_stops,
        }

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        try:
            if request.path.startswith(PUBLIC):
                found = self.market.answer(request.path.removeprefix(PUBLIC), request.parameters())
                return Response(404) if found is None else self._ok(found)
            if request.path.startswith(SPOT):
                return self._spot(request)
            if request.path.startswith(PRIVATE):
                return self._private(request)
            return Response(404)
        except MexcError as error:
            return Response(200, encode({"success": False, "code": error.code, "message": error.text}))
        except (ValueError, KeyError) as error:
            return Response(200, encode({"success": False, "code": 600, "message": f"Parameter error: {error}"}))

    def _ok(self, data: Any) -> Response:
        return Response(200, encode({"success": True, "code": 0} if data is ... else {"success": True, "code": 0, "data": data}))

    def _spot(self, request: Request) -> Response:
        path = request.path.removeprefix(SPOT)
        if path == "time":
            return Response(200, encode({"serverTime": self.venue.server_ms()}))
        if path == "apiKeyInfo":
            return self._key_info(request)
        return Response(200, encode(SPOT_ANSWERS[path])) if path in SPOT_ANSWERS else Response(404)

    def _key_info(self, request: Request) -> Response:
        """Say what an API key may do: signed as requests of the spot market are, by the query and with HTTP 400 for a refusal."""
        credential, query = self.venue.credential(request.headers.get("x-mexc-apikey", "")), request.parameters()
        asked = self.venue.credential(query.get("accessKey", ""))
        stamp, (text, _, given) = query.get("timestamp", ""), request.query.partition("&signature=")
        if credential is None or asked is None:
            return Response(400, encode({"code": 10072, "msg": "Api key info invalid"}))
        if not same(given, signature(credential.secret, text)):
            return Response(400, encode({"code": 700002, "msg": "Signature for this request is not valid."}))
        if not stamp.isdigit() or abs(int(stamp) - self.venue.server_ms()) > int(query.get("recvWindow", 5_000)):
            return Response(400, encode({"code": 700003, "msg": "Timestamp for this request is outside of the recvWindow."}))
        return Response(200, encode(key_shape(asked)))

    def _private(self, request: Request) -> Response:
        path = request.path.removeprefix(PRIVATE)
        parts = path.split("/")
        for size in (3, 2):
            name = "/".join(parts[:size])
            act = self.routes.get((request.method, name))
            if act is not None:
                break
        else:
            return Response(404)
        credential = self._authenticate(request)
        if request.method == "POST" and not credential.may_trade:
            raise MexcError(704, "Please enable API Key trading information write access")
        if not self._windows.setdefault(name, Window(LIMIT, self.venue.server_ns, SPAN_NS)).take():
            raise MexcError(510, "Requests are too frequent, please try again later")
        body = request.document() if request.method == "POST" else request.parameters()
        return self._ok(act("/".join(parts[size:]), body))

    def _authenticate(self, request: Request) -> Credential:
        key, stamp = request.headers.get("apikey", ""), request.headers.get("request-time", "")
        credential = self.venue.credential(key)
        if credential is None:
            raise MexcError(402, "API Key expired, please apply again")
        text = key + stamp + (request.body.decode("utf-8", "replace") if request.method == "POST" else request.query)
        if not same(request.headers.get("signature", ""), signature(credential.secret, text)):
            raise MexcError(602, "Signature verification failed")
        window = int(request.headers.get("recv-window", RECV_WINDOW_MS))
        if not stamp.isdigit() or abs(int(stamp) - self.venue.server_ms()) > window:
            raise MexcError(700003, "Timestamp for this request is outside of the recvWindow.")
        return credential

    # -- account ------------------------------------------------------------------------------------------------
    def _asset(self) -> dict[str, Any]:
        account = self.venue.account_exchange.account
        return asset_shape(account, account.margin())

    def fees(self, rest: str, query: Any) -> dict[str, Any]:
        """Return the fees of a contract."""
        listing = self.market.listing(query["symbol"]) if query.get("symbol") else self.market.all()[0]
        instrument = listing.instrument
        rates = {"makerFee": instrument.maker_fee_ppm / 1_000_000, "takerFee": instrument.taker_fee_ppm / 1_000_000}
        balance = self._asset()["cashBalance"]
        return {"level": 0, "dealAmount": 0, "walletBalance": balance, **rates, "makerFeeDiscount": 1, "takerFeeDiscount": 1}

    def positions(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return positions that are not flat."""
        account = self.venue.account_exchange.account
        margin, symbol = account.margin(), query.get("symbol")
        held = ((self.venue.listings[each.instrument], each) for each in account.positions.values() if each.lots)
        return [position_shape(account, listing, each, margin) for listing, each in held if symbol in (None, listing.symbol)]

    def change_mode(self, rest: str, body: Any) -> Any:
        """Accept one-way mode, which is the only one here."""
        if body.get("positionMode") != 2:
            raise MexcError(2019, "hedge mode is not part of the box; use one-way mode (2)")
        return ...

    def leverage(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return the leverage of a contract, for both sides."""
        listing = self.market.listing(query.get("symbol", ""))
        position = self.venue.account_exchange.account.position(listing.instrument.id)
        return [{"positionType": side, "level": 1, "leverage": position.leverage, "openType": 2} for side in (1, 2)]

    def change_leverage(self, rest: str, body: Any) -> Any:
        """Set the leverage of a contract; the one that it has is accepted."""
        instrument = self.instrument(body)
        refusal = self.venue.account_exchange.set_leverage(instrument, int(body["leverage"]))
        if refusal is not None and refusal.reason is not Reason.LEVERAGE_SAME:
            raise self.refuse(refusal)
        return ...

    def instrument(self, body: Any) -> InstrumentId:
        """Return what a request is about: the contract of a position, or one that is named."""
        if body.get("positionId"):
            number_wanted = int(body["positionId"]) - FIRST_POSITION
            for each in self.venue.account_exchange.account.positions.values():
                if each.number == number_wanted:
                    return each.instrument
            raise MexcError(2009, "Position is not exists or closed.")
        return self.market.listing(str(body.get("symbol", ""))).instrument.id

    def funding_records(self, rest: str, query: Any) -> dict[str, Any]:
        """Return funding payments, the newest first."""
        rows = []
        for each in reversed(self.venue.account_exchange.account.executions):
            if each.kind is FillKind.FUNDING:
                symbol = self.venue.listings[each.instrument].symbol
                side = 2 if each.side is Side.BUY else 1
                rows.append({"id": each.seq, "symbol": symbol, "positionType": side, "funding": -each.fee / 1e8, "rate": each.fee_rate_e8 / 1e8})
        return {"pageSize": 20, "totalCount": len(rows), "totalPage": 1, "currentPage": 1, "resultList": rows}

    # -- orders -------------------------------------------------------------------------------------------------
    def refuse(self, refusal: Refusal) -> MexcError:
        """Return a refusal in the venue's words."""
        code, text = CODES.get(refusal.reason, (600, "Parameter error"))
        return MexcError(code, text if refusal.reason is not Reason.STOP_SIDE else refusal.text)

    def ticks(self, listing: Listing, value: Any) -> int:
        """Read a price, 0 where there is none."""
        if value in (None, "", 0, "0"):
            return 0
        ticks = on_grid(number(value), listing.instrument.tick_size)
        if ticks is None:
            raise MexcError(2015, "Price or quantity accuracy error")
        return ticks

    def create(self, rest: str, body: Any) -> dict[str, Any]:
        """Place an order."""
        made = self.venue.account_exchange.place(self.new_order(body, None))
        if isinstance(made, Refusal):
            raise self.refuse(made)
        return {"orderId": made.id, "ts": self.venue.server_ms()}

    def new_order(self, body: Any, trigger: Trigger | None) -> NewOrder:
        """Read an order."""
        listing = self.market.listing(str(body.get("symbol", "")))
        kind, side = int(body.get("orderType" if trigger else "type", 0)), int(body.get("side", 0))
        if kind not in (1, 2, 3, 4, 5, 6):
            raise MexcError(2029, f"Order type error: {kind}, allowed are 1 to 6")
        if side not in (1, 2, 3, 4):
            raise MexcError(2001, "Order side error")
        external = str(body.get("externalOid") or "")
        if len(external) > MAX_EXTERNAL_CHARS:
            raise MexcError(2030, f"External order id is too long, allowed are {MAX_EXTERNAL_CHARS} characters")
        lots = on_grid(number(body.get("vol", "")), number(1))
        if lots is None or lots <= 0:
            raise MexcError(2011, "Order quantity error")
        market = kind in (5, 6)
        return NewOrder(
            instrument=listing.instrument.id,
            side=Side.BUY if side in (1, 2) else Side.SELL,
            kind=Kind.MARKET if market else Kind.LIMIT,
            lots=lots,
            price=0 if market else self.ticks(listing, body.get("price")),
            tif=TIFS.get(kind, Tif.GTC),
            reduce_only=side in (2, 4) or body.get("reduceOnly") is True,
            link_id=external,
            trigger=trigger,
            stop_loss=self.ticks(listing, body.get("stopLossPrice")),
            take_profit=self.ticks(listing, body.get("takeProfitPrice")),
            origin=Origin.STOP if trigger else Origin.USER,
        )

    def _find(self, order_id: str) -> Order | None:
        return self.venue.account_exchange.find(order_id)

    def cancel(self, rest: str, body: Any) -> list[dict[str, Any]]:
        """Cancel orders by id; each is answered for itself."""
        if not isinstance(body, list):
            raise MexcError(600, "Parameter error: a list of order ids is expected")
        rows = []
        for each in body[:50]:
            done = self.venue.account_exchange.cancel(self._find(str(each)))
            code, text = CODES[done.reason] if isinstance(done, Refusal) else (0, "success")
            rows.append({"orderId": int(each) if str(each).isdigit() else str(each), "errorCode": code, "errorMsg": text})
        return rows

    def cancel_external(self, rest: str, body: Any) -> Any:
        """Cancel orders by the client's ids."""
        rows = []
        for each in body if isinstance(body, list) else [body]:
            done = self.venue.account_exchange.cancel(self.venue.account_exchange.find(link_id=str(each.get("externalOid"))))
            code, text = CODES[done.reason] if isinstance(done, Refusal) else (0, "success")
            rows.append({"symbol": each.get("symbol"), "externalOid": each.get("externalOid"), "errorCode": code, "errorMsg": text})
        return rows

    def cancel_all(self, rest: str, body: Any) -> Any:
        """Cancel all orders of a contract, or all."""
        symbol = body.get("symbol") if isinstance(body, dict) else None
        chosen = [self.market.listing(symbol)] if symbol else self.market.all()
        self.venue.account_exchange.cancel_all([each.instrument.id for each in chosen], Scope.ACTIVE)
        return ...

    def get(self, rest: str, query: Any) -> dict[str, Any]:
        """Return an order by its id."""
        return self._shape(self._find(rest))

    def get_external(self, rest: str, query: Any) -> dict[str, Any]:
        """Return an order by the client's id."""
        symbol, _, external = rest.partition("/")
        found = self.venue.account_exchange.find(link_id=external)
        return self._shape(found if found is not None and self.venue.listings[found.instrument].symbol == symbol else None)

    def _shape(self, order: Order | None) -> dict[str, Any]:
        if order is None:
            raise MexcError(2040, "order not exist")
        return order_shape(self.venue, order)

    def page(self, orders: list[Order], rest: str, query: Any) -> list[Order]:
        """Return one page of orders, the newest first."""
        symbol = rest or query.get("symbol")
        found = [each for each in orders if symbol in (None, "", self.venue.listings[each.instrument].symbol)]
        found.sort(key=lambda each: -each.number)
        size, page = min(int(query.get("page_size", 20)), 100), int(query.get("page_num", 1))
        return found[(page - 1) * size : page * size]

    def batch(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return orders by their ids; those that are not known are left out."""
        found = (self._find(each) for each in str(query.get("order_ids", "")).split(",")[:50])
        return [order_shape(self.venue, each) for each in found if each is not None]

    def open_orders(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return resting orders, the newest first."""
        found = [each for each in self.venue.account_exchange.account.open_orders.values() if each.status is not Status.UNTRIGGERED]
        return [order_shape(self.venue, each) for each in self.page(found, rest, query)]

    def history(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return closed orders, the newest first; conditional ones that never became orders are not among them."""
        closed = [each for each in self.venue.account_exchange.closed if each.status is not Status.DEACTIVATED]
        return [order_shape(self.venue, each) for each in self.page(closed, rest, query)]

    def _deals_of(self, order_id: str) -> list[dict[str, Any]]:
        return [listed_deal_shape(self.venue, each) for each in self.venue.account_exchange.account.executions if each.order.id == order_id]

    def deals(self, rest: str, query: Any) -> list[dict[str, Any]]:
        """Return fills, the newest first. They name the order by the venue's id alone."""
        symbol, begin, end = query.get("symbol"), int(query.get("start_time") or 0), int(query.get("end_time") or 1 << 62)
        found = [each for each in reversed(self.venue.account_exchange.account.executions) if each.kind is not FillKind.FUNDING]
        found = [each for each in found if symbol in (None, "", self.venue.listings[each.instrument].symbol) and begin <= each.ts_ns // MS <= end]
        size, page = min(int(query.get("page_size", 20)), 100), int(query.get("page_num", 1))
        return [listed_deal_shape(self.venue, each) for each in found[(page - 1) * size : page * size]]
