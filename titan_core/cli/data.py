"""`titan data`: import, generate, list and verify market recordings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from titan_core.cli.options import JsonOption
from titan_core.cli.output import console, emit, print_json, print_note, progress, table
from titan_core.tape.importers.detect import Format

if TYPE_CHECKING:
    from titan_core.tape.manifest import Manifest, Source

app = typer.Typer(help="Import, generate, list and verify market recordings.", no_args_is_help=True)

TapeOption = Annotated[Path, typer.Option("--tape", metavar="DIR", help="Folder of the tape; made where there is none.", show_default=False)]


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Recording or CSV file, plain or gzip.", show_default=False)],
    tape: TapeOption,
    format: Annotated[Format | None, typer.Option("--format", help="What the file is; told from its beginning by default.", show_default=False)] = None,
    market: Annotated[str | None, typer.Option(metavar="spot|usdm|linear|contract", help="Market of the venue.", show_default=False)] = None,
    symbol: Annotated[str | None, typer.Option(metavar="BTCUSDT", help="Symbol; needed where a file holds several.", show_default=False)] = None,
    venue: Annotated[
        str | None, typer.Option(metavar="binance-usdm|...", help="Venue of a CSV file; by default taken from its name.", show_default=False)
    ] = None,
    tick: Annotated[str | None, typer.Option(metavar="PRICE", help="Tick size, where the known or the inferred one is wrong.", show_default=False)] = None,
    lot: Annotated[str | None, typer.Option(metavar="SIZE", help="Lot size in base coin, likewise.", show_default=False)] = None,
    json: JsonOption = False,
) -> None:
    """Import a file into a tape. Called again, it adds streams or extends them.

    Every message is accounted for; what is wrong with the file is reported with a count and the first place. A file cut off in the middle is imported as
    far as it goes.
    """
    from titan_core.tape.importers.add import add_to_tape, present_instruments
    from titan_core.tape.importers.dispatch import Request, import_file

    request = Request(format=format, market=market, symbol=symbol, venue=venue, tick=_size(tick, "--tick"), lot=_size(lot, "--lot"))
    with progress(f"reading {file.name}", 1.0, quiet=json) as step:
        result = import_file(file, request, present_instruments(tape), progress=step)
    with progress(f"writing {tape}", 1.0, quiet=json) as step:
        manifest = add_to_tape(tape, result, progress=step)
    source = manifest.sources[-1]
    _warn(source)
    if json:
        print_json({"tape": str(tape), "digest": manifest.digest, **_source_data(source), "instrument": _instrument_data(manifest, source.instrument)})
    else:
        _print_source(manifest, source, tape)


@app.command("list")
def list_tapes(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder to look in, and in its folders.", show_default=False)] = Path("."),
    json: JsonOption = False,
) -> None:
    """List the tapes in a folder: instruments, span, ticks, faults. A damaged manifest is listed as such and breaks nothing else."""
    from titan_core.errors import TapeError, UsageError
    from titan_core.tape.faults import fault_total
    from titan_core.tape.manifest import find_tapes, read_manifest

    if not directory.is_dir():
        raise UsageError(f"{directory} is no folder; give the folder that holds the tapes")
    rows: list[dict[str, Any]] = []
    for path in find_tapes(directory):
        row: dict[str, Any] = {"tape": str(path), "from": "", "to": "", "span_ns": 0, "ticks": 0, "gaps": 0, "faults": 0, "bytes": 0, "digest": None}
        try:
            manifest = read_manifest(path)
        except TapeError as error:
            rows.append({**row, "instruments": [], "error": str(error)})
            continue
        row |= {"from": _when(manifest.first_ns), "to": _when(manifest.last_ns), "span_ns": manifest.last_ns - manifest.first_ns}
        row |= {"ticks": manifest.ticks, "gaps": sum(gaps.count for gaps in manifest.gaps.values())}
        row |= {"faults": fault_total(manifest.all_faults), "bytes": sum(file.size for file in manifest.files), "digest": manifest.digest}
        rows.append({**row, "instruments": [i.instrument().id for i in manifest.instruments], "error": None})
    if json:
        print_json(rows)
        return
    shown = [_list_row(row, directory) for row in rows]
    emit(shown, False, empty=f"no tape in {directory}; make one with `titan data import` or `titan data generate`")
    for row in rows:
        if row["error"]:
            print_note(f"damaged: {row['error']}")


@app.command()
def verify(tape: Annotated[Path, typer.Argument(help="Folder of the tape.", show_default=False)], json: JsonOption = False) -> None:
    """Check a tape completely: every byte, every derived column, the order of time, the books. Exits with 1 where something is wrong."""
    from titan_core.tape.store import verify_tape

    report = verify_tape(tape)
    if json:
        data = {"tape": str(tape), "ok": report.ok, "files": report.files, "bytes": report.size, "ticks": report.rows, "digest": report.digest}
        print_json({**data, "problems": list(report.problems)})
    elif report.ok:
        size = f"{report.files} files, {report.size / 1e6:,.1f} MB, {report.rows:,} ticks"
        console().print(f"{tape} is sound: {size}, digest {report.digest[:16]}", markup=False)
    else:
        console().print(f"{tape} is damaged:", markup=False)
        emit([{"problem": problem} for problem in report.problems], False)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def generate(
    tape: TapeOption,
    days: Annotated[int, typer.Option(help="Whole UTC days to generate.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same market everywhere.")] = 1,
    json: JsonOption = False,
) -> None:
    """Generate a spot and perpetual market with funding, open interest and liquidations. A tape that is there is replaced."""
    from titan_core.tape.generate import generate as generate_market
    from titan_core.tape.store import write_tape

    with progress(f"generating {days} days, seed {seed}", 1.0, quiet=json) as step:
        instruments, raw = generate_market(days, seed, progress=step)
    with progress(f"writing {tape}", 1.0, quiet=json) as step:
        manifest = write_tape(tape, instruments, raw, sources=_generated(instruments, raw, days, seed), progress=step)
    rows = [_stream_row(stream) for stream in manifest.streams]
    if json:
        print_json({"tape": str(tape), "digest": manifest.digest, "days": days, "seed": seed, "ticks": manifest.ticks, "streams": rows})
        return
    console().print(f"{tape}: {_when(manifest.first_ns)} to {_when(manifest.last_ns)}, {manifest.ticks:,} ticks, digest {manifest.digest[:16]}", markup=False)
    emit([{name: row[name] for name in ("instrument", "stream", "rows")} for row in rows], False)


def _generated(instruments: Any, raw: Any, days: int, seed: int) -> "list[Source]":
    from titan_core.tape.manifest import Source

    return [
        Source(
            file=f"generated, {days} days, seed {seed}",
            format="generated",
            size=0,
            sha256="",
            instrument=instrument.id,
            lines=0,
            messages={},
            rows={kind.value: len(columns["ts"]) for (name, kind), columns in raw.items() if name == instrument.id},
        )
        for instrument in instruments
    ]


# -- what is shown ------------------------------------------------------------------------------------------------
def _size(text: str | None, option: str) -> Any:
    from decimal import Decimal, InvalidOperation

    from titan_core.errors import UsageError

    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise UsageError(f"{option} must be a number above 0 such as 0.01, found {text!r}")
    return value


def _warn(source: "Source") -> None:
    from titan_core.tape.faults import FaultKind

    for fault in source.faults:
        if fault.kind is FaultKind.TRUNCATED:
            print_note(f"WARNING: {source.file} is cut off: {fault.example}; everything before that was imported, and the tape has a gap there")


def _source_data(source: "Source") -> dict[str, Any]:
    from titan_core.tape.manifest import to_json

    data: dict[str, Any] = to_json(source)
    return data


def _instrument_data(manifest: "Manifest", instrument: str) -> dict[str, Any]:
    from titan_core.tape.manifest import to_json

    entry = next(entry for entry in manifest.instruments if entry.instrument().id == instrument)
    return {"id": instrument, **to_json(entry)}


def _print_source(manifest: "Manifest", source: "Source", tape: Path) -> None:
    screen = console()
    entry = next(entry for entry in manifest.instruments if entry.instrument().id == source.instrument)
    screen.print(f"{source.instrument}, tick {entry.tick_size}, lot {entry.lot_size} ({entry.grid})", markup=False)
    counts = [{"message": name, "count": count} for name, count in sorted(source.messages.items(), key=lambda item: -item[1]) if count]
    screen.print(f"{source.lines:,} lines of {source.file}", markup=False)
    emit(counts, False)
    screen.print(f"\nadded to {tape}", markup=False)
    emit([{"stream": kind, "rows": rows} for kind, rows in source.rows.items()], False, empty="no new rows")
    if source.faults:
        screen.print("\nfaults, each with the first place", markup=False)
        faults = table("fault", "count", "line", "example", right=["count", "line"])
        for fault in source.faults:
            faults.add_row(fault.kind.value, f"{fault.count:,}", str(fault.line) if fault.line else "", fault.example)
        screen.print(faults)
    screen.print()
    clock = source.clock
    if clock is not None and clock.samples:
        figures = f"min {clock.min_ns / 1e6:.3f}, median {clock.median_ns / 1e6:.3f}, max {clock.max_ns / 1e6:.3f} ms"
        screen.print(f"receive time minus event time: {figures} over {clock.samples:,} messages", markup=False)
    if clock is not None and clock.bumped:
        bumped = f"{clock.bumped:,} rows moved forward so that time increases, at most by {clock.largest_bump_ns:,} ns"
        screen.print(f"{bumped}; {clock.steps_back} steps back of the clock", markup=False)
    for kind, silence in source.silences.items():
        if silence.count:
            longest = f"the longest {silence.longest_ns / 1e9:.1f} s until {_when(silence.longest_until_ns)}"
            screen.print(f"{kind}: {silence.count:,} silences of more than {silence.threshold_ns / 1e9:g} s, {longest}", markup=False)
    for note in source.notes:
        screen.print(note, markup=False)
    screen.print(f"digest {manifest.digest[:16]}", markup=False)


def _list_row(row: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Return what the table shows of a tape: its path in the folder, and a span that fits a narrow terminal."""
    path = Path(row["tape"])
    name = str(path.relative_to(directory)) if path != directory else str(path)
    instruments = "damaged" if row["error"] else ", ".join(row["instruments"])
    return {"tape": name, "from": row["from"][:16], "span": _span(row["span_ns"]), "ticks": row["ticks"], "faults": row["faults"], "instruments": instruments}


def _span(ns: int) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if ns >= unit * 10**9:
            return f"{ns / unit / 1e9:.1f} {name}"
    return f"{ns / 1e9:.1f} s"


def _stream_row(stream: Any) -> dict[str, Any]:
    return {"instrument": stream.instrument, "stream": stream.kind.value, "rows": stream.rows, "from": _when(stream.first_ns), "to": _when(stream.last_ns)}


def _when(ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S") if ns else ""
