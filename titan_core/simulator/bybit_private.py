"""Bybit V5 private and trade websockets: sign in, follow orders, executions, positions and the wallet; send orders."""

from typing import Any

from titan_core.simulator.account import AccountEvent, EventKind
from titan_core.simulator.bybit_market import BadParameter
from titan_core.simulator.bybit_rest import BybitRest, check_time, limit_headers
from titan_core.simulator.bybit_shapes import Json, category_of, execution_event, order_event, position_event, wallet_event
from titan_core.simulator.bybit_trade import Refused
from titan_core.simulator.orders import FillKind
from titan_core.simulator.session import Deliver, Session, Topics, parsed
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Credential, Window, encode, same, signature

TOPICS = ("order", "execution", "execution.fast", "position", "wallet", "greeks")
CATEGORIES = ("linear", "spot", "inverse", "option")
TOPIC_OF = {EventKind.ORDER: "order", EventKind.EXECUTION: "execution", EventKind.POSITION: "position", EventKind.WALLET: "wallet"}


class BybitPrivateHub:
    """Turns the account's events into messages."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.topics = Topics()
        venue.account_exchange.account.listeners.append(self.on_event)

    def on_event(self, event: AccountEvent) -> None:
        """Send an event to those who have subscribed to its topic, with or without the category."""
        name = TOPIC_OF[event.kind]
        category, shape = self._shape(event)
        for topic in (name, f"{name}.{category}"):
            if topic in self.topics:
                self.topics.publish(topic, self._frame(name, event, [shape()]))
        if event.execution is not None and event.execution.kind is FillKind.TRADE:
            for topic in ("execution.fast", f"execution.fast.{category}"):
                if topic in self.topics:
                    self.topics.publish(topic, self._frame("execution.fast", event, [_fast(shape())]))

    def _frame(self, topic: str, event: AccountEvent, data: list[Json]) -> Json:
        return {"id": f"{event.seq:06d}_{event.ts_ns // 1_000_000}", "topic": topic, "creationTime": event.ts_ns // 1_000_000, "data": data}

    def _shape(self, event: AccountEvent) -> tuple[str, Any]:
        listings, account = self.venue.listings, self.venue.account_exchange.account
        if event.order is not None:
            order, listing = event.order, listings[event.order.instrument]
            return category_of(listing), lambda: order_event(listing, order)
        if event.execution is not None:
            execution, listing = event.execution, listings[event.execution.instrument]
            return category_of(listing), lambda: execution_event(listing, execution)
        if event.position is not None:
            position, listing = event.position, listings[event.position.instrument]
            return "linear", lambda: position_event(account, listing, position, account.margin())
        return "", lambda: wallet_event(self.venue)


def _fast(execution: Json) -> Json:
    names = ("category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side", "execTime", "seq")
    return {name: execution[name] for name in names}


class BybitPrivateSession(Session):
    """One private websocket."""

    def __init__(self, hub: BybitPrivateHub, connection: str, deliver: Deliver) -> None:
        self.hub, self.connection, self.deliver = hub, connection, deliver
        self.signed_in = False

    def receive(self, frame: bytes) -> list[bytes]:
        """Answer auth, ping, subscribe and unsubscribe."""
        message = parsed(frame)
        if message is None:
            return [self._answer(False, "error:invalid JSON", "", "")]
        operation, request = str(message.get("op")), str(message.get("req_id") or "")
        if operation == "ping":
            return [encode({"req_id": request, "op": "pong", "args": [str(self.hub.venue.server_ms())], "conn_id": self.connection})]
        if operation == "auth":
            failed = sign_in(self.hub.venue, message.get("args"))
            self.signed_in = not isinstance(failed, str)
            return [self._answer(self.signed_in, failed if isinstance(failed, str) else "", request, "auth")]
        if not self.signed_in:
            return [self._answer(False, "Request not authorized", request, operation)]
        topics = [str(each) for each in message.get("args") or []]
        if operation == "unsubscribe":
            for topic in topics:
                self.hub.topics.remove(topic, self)
            return [self._answer(True, "", request, operation)]
        unknown = [topic for topic in topics if not _is_topic(topic)]
        if operation != "subscribe" or not topics or unknown:
            return [self._answer(False, f"error:handler not found,topic:{','.join(unknown)}", request, operation)]
        for topic in topics:
            self.hub.topics.add(topic, self)
        return [self._answer(True, "", request, operation)]

    def close(self) -> None:
        """Forget the session."""
        self.hub.topics.drop(self)

    def _answer(self, success: bool, text: str, request: str, operation: str) -> bytes:
        return encode({"success": success, "ret_msg": text, "conn_id": self.connection, "req_id": request, "op": operation})


def _is_topic(topic: str) -> bool:
    if topic in TOPICS:
        return True
    name, _, category = topic.rpartition(".")
    return name in TOPICS and category in CATEGORIES


def sign_in(venue: Venue, arguments: object) -> Credential | str:
    """Return the API key that signed, or what is wrong. The signature covers `GET/realtime` and the time until which it holds."""
    if not isinstance(arguments, list) or len(arguments) != 3 or not str(arguments[1]).isdigit():
        return "Params Error"
    key, expires, signed = (str(each) for each in arguments)
    credential = venue.credential(key)
    if credential is None:
        return "Invalid apikey"
    if int(expires) <= venue.server_ms():
        return "Params Error: the signature has expired"
    if not same(signed, signature(credential.secret, f"GET/realtime{expires}")):
        return "Invalid sign"
    return credential


class BybitTradeSession(Session):
    """One trade websocket: orders go in, acknowledgements come out."""

    OPERATIONS = {"order.create": "/v5/order/create", "order.amend": "/v5/order/amend", "order.cancel": "/v5/order/cancel"}

    def __init__(self, rest: BybitRest, connection: str, deliver: Deliver) -> None:
        self.rest, self.connection, self.deliver = rest, connection, deliver
        self.credential: Credential | None = None

    def receive(self, frame: bytes) -> list[bytes]:
        """Answer auth, ping and orders."""
        message = parsed(frame)
        venue = self.rest.venue
        if message is None:
            return [self._answer("", 10001, "invalid JSON", "")]
        operation, request = str(message.get("op")), str(message.get("reqId") or "")
        if operation == "ping":
            return [encode({"retCode": 0, "retMsg": "OK", "op": "pong", "data": [str(venue.server_ms())], "connId": self.connection})]
        if operation == "auth":
            found = sign_in(venue, message.get("args"))
            self.credential = None if isinstance(found, str) else found
            code, text = (10004, found) if isinstance(found, str) else (0, "OK")
            answer = {"retCode": code, "retMsg": text, "op": "auth", "connId": self.connection}
            return [encode({"reqId": request} | answer if request else answer)]
        if self.credential is None:
            return [self._answer(request, 10003, "Request not authorized", operation)]
        if operation not in self.OPERATIONS:
            return [self._answer(request, 10001, f"op {operation} is unknown, allowed are {', '.join(self.OPERATIONS)}", operation)]
        return [self._order(request, operation, message)]

    def _order(self, request: str, operation: str, message: dict[str, Any]) -> bytes:
        venue, header, arguments = self.rest.venue, message.get("header") or {}, message.get("args")
        stamp, recv_window = str(header.get("X-BAPI-TIMESTAMP", "")), str(header.get("X-BAPI-RECV-WINDOW", "5000"))
        if not stamp.isdigit() or not recv_window.isdigit() or not isinstance(arguments, list) or len(arguments) != 1 or not isinstance(arguments[0], dict):
            return self._answer(request, 10001, "header X-BAPI-TIMESTAMP and one order in args are required", operation)
        late = check_time(int(stamp), venue.server_ms(), int(recv_window))
        if late is not None:
            return self._answer(request, 10002, late, operation)
        assert self.credential is not None
        if not self.credential.may_trade:
            return self._answer(request, 10005, "Permission denied, please check your API key permissions.", operation)
        window = self.rest.window(self.credential, self.OPERATIONS[operation])
        if not window.take():
            return self._answer(request, 10006, "Too many visits. Exceeded the API Rate Limit.", operation, window=window)
        acts = {"order.create": self.rest.trade.create, "order.amend": self.rest.trade.amend, "order.cancel": self.rest.trade.cancel}
        try:
            return self._answer(request, 0, "OK", operation, acts[operation](arguments[0]), window)
        except (BadParameter, ValueError) as error:
            return self._answer(request, 10001, str(error), operation, window=window)
        except Refused as refused:
            return self._answer(request, refused.code, refused.text, operation, window=window)

    def _answer(self, request: str, code: int, text: str, operation: str, data: Json | None = None, window: Window | None = None) -> bytes:
        now = str(self.rest.venue.server_ms())
        header = (limit_headers(window) if window is not None else {}) | {"Traceid": f"{now:0>32}", "Timenow": now}
        answer = {"reqId": request, "retCode": code, "retMsg": text, "op": operation, "data": data or {}, "retExtInfo": {}, "header": header}
        return encode(answer | {"connId": self.connection})

    def close(self) -> None:
        """Forget the session."""
        self.credential = None
