"""Tables that follow the journal, whatever happens to either."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.journal import projection as room
from titan_core.journal.codec import Record
from titan_core.journal.failures import JournalDamaged
from titan_core.journal.projection import Projection

from .parts import CODEC, Intent, Note, lay_out

TABLES = (
    "CREATE TABLE orders (seq INTEGER PRIMARY KEY, id TEXT UNIQUE, lots INTEGER)",
    "CREATE TABLE total (lots INTEGER)",
    "INSERT INTO total VALUES (0)",
    "CREATE VIEW large AS SELECT * FROM orders WHERE lots > 5",
)


def apply(record: Record[Intent | Note], connection: sqlite3.Connection) -> None:
    entry = record.entry
    if isinstance(entry, Intent):
        connection.execute("INSERT INTO orders VALUES (?, ?, ?)", (record.seq, entry.id, entry.lots))
        connection.execute("UPDATE total SET lots = lots + ?", (entry.lots,))


def projection(folder: Path) -> Projection[Intent | Note]:
    return Projection(folder / "tables.sqlite", TABLES, apply)


def contents(made: Projection[Any]) -> tuple[list[int], int]:
    with closing(sqlite3.connect(made.path)) as connection:
        seqs = [row[0] for row in connection.execute("SELECT seq FROM orders ORDER BY seq")]
        (total,) = connection.execute("SELECT lots FROM total").fetchone()
    return seqs, total


def right(last: int) -> tuple[list[int], int]:
    return list(range(1, last + 1)), last * (last + 1) // 2


def test_the_tables_follow_in_steps_and_stand_where_they_say(tmp_path: Path) -> None:
    journal, tables = tmp_path / "j", projection(tmp_path)
    assert tables.catch_up(journal, CODEC) == 0
    lay_out(journal, [[3, 2], [4]])
    for through in (2, 2, 5, 8):
        assert tables.catch_up(journal, CODEC, through=through) == through
        assert contents(tables) == right(through)
    assert tables.catch_up(journal, CODEC) == 9
    lay_out(journal, [[3, 2], [4, 5], [1]])
    assert tables.catch_up(journal, CODEC) == 15
    assert contents(tables) == right(15)
    with closing(sqlite3.connect(tables.path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 30))
@settings(max_examples=15)
def test_a_crash_between_journal_and_tables_heals(groups: list[int], crash_at: int) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder / "j", [groups])
        last = sum(groups)

        def crashing(record: Record[Intent | Note], connection: sqlite3.Connection) -> None:
            apply(record, connection)
            if record.seq == crash_at:
                raise KeyboardInterrupt

        tables = projection(folder)
        dying = evolve(tables, apply=crashing)
        if crash_at in range(1, last + 1):
            tables.catch_up(folder / "j", CODEC, through=crash_at // 2)
            with pytest.raises(KeyboardInterrupt):
                dying.catch_up(folder / "j", CODEC)
            assert contents(tables) == right(crash_at // 2)
        assert tables.catch_up(folder / "j", CODEC) == last
        assert contents(tables) == right(last)


def test_a_shape_that_changed_or_a_journal_that_changed_makes_them_anew(tmp_path: Path) -> None:
    lay_out(tmp_path / "j", [[4]])
    tables = projection(tmp_path)
    tables.catch_up(tmp_path / "j", CODEC)
    wider = evolve(tables, tables=(*TABLES, "CREATE TABLE extra (x)"))
    assert wider.catch_up(tmp_path / "j", CODEC) == 4
    assert contents(wider) == right(4)
    calls: list[int] = []

    def counted(record: Record[Intent | Note], connection: sqlite3.Connection) -> None:
        calls.append(record.seq)
        apply(record, connection)

    assert evolve(wider, apply=counted).catch_up(tmp_path / "j", CODEC) == 4
    assert calls == [], "nothing has changed"
    assert evolve(wider, apply=counted, version=2).catch_up(tmp_path / "j", CODEC) == 4
    assert calls == [1, 2, 3, 4]


def test_entries_that_vanished_in_a_power_cut_vanish_from_the_tables(tmp_path: Path) -> None:
    lay_out(tmp_path / "j", [[3, 4]])
    tables = projection(tmp_path)
    assert tables.catch_up(tmp_path / "j", CODEC) == 7
    lay_out(tmp_path / "j", [[3]])
    assert tables.catch_up(tmp_path / "j", CODEC) == 3
    assert contents(tables) == right(3)


@pytest.mark.parametrize("damage", [b"this is no database" * 400, None])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: bytes | None) -> None:
    lay_out(tmp_path / "j", [[60]])
    tables = projection(tmp_path)
    tables.catch_up(tmp_path / "j", CODEC)
    image = tables.path.read_bytes()
    tables.path.write_bytes(damage or image[:4_096] + b"\xff" * (len(image) - 4_096))
    assert tables.catch_up(tmp_path / "j", CODEC) == 60
    assert contents(tables) == right(60)


def test_damage_of_the_journal_is_not_hidden(tmp_path: Path) -> None:
    (path,) = lay_out(tmp_path / "j", [[2, 2, 2]])
    image = bytearray(path.read_bytes())
    image[image.index(b"hunter.main.3")] ^= 1
    path.write_bytes(image)
    tables = projection(tmp_path)
    with pytest.raises(JournalDamaged):
        tables.catch_up(tmp_path / "j", CODEC)
    assert tables.catch_up(tmp_path / "j", CODEC, accept_damage=True) == 6
    assert contents(tables)[0] == [1, 2, 4, 5, 6]


def test_many_batches_are_one_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BATCH", 3)
    lay_out(tmp_path / "j", [[5, 5], [4]])
    tables = projection(tmp_path)
    tables.catch_up(tmp_path / "j", CODEC, through=1)
    assert tables.catch_up(tmp_path / "j", CODEC) == 14
    assert contents(tables) == right(14)
