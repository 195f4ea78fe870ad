"""The box's own door, beside the venues: look at the truth, and change the faults while it runs."""

from typing import Any

from titan_core.errors import TitanError
from titan_core.simulator.account import QUOTE
from titan_core.simulator.box import Box
from titan_core.simulator.faults import read_rules, rule_document
from titan_core.simulator.listings import coins
from titan_core.simulator.orders import Order
from titan_core.simulator.wire import Request, Response, encode


def handle_control(box: Box, request: Request) -> Response:
    """Answer `/control/state` and `/control/faults` (GET, POST a rule or a list of them, DELETE one by `?number=` or all)."""
    try:
        if request.path == "/control/state" and request.method == "GET":
            return Response(200, encode(state(box)))
        if request.path == "/control/faults":
            return Response(200, encode(_faults(box, request)))
    except (TitanError, ValueError) as error:
        return Response(400, encode({"error": str(error)}))
    return Response(404, encode({"error": "there are /control/state and /control/faults"}))


def _faults(box: Box, request: Request) -> Any:
    if request.method == "POST":
        for rule in read_rules(request.document()):
            box.add_fault(rule)
    elif request.method == "DELETE":
        number = request.parameters().get("number")
        return {"removed": box.faults.remove(int(number) if number else None)}
    return [rule_document(each) for each in box.faults.rules]


def state(box: Box) -> dict[str, Any]:
    """Return time, trace and accounts as the exchange knows them. Money is text in USDT, positions are lots."""
    return {
        "now_ns": box.now_ns(),
        "trace": box.trace(),
        "accounts": {name: _account(box, name) for name in box.exchanges},
        "faults": [rule_document(each) for each in box.faults.rules],
    }


def _account(box: Box, name: str) -> dict[str, Any]:
    exchange = box.exchanges[name]
    account = exchange.account
    margin = account.margin()
    return {
        "cash": coins(account.wallet.balance(QUOTE)),
        "coins": {coin: coins(amount) for coin, amount in account.wallet.balances.items()},
        "equity": coins(margin.equity),
        "available": coins(margin.available),
        "positions": {each.instrument: each.lots for each in account.positions.values() if each.lots},
        "open_orders": [_order(each) for each in account.open_orders.values()],
        "orders": len(exchange.orders),
        "executions": len(account.executions),
        "events": account.seq,
    }


def _order(order: Order) -> dict[str, Any]:
    return {
        "id": order.id,
        "client_id": order.link_id,
        "instrument": order.instrument,
        "side": order.side.value,
        "status": order.status.value,
        "lots": order.lots,
        "filled": order.filled,
        "price": order.price,
        "trigger": order.trigger.price if order.trigger else 0,
    }
