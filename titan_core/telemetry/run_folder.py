"""The folder that a run leaves behind.

    manifest.json    what ran: tape, configuration, code, engine, digests
    summary.json     the figures that the command printed
    config.json      every value in force with its origin
    trades.jsonl     one line a round trip, tagged with its phase
    fills.jsonl      one line an execution
    funding.jsonl    one line a settlement
    chart.jsonl      one line a transition of the Brain's chart, with the guard values behind it
    decisions.jsonl  everything decided, in order; the run's digest is taken over it
    equity.csv       the equity curve

It is written beside its final place and moved there in one step, so a folder that exists is complete.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from titan_core.errors import UsageError

KIND = "titan-run"
FORMAT = 1


def refuse_existing(path: Path) -> None:
    """Raise UsageError where the folder is there already: a run is never overwritten."""
    if path.exists():
        raise UsageError(f"{path} exists already; a run is never overwritten: choose another --out, or remove it")


def write_run_folder(path: Path, documents: Mapping[str, Any], lines: Mapping[str, Iterable[Any]], texts: Mapping[str, Callable[[], str]]) -> None:
    """Write JSON documents, JSON-lines files and texts under `path`, which must not exist. Leaves nothing behind on failure."""
    refuse_existing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial-{os.getpid()}"
    partial.mkdir()
    try:
        encoder = msgspec.json.Encoder(enc_hook=str)
        for name, document in documents.items():
            (partial / name).write_bytes(msgspec.json.format(encoder.encode(document), indent=2) + b"\n")
        for name, rows in lines.items():
            (partial / name).write_bytes(b"".join(encoder.encode(row) + b"\n" for row in rows))
        for name, text in texts.items():
            (partial / name).write_text(text())
        partial.rename(path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a run folder. Raises UsageError where there is none."""
    file = path / "manifest.json"
    try:
        manifest = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        raise UsageError(f"{path} is no run folder: it has no manifest.json; `titan replay --out DIR` writes one") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{file} is damaged: {error}") from None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND:
        raise UsageError(
            f"{file} does not describe a run of Titan: its kind is {manifest.get('kind') if isinstance(manifest, dict) else 'missing'!r}, not {KIND!r}"
        )
    return manifest


def read_lines(path: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of a JSON-lines file of a run folder."""
    decoder = msgspec.json.Decoder()
    try:
        return [decoder.decode(line) for line in (path / name).read_bytes().splitlines()]
    except FileNotFoundError:
        raise UsageError(f"{path} has no {name}") from None
