"""What can go wrong with a journal, by who must act."""

from pathlib import Path

from attrs import frozen

from titan_core.errors import TitanError


class JournalError(TitanError):
    """A journal cannot be opened, written or read."""


class JournalFull(JournalError):
    """The disk has no room. What was acknowledged stays; the journal goes on by itself once there is room again."""


class JournalBroken(JournalError):
    """The disk failed a write, or the writer died. Nothing more is accepted; the process must halt and start again with recovery."""


class JournalLocked(JournalError):
    """Another process writes this journal; `pid` is its id, 0 where it is not known."""

    def __init__(self, message: str, pid: int) -> None:
        super().__init__(message)
        self.pid = pid


class JournalTooNew(JournalError):
    """The journal was written in a format that this version does not know."""


class EntryRefused(JournalError):
    """An entry cannot be read back as what it is, so it was not taken: writing it would make the journal unreadable."""


@frozen
class Damage:
    """A place of the journal that was on disk whole once and is so no more."""

    file: Path
    offset: int
    """First byte that cannot be read."""
    length: int
    """How many bytes cannot be read; 0 where the file is missing or ends too early."""
    first_lost: int
    """First sequence number that is lost with it."""
    last_lost: int
    """Last sequence number that is lost with it; below `first_lost` where only a header is damaged and no entry is lost."""
    reason: str

    def __str__(self) -> str:
        if self.last_lost < self.first_lost:
            lost = "no entry is lost"
        elif self.last_lost == self.first_lost:
            lost = f"entry {self.first_lost} is lost"
        else:
            lost = f"entries {self.first_lost} to {self.last_lost} are lost"
        return f"{self.file}, offset {self.offset}, {self.length} bytes: {self.reason}; {lost}"


class JournalDamaged(JournalError):
    """Entries that were acknowledged cannot be read; `damage` says where and which."""

    def __init__(self, damage: tuple[Damage, ...]) -> None:
        lines = "".join(f"\n  {each}" for each in damage[:20])
        more = f"\n  and {len(damage) - 20} more places" if len(damage) > 20 else ""
        super().__init__(
            f"the journal is damaged:{lines}{more}\n"
            "restore the folder from a copy, or accept the loss explicitly; positions and orders are then the venue's to tell"
        )
        self.damage = damage
