"""A run folder is complete or absent, never overwritten, and refuses to be read as something else."""

import json

import pytest

from titan_core.errors import UsageError
from titan_core.telemetry.run_folder import KIND, read_lines, read_manifest, write_run_folder


def write(path, **changes):
    given = {
        "documents": {"manifest.json": {"kind": KIND, "format": 1}},
        "lines": {"trades.jsonl": [{"a": 1}, {"a": 2}]},
        "texts": {"equity.csv": lambda: "ts_ns\n"},
    } | changes
    write_run_folder(path, **given)


def test_documents_lines_and_texts_are_written(tmp_path):
    write(tmp_path / "runs" / "one")
    assert json.loads((tmp_path / "runs/one/manifest.json").read_text())["kind"] == KIND
    assert read_manifest(tmp_path / "runs/one")["format"] == 1
    assert read_lines(tmp_path / "runs/one", "trades.jsonl") == [{"a": 1}, {"a": 2}]
    assert (tmp_path / "runs/one/equity.csv").read_text() == "ts_ns\n"


def test_a_failure_half_way_leaves_nothing_behind(tmp_path):
    def fails():
        yield {"a": 1}
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        write(tmp_path / "one", lines={"trades.jsonl": fails()})
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_overwritten(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "precious").write_text("x")
    with pytest.raises(UsageError, match="exists already"):
        write(tmp_path / "one")
    assert (tmp_path / "one" / "precious").read_text() == "x"


@pytest.mark.parametrize(("content", "said"), [(None, "no manifest.json"), ("{", "damaged"), ('{"kind": "tape"}', "not 'titan-run'"), ("[]", "missing")])
def test_what_is_no_run_folder_is_named(tmp_path, content, said):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(UsageError, match=said):
        read_manifest(tmp_path)
