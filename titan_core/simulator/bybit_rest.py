"""Bybit V5 over REST: signatures, rate limits, orders, positions and the wallet. `BybitTrade` serves the trade websocket as well."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from attrs import frozen

from titan_core.model.ids import InstrumentId
from titan_core.simulator.bybit_market import BadParameter, BybitMarket
from titan_core.simulator.bybit_shapes import (
    CATEGORIES,
    EXEC_TYPES,
    Json,
    execution_shape,
    order_shape,
    position_shape,
    wallet_shape,
)
from titan_core.simulator.bybit_trade import BybitTrade, Refused
from titan_core.simulator.listings import Listing, coins
from titan_core.simulator.orders import Order, Status
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Credential, Request, Response, Window, encode, same, signature

RECENT_CLOSED = 500
SERVER_AHEAD_MS = 1_000


@frozen
class Route:
    """One private endpoint: what answers it, how often a second it may be called, and whether it needs the right to trade."""

    answer: Callable[[dict[str, Any]], Json]
    limit: int
    trades: bool = False


class BybitRest:
    """Answers requests to `/v5/...`."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.market = BybitMarket(venue)
        self.trade = BybitTrade(venue, self.market)
        self._windows: dict[tuple[str, str], Window] = {}
        self._credential = Credential()
        trade = self.trade
        self.private: dict[tuple[str, str], Route] = {
            ("POST", "/v5/order/create"): Route(trade.create, 10, True),
            ("POST", "/v5/order/amend"): Route(trade.amend, 10, True),
            ("POST", "/v5/order/cancel"): Route(trade.cancel, 10, True),
            ("POST", "/v5/order/cancel-all"): Route(trade.cancel_all, 10, True),
            ("GET", "/v5/order/realtime"): Route(self.realtime, 50),
            ("GET", "/v5/order/history"): Route(self.history, 50),
            ("GET", "/v5/execution/list"): Route(self.executions, 50),
            ("GET", "/v5/position/list"): Route(self.positions, 50),
            ("POST", "/v5/position/set-leverage"): Route(trade.set_leverage, 10, True),
            ("POST", "/v5/position/trading-stop"): Route(trade.trading_stop, 10, True),
            ("POST", "/v5/position/switch-mode"): Route(trade.switch_mode, 10, True),
            ("GET", "/v5/account/wallet-balance"): Route(self.wallet, 50),
            ("GET", "/v5/account/info"): Route(self.account_info, 50),
            ("GET", "/v5/account/fee-rate"): Route(self.fee_rate, 10),
            ("GET", "/v5/user/query-api"): Route(self.key_info, 10),
            ("GET", "/v5/asset/coin/query-info"): Route(self.coin_info, 5),
        }

    def handle(self, request: Request) -> Response:
        """Answer a request."""
        if not self.market.ip_window.take():
            return Response(403, b"<html><body>403 access too frequent</body></html>", content_type="text/html")
        public = self.market.routes.get(request.path)
        if public is not None:
            return self._answer(lambda: public(request.parameters()), {})
        route = self.private.get((request.method, request.path))
        if route is None:
            return Response(404, b"")
        parameters = request.parameters() if request.method == "GET" else None
        refused = self.authenticate(request, route)
        if refused is not None:
            return Response(200, encode(self.envelope(*refused, {})))
        window = self.window(self._credential, request.path)
        within = window.take()
        headers = limit_headers(window)
        if not within:
            return Response(200, encode(self.envelope(10006, "Too many visits. Exceeded the API Rate Limit.", {})), headers)

        def act() -> Json:
            found = parameters if parameters is not None else request.document()
            if not isinstance(found, dict):
                raise BadParameter("the body must be a JSON object")
            return route.answer(found)

        return self._answer(act, headers)

    def _answer(self, act: Callable[[], Json], headers: dict[str, str]) -> Response:
        try:
            document = self.envelope(0, "OK", act())
        except (BadParameter, ValueError) as error:
            document = self.envelope(10001, str(error), {})
        except Refused as refused:
            document = self.envelope(refused.code, refused.text, {})
        return Response(200, encode(document), headers)

    def window(self, credential: Credential, path: str) -> Window:
        """Return the window that counts a key's calls of an endpoint, over REST and websocket together."""
        found = self._windows.get((credential.key, path))
        if found is None:
            limit = next(route.limit for (_, known), route in self.private.items() if known == path)
            found = self._windows[credential.key, path] = Window(limit, self.venue.server_ns)
        return found

    def envelope(self, code: int, text: str, result: Json) -> Json:
        """Wrap a result."""
        return {"retCode": code, "retMsg": text, "result": result, "retExtInfo": {}, "time": self.venue.server_ms()}

    def authenticate(self, request: Request, route: Route) -> tuple[int, str] | None:
        """Return code and message where the request is not allowed."""
        headers = request.headers
        key, stamp = headers.get("x-bapi-api-key", ""), headers.get("x-bapi-timestamp", "")
        window = headers.get("x-bapi-recv-window", "5000")
        credential = self.venue.credential(key)
        if credential is None:
            return 10003, "API key is invalid."
        if not stamp.isdigit() or not window.isdigit():
            return 10001, "X-BAPI-TIMESTAMP and X-BAPI-RECV-WINDOW must be whole numbers of ms"
        text = stamp + key + headers.get("x-bapi-recv-window", "") + (request.query if request.method == "GET" else request.body.decode("utf-8", "replace"))
        if not same(headers.get("x-bapi-sign", ""), signature(credential.secret, text)):
            return 10004, f"error sign! origin_string[{text}]"
        late = check_time(int(stamp), self.venue.server_ms(), int(window))
        if late is not None:
            return 10002, late
        if route.trades and not credential.may_trade:
            return 10005, "Permission denied, please check your API key permissions."
        self._credential = credential
        return None

    # -- orders and executions ----------------------------------------------------------------------------------
    def _listing_of(self, instrument: InstrumentId) -> Listing:
        return self.venue.listings[instrument]

    def _selected(self, query: dict[str, Any]) -> set[InstrumentId]:
        category = self.market.category(query)
        if category == "linear" and not any(query.get(name) for name in ("symbol", "settleCoin", "baseCoin")):
            raise BadParameter("params error: Missing some parameters that must be filled in, symbol or settleCoin or baseCoin")
        found = self.market.listed(category, query.get("symbol"))
        base, settle = query.get("baseCoin"), query.get("settleCoin")
        found = [each for each in found if base in (None, "", each.instrument.base) and settle in (None, "", each.instrument.quote)]
        return {each.instrument.id for each in found}

    def realtime(self, query: dict[str, Any]) -> Json:
        """Return open orders, the newest first; asked for by id also one of the last 500 that are closed."""
        exchange = self.venue.account_exchange
        chosen = self._by_id(query)
        if chosen is None:
            wanted = self._selected(query)
            closed = exchange.closed[-RECENT_CLOSED:] if query.get("openOnly") == "1" else []
            chosen = [each for each in [*closed, *exchange.account.open_orders.values()] if each.instrument in wanted]
        chosen = [each for each in chosen if _passes(each, query.get("orderFilter"))]
        return self._order_page(query, chosen)

    def history(self, query: dict[str, Any]) -> Json:
        """Return closed orders, the newest first."""
        chosen = self._by_id(query)
        if chosen is None:
            wanted = {each.instrument.id for each in self.market.listed(self.market.category(query), query.get("symbol"))}
            chosen = [each for each in self.venue.account_exchange.closed if each.instrument in wanted]
        return self._order_page(query, [each for each in chosen if not each.is_open])

    def _by_id(self, query: dict[str, Any]) -> list[Order] | None:
        order_id, link_id = str(query.get("orderId") or ""), str(query.get("orderLinkId") or "")
        if not order_id and not link_id:
            return None
        category = self.market.category(query)
        found = self.venue.account_exchange.find(order_id, link_id, spot=category == "spot")
        if found is None or self._listing_of(found.instrument).instrument.venue != CATEGORIES.get(category):
            return []
        return [found]

    def _order_page(self, query: dict[str, Any], orders: list[Order]) -> Json:
        orders = sorted(orders, key=lambda each: -each.number)
        page, cursor = paged(query, orders, 20, 50)
        rows = [order_shape(self._listing_of(each.instrument), each) for each in page]
        return {"list": rows, "nextPageCursor": cursor, "category": query["category"]}

    def executions(self, query: dict[str, Any]) -> Json:
        """Return fills and funding, the newest first."""
        category = self.market.category(query)
        wanted = {each.instrument.id for each in self.market.listed(category, query.get("symbol"))}
        start, end = int(query.get("startTime") or 0) * 1_000_000, int(query.get("endTime") or 1 << 50) * 1_000_000
        order_id, link_id = query.get("orderId"), query.get("orderLinkId")
        found = [
            each
            for each in reversed(self.venue.account_exchange.account.executions)
            if each.instrument in wanted and start <= each.ts_ns <= end and order_id in (None, "", each.order.id) and link_id in (None, "", each.order.link_id)
        ]
        kind = query.get("execType")
        page, cursor = paged(query, [each for each in found if kind in (None, "", EXEC_TYPES[each.kind])], 50, 100)
        rows = [execution_shape(self._listing_of(each.instrument), each) for each in page]
        return {"nextPageCursor": cursor, "category": category, "list": rows}

    # -- positions and the account ------------------------------------------------------------------------------
    def positions(self, query: dict[str, Any]) -> Json:
        """Return positions: all that are not flat, or that of a symbol in any case."""
        wanted = self._selected(query)
        account = self.venue.account_exchange.account
        if self.market.category(query) != "linear":
            return {"list": [], "nextPageCursor": "", "category": query["category"]}
        found = (
            [account.position(each) for each in wanted] if query.get("symbol") else [each for each in account.positions.values() if each.instrument in wanted]
        )
        found = [each for each in found if each.lots or query.get("symbol")]
        page, cursor = paged(query, sorted(found, key=lambda each: each.number), 20, 200)
        margin = account.margin()
        rows = [position_shape(account, self._listing_of(each.instrument), each, margin) for each in page]
        return {"list": rows, "nextPageCursor": cursor, "category": query["category"]}

    def wallet(self, query: dict[str, Any]) -> Json:
        """Return the unified account."""
        kind = query.get("accountType")
        if kind != "UNIFIED":
            raise BadParameter(f"accountType only support UNIFIED, found {kind!r}")
        names = query.get("coin")
        return {"list": [wallet_shape(self.venue, set(str(names).split(",")) if names else None)]}

    def account_info(self, query: dict[str, Any]) -> Json:
        """Return the account's settings."""
        return {
            "marginMode": "REGULAR_MARGIN",
            "updatedTime": str(self.venue.server_ms()),
            "unifiedMarginStatus": 6,
            "dcpStatus": "OFF",
            "timeWindow": 10,
            "smpGroup": 0,
            "isMasterTrader": False,
            "spotHedgingStatus": "OFF",
        }

    def fee_rate(self, query: dict[str, Any]) -> Json:
        """Return the fees of instruments."""
        found = self.market.listed(self.market.category(query), query.get("symbol"))
        rows = [
            {
                "symbol": each.symbol,
                "takerFeeRate": coins(each.instrument.taker_fee_ppm * 100),
                "makerFeeRate": coins(each.instrument.maker_fee_ppm * 100),
                "baseCoin": "",
            }
            for each in found
        ]
        return {"list": rows}

    def key_info(self, query: dict[str, Any]) -> Json:
        """Return what the API key may do."""
        credential = self._credential
        trades = credential.may_trade
        return {
            "id": "13770661",
            "note": "titan",
            "apiKey": credential.key,
            "readOnly": 0 if trades else 1,
            "secret": "",
            "permissions": {
                "ContractTrade": ["Order", "Position"] if trades else [],
                "Spot": ["SpotTrade"] if trades else [],
                "Wallet": ["AccountTransfer", "Withdraw"] if credential.may_withdraw else [],
                "Options": [],
                "Derivatives": ["DerivativesTrade"] if trades else [],
                "CopyTrading": [],
                "BlockTrade": [],
                "Exchange": [],
                "NFT": [],
                "Affiliate": [],
                "Earn": [],
                "FiatP2P": [],
                "FiatBybitPay": [],
                "FiatConvertBroker": [],
                "FiatGlobalPay": [],
                "FiatBitPay": [],
                "BitCard": [],
                "ByXPost": [],
            },
            "ips": list(credential.addresses) or ["*"],
            "type": 1,
            "deadlineDay": 83,
            "expiredAt": "2030-01-01T00:00:00Z",
            "createdAt": "2024-01-01T00:00:00Z",
            "unified": 0,
            "uta": 1,
            "userID": 24617703,
            "inviterID": 0,
            "vipLevel": "No VIP",
            "mktMakerLevel": "0",
            "affiliateID": 0,
            "rsaPublicKey": "",
            "isMaster": True,
            "parentUid": "0",
            "kycLevel": "LEVEL_DEFAULT",
            "kycRegion": "",
            "userIDInt64": "24617703",
            "inviterIDInt64": "0",
            "affiliateIDInt64": "0",
        }

    def coin_info(self, query: dict[str, Any]) -> Json:
        """Return the coins, none of which can be moved."""
        names = sorted({each.instrument.base for each in self.venue.listings.values()} | {"USDT"})
        rows = [{"name": name, "coin": name, "remainAmount": "0", "chains": []} for name in names]
        return {"rows": rows}


def paged(query: dict[str, Any], rows: list[Any], default: int, most: int) -> tuple[list[Any], str]:
    """Return one page and the cursor of the next, empty where there is none. Raises BadParameter for a bad limit."""
    try:
        limit, begin = min(int(query.get("limit") or default), most), int(str(query.get("cursor") or "0").split("%3A")[-1].split(":")[-1])
    except ValueError:
        raise BadParameter("params error: limit and cursor must be what the answer before gave") from None
    if limit < 1:
        raise BadParameter(f"params error: limit {limit}, allowed are 1 to {most}")
    more = begin + limit < len(rows)
    return rows[begin : begin + limit], quote(f"page:{begin + limit}", safe="") if more else ""


def limit_headers(window: Window) -> dict[str, str]:
    """Return the headers that tell what is left of the rate limit."""
    return {"X-Bapi-Limit": str(window.limit), "X-Bapi-Limit-Status": str(window.left), "X-Bapi-Limit-Reset-Timestamp": str(window.reset_ms)}


def check_time(stamp_ms: int, server_ms: int, window_ms: int) -> str | None:
    """Return the message where a request's time does not fit the servers'."""
    if server_ms - window_ms <= stamp_ms < server_ms + SERVER_AHEAD_MS:
        return None
    return (
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{stamp_ms}],server_timestamp[{server_ms}],recv_window[{window_ms}]"
    )


def _passes(order: Order, wanted: str | None) -> bool:
    if wanted in ("StopOrder", "tpslOrder"):
        return order.trigger is not None
    return not (wanted == "Order" and order.status is Status.UNTRIGGERED)
