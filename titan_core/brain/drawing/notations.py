"""The chart in the notations of other tools: Mermaid, DOT and SCXML."""

import re
from collections.abc import Iterable
from xml.sax.saxutils import quoteattr

from titan_core.brain.statechart import Chart, Configuration, State, StateKind, Transition
from titan_core.brain.vocabulary import Direction

COLOURS = {Direction.MORE_RISK: "#c8403a", Direction.LESS_RISK: "#2b8a57", Direction.EQUAL: "#6f7b90"}
LIVE = "#2a5fe0"
TITAN_NAMESPACE = "urn:titan:chart"


def render_mermaid(chart: Chart, configuration: Configuration | None = None) -> str:
    """Write the chart as a Mermaid `stateDiagram-v2`; the live states get the class `live`."""
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {_word(chart.children()[0].path)}"]
    for state in chart.children():
        lines += _mermaid_state(chart, state, 1)
    lines += [f"    {line}" for line in _mermaid_rows(row for row in chart.transitions if _inner(chart, row) is None)]
    lines += [f"    {_word(state.path)} --> [*]" for state in chart.states if state.kind is StateKind.FINAL]
    if configuration is not None:
        lines.append(f"    classDef live fill:{LIVE},color:#ffffff,stroke:{LIVE}")
        lines += [f"    class {_word(leaf)} live" for leaf in configuration.leaves]
    return "\n".join(lines) + "\n"


def _mermaid_state(chart: Chart, state: State, depth: int) -> Iterable[str]:
    pad = "    " * depth
    children = chart.children(state.path)
    if not children:
        stays = _stays(chart, state)
        yield f'{pad}state "{state.name}" as {_word(state.path)}'
        if stays:
            yield f"{pad}{_word(state.path)} : ↺ {stays}"
        return
    yield f'{pad}state "{state.name}" as {_word(state.path)} {{'
    if state.kind is StateKind.COMPOUND:
        yield f"{pad}    [*] --> {_word(str(state.initial))}"
    for number, child in enumerate(children):
        if number and state.kind is StateKind.PARALLEL:
            yield f"{pad}    --"
        yield from _mermaid_state(chart, child, depth + 1)
    yield from (f"{pad}    {line}" for line in _mermaid_rows(row for row in chart.transitions if _inner(chart, row) == state.path))
    yield f"{pad}}}"


def _inner(chart: Chart, row: Transition) -> str | None:
    """Return the state within which both ends of a row are siblings: Mermaid wants such a row written there."""
    source, dest = chart.state(row.source), row.dest
    return source.parent if dest is not None and source.parent and chart.state(dest).parent == source.parent else None


def _mermaid_rows(rows: Iterable[Transition]) -> Iterable[str]:
    for (source, dest, _), joined in _joined(rows).items():
        yield f"{_word(source)} --> {_word(dest)} : {', '.join(map(_label, joined))}"


def _joined(rows: Iterable[Transition]) -> dict[tuple[str, str, Direction], list[Transition]]:
    """Join the rows that one arrow stands for; internal rows have none."""
    arrows: dict[tuple[str, str, Direction], list[Transition]] = {}
    for row in rows:
        if row.dest is not None:
            arrows.setdefault((row.source, row.dest, row.direction), []).append(row)
    return arrows


def _stays(chart: Chart, state: State) -> str:
    return ", ".join(str(row.trigger) for row in chart.transitions if row.source == state.path and row.dest is None)


def _label(row: Transition) -> str:
    return f"{row.trigger} [{', '.join(row.guards)}]" if row.guards else str(row.trigger)


def render_dot(chart: Chart, configuration: Configuration | None = None) -> str:
    """Write the chart as a Graphviz digraph: modes and regions are clusters, parallel regions have dashed borders."""
    live = () if configuration is None else configuration.leaves
    lines = [
        "digraph brain {",
        "  graph [compound=true, rankdir=LR, newrank=true, fontname=Helvetica, fontsize=12, nodesep=0.3, ranksep=0.6];",
        "  node [shape=box, style=rounded, fontname=Helvetica, fontsize=11];",
        "  edge [fontname=Helvetica, fontsize=9];",
        "  start [shape=point];",
    ]
    for state in chart.children():
        lines += _dot_state(chart, state, live, "  ")
    first = chart.children()[0].path
    lines.append(f"  start -> {_quoted(_anchor(chart, first))}{_dot_attributes(_cluster_end(chart, first, 'lhead'))};")
    for (source, dest, direction), rows in _joined(chart.transitions).items():
        ends = {**_cluster_end(chart, source, "ltail"), **_cluster_end(chart, dest, "lhead")}
        commands = "\\n".join(f"{row.event}: {', '.join(row.commands) or 'no command'}" for row in rows)
        look = {"label": "\\n".join(map(_label, rows)), "color": COLOURS[direction], "fontcolor": COLOURS[direction], "tooltip": commands}
        lines.append(f"  {_quoted(_anchor(chart, source))} -> {_quoted(_anchor(chart, dest))}{_dot_attributes(look | ends)};")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_state(chart: Chart, state: State, live: Iterable[str], pad: str) -> Iterable[str]:
    children = chart.children(state.path)
    if not children:
        stays = _stays(chart, state)
        look = {"label": f"{state.name}\\n↺ {stays}" if stays else state.name, "tooltip": state.summary}
        if state.path in live:
            look |= {"style": "rounded,filled", "fillcolor": LIVE, "color": LIVE, "fontcolor": "#ffffff"}
        if state.kind is StateKind.FINAL:
            look |= {"peripheries": "2"}
        yield f"{pad}{_quoted(state.path)}{_dot_attributes(look)};"
        return
    yield f"{pad}subgraph {_quoted('cluster_' + state.path)} {{"
    region = bool(state.parent) and chart.state(state.parent).kind is StateKind.PARALLEL
    yield f'{pad}  label={_quoted(state.name)}; style="{"rounded,dashed" if region else "rounded"}"; color="#9aa5b8";'
    for child in children:
        yield from _dot_state(chart, child, live, pad + "  ")
    yield f"{pad}}}"


def _anchor(chart: Chart, path: str) -> str:
    """Return the leaf at which an edge of a state ends: Graphviz has no edges between clusters."""
    return chart.entered(path)[0]


def _cluster_end(chart: Chart, path: str, name: str) -> dict[str, str]:
    return {name: "cluster_" + path} if chart.children(path) else {}


def _dot_attributes(attributes: dict[str, str]) -> str:
    return f" [{', '.join(f'{name}={_quoted(value)}' for name, value in attributes.items())}]" if attributes else ""


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def render_scxml(chart: Chart, configuration: Configuration | None = None) -> str:
    """Write the chart as SCXML (W3C, 2015): guards are boolean data, commands are sent; live states carry `titan:live`."""
    live = () if configuration is None else configuration.leaves
    guards = sorted({str(guard) for row in chart.transitions for guard in row.guards})
    first = chart.children()[0].path
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<scxml xmlns="http://www.w3.org/2005/07/scxml" xmlns:titan="{TITAN_NAMESPACE}" version="1.0" name="brain" datamodel="ecmascript" initial="{first}">',
        "  <datamodel>",
        *(f'    <data id="{guard}" expr="false"/>' for guard in guards),
        "  </datamodel>",
    ]
    for state in chart.children():
        lines += _scxml_state(chart, state, live, "  ")
    return "\n".join([*lines, "</scxml>"]) + "\n"


def _scxml_state(chart: Chart, state: State, live: Iterable[str], pad: str) -> Iterable[str]:
    tag = {StateKind.PARALLEL: "parallel", StateKind.FINAL: "final"}.get(state.kind, "state")
    entry = f' initial="{state.initial}"' if state.initial else ""
    mark = ' titan:live="true"' if state.path in live else ""
    body = [
        *(line for row in chart.transitions if row.source == state.path for line in _scxml_row(row, pad + "  ")),
        *(line for child in chart.children(state.path) for line in _scxml_state(chart, child, live, pad + "  ")),
    ]
    head = f'{pad}<{tag} id="{state.path}"{entry}{mark} titan:summary={quoteattr(state.summary)}'
    yield from (f"{head}>", *body, f"{pad}</{tag}>") if body else (f"{head}/>",)


def _scxml_row(row: Transition, pad: str) -> Iterable[str]:
    cond = f" cond={quoteattr(' && '.join(row.guards))}" if row.guards else ""
    target = f' target="{row.dest}"' if row.dest else ""
    head = f'{pad}<transition event="{row.event}"{cond}{target} titan:direction="{row.direction}"'
    if not row.commands:
        yield f"{head}/>"
        return
    yield f"{head}>"
    for command in row.commands:
        yield f'{pad}  <send type="urn:titan:command" event="{command}"/>'
    yield f"{pad}</transition>"


def _word(path: str) -> str:
    return re.sub(r"\W", "_", path.replace("_", "__").replace(".", "_"))
