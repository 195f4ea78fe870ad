"""Several tapes as one life: a line as each ends, then the whole."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from rich.text import Text

from titan_core.app.life import Chapter, live_through, whole
from titan_core.app.replay_run import ReplayRequest, save_run
from titan_core.cli.output import console, print_json, print_note, table
from titan_core.config.load import Config
from titan_core.model.calendar import utc
from titan_core.plugin_host import LoadedPhase
from titan_core.telemetry.run_folder import write_run_folder


@frozen
class Written:
    """What the run folders are called, and what stands in their manifests."""

    folder_of: Callable[[str], Path]
    packages: Sequence[str]
    arguments: Mapping[str, Any]


def replay_life(requests: Sequence[ReplayRequest], phases: Sequence[LoadedPhase], config: Config, written: Written, *, resumes: bool, json: bool) -> None:
    """Replay the tapes in their order, write a folder with one run each, and print what became of the account."""
    chapters = []
    for chapter in live_through(requests, phases, config, resumes=resumes, say=print_note):
        chapters.append(chapter)
        if not json:
            row = chapter.figures
            print_note(f"{_name(chapter)}: {row['equity_start']:,.2f} → {row['equity_end']:,.2f} USDT, {row['trades']} trades")
    figures = whole(chapters)
    folder = written.folder_of(figures["digest"])
    rows = [{"tape": dict(chapter.request.source), **chapter.figures} for chapter in chapters]
    write_run_folder(folder, {"life.json": {**figures, "arguments": dict(written.arguments), "rows": rows}}, {}, {})
    for number, chapter in enumerate(chapters, 1):
        given = {**written.arguments, "equity_usdt": chapter.figures["equity_start"]}
        save_run(folder / f"{number:02d}-{_name(chapter)}", chapter.results, config, source=chapter.request.source, packages=written.packages, arguments=given)
    if json:
        print_json({**figures, "run": str(folder), "rows": rows})
    else:
        _print(chapters, figures, folder)


def _name(chapter: Chapter) -> str:
    return Path(str(chapter.request.source.get("path", "generated"))).name


def _print(chapters: Sequence[Chapter], figures: Mapping[str, Any], folder: Path) -> None:
    screen = console()
    wide = screen.width >= 110
    columns = ["tape", "from", "to", "equity", "result", "draw-down", "trades"]
    drawn = table(*columns, *(("fees", "funding") if wide else ()), right=[*columns[3:], "fees", "funding"])
    for chapter in chapters:
        row = chapter.figures
        cells: list[str | Text] = [_name(chapter), utc(row["first_ns"])[:10], utc(row["last_ns"])[:10], f"{row['equity_end']:,.2f}", _result(row)]
        cells += [f"{100 * row['max_drawdown']:.2f} %", str(row["trades"])]
        drawn.add_row(*cells, *((f"{row['fees']:,.2f}", f"{row['funding']:+,.2f}") if wide else ()))
    screen.print(Text.assemble(("Titan replay", "bold"), f"  {figures['chapters']} tapes, one account"))
    screen.print(drawn)
    gain = figures["equity_end"] - figures["equity_start"]
    said = f"{figures['equity_start']:,.2f} → {figures['equity_end']:,.2f} USDT ({100 * figures['total_return']:+.2f} %)"
    said += f", largest draw-down {100 * figures['max_drawdown']:.2f} %"
    screen.print(Text.assemble(("account ", "dim"), (said, "green" if gain > 0 else "red" if gain < 0 else "")))
    for name, row in figures["by_phase"].items():
        if row["trades"]:
            sums = f"net {row['net']:+,.2f}, fees {row['trade_fees']:,.2f}, funding {row['trade_funding']:+,.2f} USDT"
            screen.print(Text.assemble((f"{name} ", "dim"), f"{row['trades']} trades, {sums}"))
    turns = ", ".join(f"{name} {count}" for name, count in figures["turns"].items())
    screen.print(Text.assemble(("what the Brain did ", "dim"), turns or "nothing"))
    screen.print(Text.assemble(("Brain ", "dim"), figures["brain"]))
    if figures["brain"] == "emergency.locked":
        screen.print(Text("the Brain has locked itself and waits for its operator; --resume unlocks it at the beginning of the next tape", style="yellow"))
    if any(chapter.results.composition.tape.bars_only for chapter in chapters):
        text = "paths drawn through bars were replayed: they carry no order flow, and fills between a bar's open and close are assumptions"
        screen.print(Text(text, style="yellow"))
    screen.print(Text.assemble(("run folders in ", "dim"), (str(folder), "bold"), ("   digest ", "dim"), figures["digest"][:16]), soft_wrap=True)


def _result(row: Mapping[str, Any]) -> Text:
    share = 100 * row["total_return"]
    return Text(f"{share:+.2f} %", style="green" if share > 0 else "red" if share < 0 else "")
