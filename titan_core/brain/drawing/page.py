"""The chart as one self-contained page: the picture with zoom, pan and the transitions of what is pointed at, and the tables below it."""

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from itertools import groupby
from typing import TypeVar
from xml.sax.saxutils import escape, quoteattr

from titan_core.brain.drawing.scene import build_scene
from titan_core.brain.drawing.style import STYLE, variables
from titan_core.brain.drawing.svg import svg_element
from titan_core.brain.statechart import SEPARATOR, Chart, Configuration, StateKind, Transition
from titan_core.brain.vocabulary import COMMAND_TEXT, GUARD_TEXT, Command, Direction, Guard

_Word = TypeVar("_Word", Guard, Command)
_TONE = {Direction.MORE_RISK: "more", Direction.LESS_RISK: "less", Direction.EQUAL: "equal"}


def render_html(chart: Chart, configuration: Configuration | None = None) -> str:
    """Make the page. It loads nothing from anywhere; the states of `configuration` are marked as live."""
    assets = files(__package__)
    css = variables() + STYLE + (assets / "page.css").read_text("utf-8")
    script = (assets / "page.js").read_text("utf-8")
    data = json.dumps(_data(chart, configuration), separators=(",", ":")).replace("</", "<\\/")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The Brain's chart</title>
<style>
{css}</style>
</head>
<body>
{_header(chart, configuration)}
<section id="stage" aria-label="The chart">
{svg_element(chart, build_scene(chart), configuration, headline=False)}<aside id="panel" aria-live="polite" hidden></aside>
<div class="hint">drag to move · ctrl + wheel to zoom · click a state or a line · esc to let go · / to search</div>
</section>
<main>
{_transitions(chart)}
<div class="columns">
{_glossary("Guards", "A guard is a fact that a transition asks for. What tightens asks for none.", GUARD_TEXT)}
{_glossary("Commands", "A step performs nothing itself: it returns commands, carried out in this order.", COMMAND_TEXT)}
</div>
</main>
<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</body>
</html>
"""


def _header(chart: Chart, configuration: Configuration | None) -> str:
    facts = f"{len(chart.states)} states · {len(chart.transitions)} transitions · phases: {', '.join(chart.phases) or 'none'}"
    leaves = () if configuration is None else configuration.leaves
    now = "".join(f"<span>{escape(leaf.removeprefix('operational.').removeprefix('phases.').replace('.', ' '))}</span>" for leaf in leaves)
    live = f'<span class="now" aria-label="live states">{now}</span>' if now else ""
    return f"""<header>
<h1>The Brain</h1><span class="facts">{escape(facts)}</span>{live}
<nav>
<button id="farther" aria-label="zoom out">−</button><button id="closer" aria-label="zoom in">+</button>
<button id="fit">fit</button><button id="theme" aria-label="light or dark"></button>
</nav>
</header>"""


def _transitions(chart: Chart) -> str:
    numbered = sorted(enumerate(chart.transitions), key=lambda pair: _scope_order(chart, pair[1]))
    bodies = []
    for scope, rows in groupby(numbered, key=lambda pair: _scope(pair[1])):
        lines = "\n".join(_row(number, row, scope) for number, row in rows)
        bodies.append(f'<tbody><tr><th colspan="7">{escape(scope)}</th></tr>\n{lines}\n</tbody>')
    options = "".join(f"<option>{direction}</option>" for direction in Direction)
    return f"""<h2>Transitions</h2>
<div class="tools">
<input id="words" type="search" placeholder="filter: a state, a trigger, a guard, a command" aria-label="filter the transitions">
<select id="direction" aria-label="direction"><option value="">any direction</option>{options}</select><output id="count"></output>
</div>
<div class="scroll"><table id="rows">
<thead><tr><th>trigger</th><th>from</th><th>to</th><th>guards</th><th>commands</th><th>direction</th><th>when</th></tr></thead>
{"".join(bodies)}
</table></div>"""


def _scope(row: Transition) -> str:
    """Return the part of the chart that a row belongs to: a mode, a region, or a phase."""
    words = row.source.split(SEPARATOR)
    if row.phase is not None:
        return f"phase {row.phase}"
    return SEPARATOR.join(words[:2]) if len(words) > 2 else words[0]


def _scope_order(chart: Chart, row: Transition) -> int:
    return next(number for number, other in enumerate(chart.transitions) if _scope(other) == _scope(row))


def _row(number: int, row: Transition, scope: str) -> str:
    tone = _TONE[row.direction]
    cells = (
        f"<td><b>{escape(row.trigger)}</b></td>",
        f'<td class="path mono">{escape(_short(row.source, row))}</td>',
        f'<td class="path mono">{escape(_short(row.dest, row)) if row.dest else "<i>stays</i>"}</td>',
        f'<td class="mono">{", ".join(_explained(guard, GUARD_TEXT[guard]) for guard in row.guards)}</td>',
        f'<td class="mono">{", ".join(_explained(command, COMMAND_TEXT[command]) for command in row.commands)}</td>',
        f'<td class="{tone}"><span class="dir">{row.direction}</span></td>',
        f"<td>{escape(row.summary)}</td>",
    )
    return f'<tr data-row="{number}" data-direction={quoteattr(row.direction)} data-scope={quoteattr(scope)}>{"".join(cells)}</tr>'


def _short(path: str, row: Transition) -> str:
    """Leave out what the heading of a scope says already."""
    scope = f"operational.phases.{row.phase}" if row.phase is not None else _scope(row)
    return path.removeprefix(scope + SEPARATOR) if row.source.startswith(scope + SEPARATOR) else path


def _explained(word: str, text: str) -> str:
    return f'<span class="guard-name" title={quoteattr(text)}>{escape(word)}</span>'


def _glossary(title: str, remark: str, words: Mapping[_Word, str]) -> str:
    lines = "\n".join(f"<dt>{escape(str(word))}</dt><dd>{escape(text)}</dd>" for word, text in words.items())
    return f"<section><h2>{title}</h2><p>{escape(remark)}</p><dl>\n{lines}\n</dl></section>"


def _data(chart: Chart, configuration: Configuration | None) -> dict[str, object]:
    return {
        "live": [] if configuration is None else list(configuration.leaves),
        "states": [
            {
                "path": state.path,
                "summary": state.summary,
                "closes_gate": state.closes_gate,
                "size_bps": state.size_bps,
                "leverage_bps": state.leverage_bps,
            }
            for state in chart.states
        ],
        "entered": {state.path: [*_prefixes(chart, state.path), *chart.entered(state.path)] for state in chart.states},
        "rows": [
            {
                "event": row.event,
                "source": row.source,
                "dest": row.dest,
                "guards": row.guards,
                "commands": row.commands,
                "direction": row.direction,
                "summary": row.summary,
            }
            for row in chart.transitions
        ],
        "guards": dict(GUARD_TEXT),
        "commands": dict(COMMAND_TEXT),
    }


def _prefixes(chart: Chart, path: str) -> Iterable[str]:
    return (path,) if chart.state(path).kind in (StateKind.COMPOUND, StateKind.PARALLEL) else ()
