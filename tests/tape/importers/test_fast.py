import subprocess
import sys
from pathlib import Path

import pytest

from tests.tape.importers.recordings import quote, record, stream
from titan_core.model.enums import StreamKind
from titan_core.model.ids import VenueId
from titan_core.tape.importers.binance import import_binance_ws
from titan_core.tape.importers.fast import PACKED, load_kernels, text_size, warm_up
from titan_core.tape.importers.target import Target

ROOT = Path(__file__).resolve().parents[3]
USDM = Target(venue=VenueId("binance-usdm"), symbol="BTCUSDT")

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
{before}
from titan_core.model.ids import VenueId
from titan_core.tape.importers.binance import import_binance_ws
from titan_core.tape.importers.fast import warm_up
from titan_core.tape.importers.target import Target
result = import_binance_ws(Path({path!r}), Target(venue=VenueId("binance-usdm"), symbol="BTCUSDT"), compiled={compiled})
print(result.source.rows, "numba" in sys.modules and sys.modules["numba"] is not None, {after})
"""


def in_a_process(path: Path, *, before: str = "", compiled: bool | None, after: str = "None") -> str:
    script = SCRIPT.format(root=str(ROOT), before=before, path=str(path), compiled=compiled, after=after)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def test_without_numba_everything_is_read_in_plain_python(tmp_path: Path) -> None:
    path = record(tmp_path / "r", [quote(1), quote(2)])
    assert in_a_process(path, before="sys.modules['numba'] = None", compiled=True, after="warm_up()") == "{'quote': 2} False False"


def test_a_small_file_does_not_load_numba(tmp_path: Path) -> None:
    assert in_a_process(record(tmp_path / "r", [quote(1)]), compiled=None) == "{'quote': 1} False None"


def test_compiled_code_that_is_loaded_is_used(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    assert warm_up() and load_kernels(tmp_path, None) is not None and load_kernels(tmp_path, False) is None


def test_packed_files_count_as_their_text(tmp_path: Path) -> None:
    plain, packed = record(tmp_path / "a", [quote(1)] * 50), record(tmp_path / "b", [quote(1)] * 50, packed=True)
    assert text_size(plain) == plain.stat().st_size and text_size(packed) == PACKED * packed.stat().st_size


def test_many_streams_and_short_lines_are_read_all_the_same(tmp_path: Path) -> None:
    """More streams than the compiled code keeps apart, and a block of almost nothing but newlines."""
    pytest.importorskip("numba")
    trade = {"e": "trade", "E": 1, "T": 1, "t": 1, "p": "100.1", "q": "1", "X": "MARKET", "m": False}
    others = [stream("trade", trade, f"c{number}usdt") for number in range(60)]
    path = record(tmp_path / "r", [*others, quote(1), *others, quote(2)])
    path.write_bytes(path.read_bytes().replace(b"\n", b"\n" * 300))
    results = [import_binance_ws(path, USDM, compiled=form) for form in (True, False)]
    assert results[0].source == results[1].source and len(results[0].raw[StreamKind.QUOTE]["ts"]) == 2
    assert results[0].source.messages == {"blank line": 122 * 299, "trade": 120, "other symbols": 120, "bookTicker": 2}
