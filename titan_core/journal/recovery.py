"""From files to what the caller needs to go on: the newest snapshot, the entries after it, and everything that is not as it should be."""

from pathlib import Path
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from titan_core.journal.codec import EntryCodec, Record, Snapshot
from titan_core.journal.failures import Damage, JournalDamaged, JournalFull
from titan_core.journal.files import NO_ROOM, Files, create_whole, remove_parts
from titan_core.journal.reading import TornEnd, Walk, decode
from titan_core.journal.segments import journal_id, list_segments
from titan_core.journal.snapshots import load_newest

E = TypeVar("E")
S = TypeVar("S")

ASIDE = "aside"
"""Folder within the journal's where torn ends are kept."""


@frozen
class Recovery(Generic[E, S]):
    """What a journal holds."""

    journal_id: str
    """Empty where there is no journal yet."""
    snapshot: Snapshot[S] | None
    tail: tuple[Record[E], ...]
    """All entries after the snapshot; without holes unless damage was accepted."""
    last_seq: int
    """The next entry gets the number after it."""
    torn: TornEnd | None
    """What was being written when the process or the machine stopped."""
    damage: tuple[Damage, ...]
    """Damage after the snapshot: where no entry is lost, or all of it where it was accepted."""
    notes: tuple[str, ...]
    """Whatever else is worth a line in the log, such as snapshots that could not be used."""
    end: tuple[Path, int] | None
    """The last segment and where the next group goes; None where the next group begins a segment."""


def recover(
    folder: Path,
    codec: EntryCodec[E],
    state_type: type[S] | Any = Any,
    *,
    accept_damage: bool = False,
    repair: bool = True,
    files: Files | None = None,
) -> Recovery[E, S]:
    """Read the newest whole snapshot and all entries after it.

    A torn end is left out; with `repair` a copy of it is put aside and it is taken out of the journal, which only the journal's writer may do.
    Raises JournalDamaged where acknowledged entries are lost, unless `accept_damage`; JournalTooNew; JournalFull where a torn end cannot be put aside.
    """
    which = journal_id(list_segments(folder))
    snapshot, notes = load_newest(folder, which, state_type)
    after = snapshot.seq if snapshot is not None else 0
    walk = Walk(folder, after=after)
    tail: list[Record[E]] = []
    damage: list[Damage] = []
    for item in walk:
        if isinstance(item, Damage):
            damage.append(item)
        else:
            tail.append(decode(codec, item))
    torn, end = walk.torn, walk.end
    if walk.last < after:
        damage.append(_short(folder, walk, after))
        end = None
    lost = tuple(each for each in damage if each.last_lost >= each.first_lost)
    if lost and not accept_damage:
        raise JournalDamaged(lost)
    if torn is not None and repair:
        torn = put_aside(torn, files or Files())
    return Recovery(which, snapshot, tuple(tail), max(walk.last, after), torn, tuple(damage), notes, end)


def _short(folder: Path, walk: Walk, after: int) -> Damage:
    """A snapshot is written once its entries are on disk, so a journal that ends before it has lost some."""
    path, offset = walk.end or (folder, 0)
    length = walk.torn.length if walk.torn is not None else 0
    return Damage(path, offset, length, walk.last + 1, after, "the journal ends before its newest snapshot")


def put_aside(torn: TornEnd, files: Files) -> TornEnd:
    """Copy a torn end into the journal's folder `aside` and overwrite it with zeros, which takes no room that the file does not have."""
    folder = torn.file.parent / ASIDE
    kept = _free_name(folder, f"{torn.file.stem}-{torn.offset}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = files.open(torn.file, create=False)
        try:
            with torn.file.open("rb") as file:
                file.seek(torn.offset)
                files.close(create_whole(files, kept, file.read(torn.length)))
            files.write_durably(fd, bytes(torn.length), torn.offset)
        finally:
            files.close(fd)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise JournalFull(f"no room on the disk to put the torn end of {torn.file} aside ({torn.length} bytes); free some and start again") from error
    return evolve(torn, kept=kept)


def _free_name(folder: Path, stem: str) -> Path:
    number = 1
    while (path := folder / f"{stem}-{number}.torn").exists():
        number += 1
    return path


def tidy(folder: Path, files: Files) -> None:
    """Remove what a crash kept from being finished. Only the journal's writer may do this."""
    remove_parts(files, folder)
    if (folder / ASIDE).is_dir():
        remove_parts(files, folder / ASIDE)
