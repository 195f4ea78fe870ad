"""Implementations of the websocket port, one per library."""

from titan_core.errors import UsageError
from titan_core.feed.transport import Dial, Transport

CLIENTS = ("websockets", "picows")


def open_transport(name: str = "websockets", dial: Dial | None = None) -> Transport:
    """Return the transport of that name, importing its library; its sockets are connected by `dial`, where one is given.

    Raises UsageError where the name is unknown or the library not installed.
    """
    try:
        if name == "websockets":
            from titan_core.feed.transports.websockets_client import WebsocketsTransport

            return WebsocketsTransport(dial)
        if name == "picows":
            from titan_core.feed.transports.picows_client import PicowsTransport

            return PicowsTransport(dial)
    except ImportError as error:
        extra = {"websockets": "live", "picows": "fast"}[name]
        raise UsageError(f"{name} is not installed ({error}); install titan-core[{extra}]") from error
    raise UsageError(f"no websocket client named {name!r}; there is {', '.join(CLIENTS)}")
