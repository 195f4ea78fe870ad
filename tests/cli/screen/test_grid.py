"""Lines that fit."""

from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from titan_core.cli.screen.grid import Column, beside, cut, first, fit, pack, plain, spread, table

WORDS = st.text(max_size=30)
WIDTHS = st.integers(1, 120)


def test_less_important_columns_go_first() -> None:
    columns = (Column(title="name"), Column(title="note", rank=2), Column(title="size", right=True, rank=1))
    rows = [("alpha", "a long remark", "12"), ("b", "x", "3")]
    assert [line.plain for line in table(columns, rows, 40)] == ["name   note           size", "alpha  a long remark    12", "b      x                 3"]
    assert [line.plain for line in table(columns, rows, 20)] == ["name   size", "alpha    12", "b         3"]
    assert [line.plain for line in table(columns, rows, 8)] == ["name", "alpha", "b"]


def test_where_nothing_can_go_the_one_that_may_is_cut() -> None:
    columns = (Column(title="a"), Column(title="b", grows=True))
    assert [line.plain for line in table(columns, [("1234", "abcdefgh")], 11)] == ["a     b", "1234  abcd…"]


def test_what_a_terminal_would_act_on_is_taken_out() -> None:
    assert plain("a\x1b[2Jb\nc\td\x9be\u202ef") == "a [2Jb c d e f"


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=5), WIDTHS, st.permutations([0, 1, 2]), st.booleans())
def test_no_line_of_a_table_is_too_wide(rows: list[tuple[str, str, str]], width: int, ranks: list[int], grows: bool) -> None:
    columns = [Column(title=f"title {rank}", rank=rank, right=rank == 1, grows=grows and rank == 0) for rank in ranks]
    lines = table(columns, rows, width)
    assert len(lines) == len(rows) + 1
    assert all(line.cell_len <= width and "\n" not in line.plain for line in lines)


@given(st.lists(WORDS.map(plain), min_size=1, max_size=5), WORDS.map(plain), WIDTHS)
def test_lines_that_are_put_together_fit(parts: list[str], other: str, width: int) -> None:
    texts = [Text(part) for part in parts]
    assert pack(texts, width).cell_len <= width
    assert spread(texts[0], Text(other), width).cell_len == width
    assert fit(texts[0], width).cell_len == width
    assert cut(texts[0], width).cell_len <= width
    joined = beside(texts, [Text(other)], width, 10, 3)
    assert len(joined) == max(len(texts), 1) and all(line.cell_len <= width + 13 for line in joined)


@given(st.integers(0, 9), st.integers(1, 9))
def test_what_is_left_out_is_counted(count: int, most: int) -> None:
    shown = first([Text(str(number)) for number in range(count)], most)
    assert len(shown) == min(count, most)
    if count > most:
        assert shown[-1].plain == f"  and {count - most + 1} more"
