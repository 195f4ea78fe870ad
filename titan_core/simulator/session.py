"""Websocket sessions without sockets: bytes in, bytes out; and the topics that sessions share."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from titan_core.simulator.wire import encode

Deliver = Callable[[bytes, str], None]
"""Takes a frame and the topic that it belongs to; an empty topic for answers to the client's own messages."""


class Session(Protocol):
    """One websocket as the venue sees it."""

    deliver: Deliver

    def receive(self, frame: bytes) -> list[bytes]:
        """Take a message of the client and return the answers to it. What is pushed later goes through `deliver`."""
        ...

    def close(self) -> None:
        """Forget the session's subscriptions."""
        ...


def parsed(frame: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a message, None where it is none."""
    try:
        found = msgspec.json.decode(frame)
    except msgspec.DecodeError:
        return None
    return found if isinstance(found, dict) else None


class Topics:
    """Who listens to what. A frame is written once, for however many sessions."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[Session, None]] = {}

    def add(self, topic: str, session: Session) -> bool:
        """Subscribe; return whether it is the first subscriber."""
        found = self._sessions.setdefault(topic, {})
        found[session] = None
        return len(found) == 1

    def remove(self, topic: str, session: Session) -> None:
        """Unsubscribe."""
        found = self._sessions.get(topic, {})
        found.pop(session, None)
        if not found:
            self._sessions.pop(topic, None)

    def drop(self, session: Session) -> None:
        """Unsubscribe a session from everything."""
        for topic in list(self._sessions):
            self.remove(topic, session)

    def has(self, topic: str, session: Session) -> bool:
        """Return whether a session listens."""
        return session in self._sessions.get(topic, {})

    def names(self) -> list[str]:
        """Return the topics that somebody listens to."""
        return list(self._sessions)

    def __contains__(self, topic: str) -> bool:
        return topic in self._sessions

    def publish(self, topic: str, document: Any) -> None:
        """Send a document to everybody who listens."""
        found = self._sessions.get(topic)
        if found:
            frame = encode(document)
            for session in list(found):
                session.deliver(frame, topic)
