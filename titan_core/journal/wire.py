"""What goes between the loop and the journal's writer through two pipes: entries one way, reports the other."""

import os
import select
import struct
from collections.abc import Iterator

from titan_core.journal.port import JournalStatus
from titan_core.journal.writer import Pending, Report

_ENTRY = struct.Struct("<qI")
_REPORT = struct.Struct("<qqBBI")
_STATUS = tuple(JournalStatus)
READ_BYTES = 1 << 16
"""More would be asked of the allocator anew for each read, which costs more than a second read."""


def encode_entry(ts_ns: int, payload: bytes) -> bytes:
    """Return an entry as it goes to the writer."""
    return _ENTRY.pack(ts_ns, len(payload)) + payload


def encode_report(report: Report) -> bytes:
    """Return a report as it goes to the loop."""
    reason = report.reason.encode()
    return _REPORT.pack(report.durable_seq, report.written_bytes, _STATUS.index(report.status), report.stuck, len(reason)) + reason


class PipeInbox:
    """The writer's end of the pipe of entries. Entries that were not sent whole never happened: whoever sent them died over it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def take(self, timeout_s: float | None) -> tuple[list[Pending], bool]:
        """Wait for entries; see `writer.Inbox.take`."""
        if timeout_s is not None and not self._poll.poll(timeout_s * 1e3):
            return [], False
        came = os.read(self._fd, READ_BYTES)
        entries, self._rest = _split_entries(self._rest + came if self._rest else came)
        return entries, not came


def _split_entries(data: bytes) -> tuple[list[Pending], bytes]:
    entries = []
    position = 0
    while position + _ENTRY.size <= len(data):
        ts_ns, length = _ENTRY.unpack_from(data, position)
        end = position + _ENTRY.size + length
        if end > len(data):
            break
        entries.append((ts_ns, data[position + _ENTRY.size : end]))
        position = end
    return entries, data[position:]


class ReportStream:
    """Puts reports together from what is read of their pipe."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Report]:
        """Give the reports that are whole with this data."""
        data = self._rest + data
        position = 0
        while position + _REPORT.size <= len(data):
            durable_seq, written, status, stuck, length = _REPORT.unpack_from(data, position)
            end = position + _REPORT.size + length
            if end > len(data):
                break
            yield Report(durable_seq, written, _STATUS[status], bool(stuck), data[position + _REPORT.size : end].decode())
            position = end
        self._rest = data[position:]
