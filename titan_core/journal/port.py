"""What the rest of Titan needs of a journal, on disk or in memory."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from titan_core.journal.failures import JournalError

E_contra = TypeVar("E_contra", contravariant=True)

OnDurable = Callable[[], None]
OnFailed = Callable[[JournalError], None]


class JournalStatus(StrEnum):
    """Whether a journal takes entries."""

    OK = "ok"
    FULL = "full"
    """No room on the disk; urgent entries are still taken while the reserve lasts. It becomes `ok` again by itself."""
    BROKEN = "broken"
    """The disk failed, or the journal was closed. Final."""


OnStatus = Callable[[JournalStatus, str], None]
"""Called on the loop when the status changes, with the reason in words."""


class Journal(Protocol[E_contra]):
    """An append-only log with one total order. All of it is called on the thread of the loop."""

    @property
    def last_seq(self) -> int:
        """Sequence number of the last entry that was appended; 0 before the first."""
        ...

    @property
    def durable_seq(self) -> int:
        """All entries up to this one are on disk."""
        ...

    @property
    def status(self) -> JournalStatus:
        """Whether entries are taken."""
        ...

    def append(self, entry: E_contra, *, urgent: bool = False) -> int:
        """Take an entry and return its sequence number at once; it is not on disk yet.

        `urgent` is for what a halt needs (closing orders, the reason): it may use the room that is kept for it on a full disk.
        Raises JournalFull, JournalBroken, or EntryRefused where the entry could not be read back; the entry then has no number and never happened.
        """
        ...

    def when_durable(self, seq: int, fn: OnDurable, failed: OnFailed | None = None) -> None:
        """Call `fn` on the loop once all entries up to `seq` are on disk, in the order of `seq`.

        Exactly one of the two is called: `failed` where the disk is full or broken before that. An entry whose waiter has failed may still come to
        disk later, as an intent that was never acted on.
        """
        ...

    async def durable(self, seq: int) -> None:
        """Return once all entries up to `seq` are on disk. Raises JournalFull or JournalBroken where `when_durable` would call `failed`."""
        ...

    def sync(self, timeout_s: float = 10.0) -> None:
        """Wait, blocking, until all that was appended is on disk; for the way out. Raises JournalFull, JournalBroken, also after `timeout_s`."""
        ...

    @property
    def snapshot_due(self) -> bool:
        """Whether so many entries were appended since the last snapshot that it is time for the next, and none is being written."""
        ...

    def write_snapshot(self, state: Any, seq: int) -> None:
        """Keep the state that all entries up to and with `seq` have led to; it is encoded now and written in the background once `seq` is on disk.

        A snapshot that cannot be written is reported by `snapshot_failure`; the journal goes on without it.
        """
        ...

    @property
    def snapshot_failure(self) -> str:
        """Why the last snapshot could not be written; empty where it could."""
        ...

    def close(self) -> None:
        """Bring to disk what was appended, stop the writer, give the lock back. Does nothing the second time."""
        ...
