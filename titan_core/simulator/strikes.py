"""How a fault changes the answer to a request, in the words of each venue."""

from collections.abc import Callable
from typing import Any

from attrs import evolve

from titan_core.simulator.faults import FaultKind, Rule
from titan_core.simulator.venue import Venue
from titan_core.simulator.wire import Dropped, Hanging, Late, Outcome, Request, Response, encode

PAGE = b"<!DOCTYPE html><html><head><title>%d</title></head><body><center><h1>%s</h1></center><hr><center>nginx</center></body></html>"
TITLES = {403: b"403 Forbidden", 429: b"429 Too Many Requests", 500: b"500 Internal Server Error", 502: b"502 Bad Gateway", 504: b"504 Gateway Time-out"}


def struck(rule: Rule, venue: str, request: Request, handler: Callable[[Request], Response]) -> Outcome:
    """Return what the client gets where a rule strikes its request."""
    if rule.kind is FaultKind.DROP_REQUEST:
        return Dropped()
    if rule.kind is FaultKind.HANG_REQUEST:
        return Hanging(rule.seconds)
    if rule.kind is FaultKind.STATUS or (rule.kind is FaultKind.CODE and not rule.carried_out):
        return answered_instead(venue, rule)
    response = handler(request)
    if rule.kind is FaultKind.DROP_ANSWER:
        return Dropped()
    if rule.kind is FaultKind.HANG_ANSWER:
        return Hanging(rule.seconds)
    if rule.kind is FaultKind.DELAY:
        return Late(rule.seconds, response)
    if rule.kind is FaultKind.EMPTY:
        return evolve(response, body=b"")
    if rule.kind is FaultKind.TRUNCATED:
        return evolve(response, body=response.body[: len(response.body) // 2])
    if rule.kind is FaultKind.HTML:
        return evolve(response, body=page(200), content_type="text/html")
    return answered_instead(venue, rule)


def page(status: int) -> bytes:
    """Return a page as a proxy in front of the venue would send it."""
    return PAGE % (status, TITLES.get(status, b"%d" % status))


def answered_instead(venue: str, rule: Rule) -> Response:
    """Return an error answer in the venue's words."""
    if rule.kind is FaultKind.STATUS:
        headers = {"Retry-After": str(max(1, int(rule.seconds)))} if rule.status in (418, 429) else {}
        return Response(rule.status, page(rule.status), headers, "text/html")
    return Response(400 if venue == "binance" else 200, encode(error_document(venue, rule.code)))


def error_document(venue: str, code: int, text: str = "Server error, please try again later.") -> dict[str, Any]:
    """Return the venue's error object."""
    if venue == "bybit":
        return {"retCode": code, "retMsg": text, "result": {}, "retExtInfo": {}, "time": 0}
    if venue == "mexc":
        return {"success": False, "code": code, "message": text}
    return {"code": -code, "msg": text}


def maintenance_answer(name: str, request: Request, venue: Venue) -> Response | None:
    """Return the refusal of a request during maintenance; None where it is carried out all the same: reading, cancelling, closing a position."""
    if request.method != "POST" or "/order/" not in request.path or "cancel" in request.path:
        return None
    try:
        body = request.document()
    except ValueError:
        return None
    closes = isinstance(body, dict) and (body.get("reduceOnly") is True or (name == "mexc" and body.get("side") in (2, 4)))
    if closes:
        return None
    document = error_document(name, 10016 if name == "bybit" else 801, "System under maintenance, only position closing is allowed.")
    if name == "bybit":
        document["time"] = venue.server_ms()
    return Response(200, encode(document))
