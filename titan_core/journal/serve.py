"""The journal's writer as a process: `python -m titan_core.journal.serve ORDER`, started by `link.py` and by nobody else.

It outlives whoever started it for as long as it takes to bring to disk what was sent, and ignores the signals that end the others.
"""

import json
import os
import signal
import sys
from pathlib import Path

from attrs import asdict, frozen

from titan_core.journal.files import Files
from titan_core.journal.frames import FORMAT_VERSION, Header
from titan_core.journal.segments import OpenSegment
from titan_core.journal.wire import PipeInbox, encode_report
from titan_core.journal.writer import GroupWriter, Limits, Report


@frozen
class Order:
    """Where and how to write."""

    folder: Path
    journal_id: str
    segment: str
    """Name of the segment to go on with."""
    offset: int
    last_seq: int
    """Last entry that is on disk."""
    limits: Limits
    entries_fd: int
    reports_fd: int

    def encode(self) -> str:
        """Return it as one argument of a command."""
        return json.dumps(asdict(self) | {"folder": str(self.folder)})

    @classmethod
    def decode(cls, text: str) -> "Order":
        """Read it back."""
        fields = json.loads(text)
        return cls(**fields | {"folder": Path(fields["folder"]), "limits": Limits(**fields["limits"])})


def serve(order: Order, files: Files) -> None:
    """Write until the pipe of entries ends, then close both pipes."""

    def tell(report: Report) -> None:
        try:
            os.write(order.reports_fd, encode_report(report))
        except BrokenPipeError:
            pass  # whoever started this is gone; what was sent is brought to disk all the same

    def make_segment(first_seq: int, ts_ns: int, size: int) -> OpenSegment:
        return OpenSegment.create(files, order.folder, Header(FORMAT_VERSION, order.journal_id, first_seq, ts_ns), size)

    try:
        segment = OpenSegment.resume(files, order.folder / order.segment, order.offset, order.limits.segment_bytes)
        GroupWriter(segment, make_segment, PipeInbox(order.entries_fd), tell, order.limits, Report(order.last_seq)).run()
    finally:
        os.close(order.entries_fd)
        os.close(order.reports_fd)


def main(arguments: list[str]) -> None:
    """Serve as a process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    serve(Order.decode(arguments[0]), Files())


if __name__ == "__main__":
    main(sys.argv[1:])
