"""Taking a recording's lines apart: receive time and message, whatever layout the recorder used."""

from attrs import frozen

from titan_core.tape.importers.decimals import is_time, seconds_to_ns
from titan_core.tape.importers.detect import Layout

_STAMP_DIGITS = (19, 16, 13, 10)


@frozen
class Framed:
    """One line: receive time (0 where the recorder wrote none) and the JSON message, or why there is none."""

    receive: int
    payload: bytes
    note: str = ""
    """`sent`, `connection`, `configuration`, `blank line` or `bad line` for lines that carry no market message."""
    url: bytes = b""
    """Where a REST answer came from."""


def frame(line: bytes, layout: Layout) -> Framed:
    """Take one line apart. Never raises: a line that cannot be read has the note `bad line`."""
    line = line.strip()
    if not line:
        return Framed(0, b"", "blank line")
    if line.startswith(b"{"):
        return Framed(0, line)
    if layout is Layout.CRYPTOFEED:
        return _cryptofeed(line)
    stamp, _, payload = line.partition(b" ")
    payload = payload.strip()
    if not is_stamp(stamp) or not payload.startswith(b"{"):
        return Framed(0, line, "bad line")
    return Framed(int(stamp), payload)


def _cryptofeed(line: bytes) -> Framed:
    if line.startswith(b"configuration: "):
        return Framed(0, line, "configuration")
    url, arrow = b"", b""
    if line.startswith((b"wss://", b"https://", b"ws://", b"http://")):
        url, arrow, line = (line.split(b" ", 2) + [b"", b""])[:3]
    if arrow == b"<->":
        return Framed(0, line, "connection")
    if arrow == b"<-":
        return Framed(0, line, "sent")
    stamp, colon, payload = line.partition(b": ")
    try:
        receive = seconds_to_ns(stamp)
    except ValueError:
        return Framed(0, line, "bad line")
    if not colon or not payload.startswith((b"{", b"[")) or not is_time(receive):
        return Framed(receive, payload, "bad line")
    return Framed(receive, payload, "", url)


def is_stamp(text: bytes) -> bool:
    """Return whether this is a receive time: a time between 2001 and 2128 in s, ms, µs or ns (see `is_time`), judged by its digits, which is fast."""
    return len(text) in _STAMP_DIGITS and text.isdigit() and text[0] in b"1234"
