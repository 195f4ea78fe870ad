"""A scene as SVG, with a look for light and for dark surroundings and a mark on the live states."""

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from titan_core.brain.drawing.geometry import LINE, NAME_SIZE, NOTE_SIZE, Box, Point, Scene, Shape, Wire
from titan_core.brain.drawing.scene import build_scene
from titan_core.brain.drawing.style import literal_style
from titan_core.brain.statechart import Chart, Configuration
from titan_core.brain.vocabulary import Direction

RADIUS = 7.0
HEADLINE = 50.0
"""Height of the headline, which a page with a heading of its own leaves out."""

_TONE = {Direction.MORE_RISK: "more", Direction.LESS_RISK: "less", Direction.EQUAL: "equal"}
_LEGEND = (("full", "no restriction"), ("warned", "a warning, no restriction"), ("half", "restricted"), ("shut", "no entries"), ("idle", "waits or leaves"))
_WIRES = (("more", "towards more risk: never guarded"), ("less", "towards less risk: asks [guards]"), ("equal", "neither"))


def render_svg(chart: Chart, configuration: Configuration | None = None) -> str:
    """Draw the chart as a standalone SVG document; the states of `configuration` are marked as live."""
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + svg_element(chart, build_scene(chart), configuration, style=literal_style())


def svg_element(chart: Chart, scene: Scene, configuration: Configuration | None, *, style: str = "", headline: bool = True) -> str:
    """Draw a scene as an `svg` element. Groups carry `data-path` of their state, or `data-rows`, `data-from` and `data-to` of their transitions."""
    live = () if configuration is None else configuration.leaves
    active = {path for leaf in live for path in _ancestors(leaf)}
    top = 0.0 if headline else HEADLINE
    parts = ['<rect class="paper" width="100%" height="100%"/>', _header(chart, configuration)] if headline else []
    parts += [_frame(frame, frame.path in active) for frame in scene.panel.frames]
    parts += [_state(chart, leaf, leaf.path in active) for leaf in scene.panel.leaves]
    parts += [_wire(wire) for wire in scene.panel.wires]
    parts += [_label(wire) for wire in scene.panel.wires]
    parts.append(_legend(scene.legend, bool(live)))
    body = "\n".join(parts)
    size = f'viewBox="0 {top:.0f} {scene.w:.0f} {scene.h - top:.0f}" width="{scene.w:.0f}" height="{scene.h - top:.0f}"'
    described = "The Brain's statechart" + (f", now in {configuration}" if configuration is not None else "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" {size} role="img" aria-label={quoteattr(described)}>\n'
        f"{f'<style>{style}</style>' if style else ''}\n{body}\n</svg>\n"
    )


def _ancestors(leaf: str) -> Iterable[str]:
    words = leaf.split(".")
    return (".".join(words[: count + 1]) for count in range(len(words)))


def _header(chart: Chart, configuration: Configuration | None) -> str:
    phases = f"{len(chart.phases)} phase{'' if len(chart.phases) == 1 else 's'}"
    where = "" if configuration is None else f" · now: {configuration}"
    aside = f"{len(chart.states)} states, {len(chart.transitions)} transitions, {phases}{where}"
    return f'<text class="headline" x="24" y="32">The Brain</text><text class="aside" x="24" y="49">{escape(aside)}</text>'


def _frame(frame: Shape, live: bool) -> str:
    box = frame.box
    look = {"mode": "frame", "region": "region", "group": "group"}[frame.kind]
    at = (box.x + 10, box.y + 10) if frame.kind == "group" else (box.x + 12, box.y + 19)
    notes = f'<tspan class="aside" dx="8">{escape(", ".join(frame.notes))}</tspan>' if frame.notes else ""
    return (
        f'<g class="{look}{" live" if live else ""}" data-path={quoteattr(frame.path)}>'
        f'{_rect(box, 10 if frame.kind == "mode" else 7)}<text class="title" x="{at[0]:.1f}" y="{at[1]:.1f}">{escape(frame.title)}{notes}</text></g>'
    )


def _state(chart: Chart, leaf: Shape, live: bool) -> str:
    box = leaf.box
    height = NAME_SIZE + len(leaf.notes) * (NOTE_SIZE + 2)
    y = box.cy - height / 2 + NAME_SIZE - 2.5
    lines = [f'<text class="name" x="{box.cx:.1f}" y="{y:.1f}">{escape(leaf.title)}</text>']
    for note in leaf.notes:
        y += NOTE_SIZE + 2
        lines.append(f'<text class="note" x="{box.cx:.1f}" y="{y:.1f}">{escape(note)}</text>')
    halo = _rect(Box(box.x - 3, box.y - 3, box.w + 6, box.h + 6), 9, "halo") if live else ""
    hint = f"<title>{escape(f'{leaf.path}: {chart.state(leaf.path).summary}')}</title>"
    look = f"state {leaf.kind}{' live' if live else ''}"
    return f'<g class="{look}" data-path={quoteattr(leaf.path)} tabindex="0">{hint}{halo}{_rect(box, 7)}{"".join(lines)}</g>'


def _wire(wire: Wire) -> str:
    lines = "".join(f'<path d="{_path(points)}"/>' for points in (wire.points, *wire.branches))
    joints = "".join(f'<circle class="joint" cx="{points[-1][0]:.1f}" cy="{points[-1][1]:.1f}" r="2.2"/>' for points in wire.branches)
    return f'<g class="wire {_TONE[wire.direction]}" {_data(wire)}>{lines}{joints}<path class="head" d="{_head(wire.points)}"/></g>'


def _label(wire: Wire) -> str:
    label = wire.label
    lines = []
    for number, line in enumerate(label.lines):
        spans: list[str] = []
        for phrase in line:
            comma = '<tspan class="verb">, </tspan>' if spans else ""
            verb = f'<tspan class="verb">{escape(phrase.verb)}</tspan>' if phrase.verb else ""
            small = f'<tspan class="guard">{" " if verb else ""}{escape(phrase.small)}</tspan>' if phrase.small else ""
            spans.append(comma + verb + small)
        y = label.y - LINE * (len(label.lines) - 1 - number)
        lines.append(f'<text xml:space="preserve" x="{label.x:.1f}" y="{y:.1f}" text-anchor="{label.anchor}">{"".join(spans)}</text>')
    return f'<g class="wire label {_TONE[wire.direction]}" {_data(wire)}>{"".join(lines)}</g>'


def _data(wire: Wire) -> str:
    return f'data-rows="{" ".join(map(str, wire.rows))}" data-from={quoteattr(" ".join(wire.sources))} data-to={quoteattr(wire.dest)}'


def _rect(box: Box, radius: float, name: str = "") -> str:
    kind = f' class="{name}"' if name else ""
    return f'<rect{kind} x="{box.x:.1f}" y="{box.y:.1f}" width="{box.w:.1f}" height="{box.h:.1f}" rx="{radius:g}"/>'


def _path(points: tuple[Point, ...]) -> str:
    """Write a polyline with rounded corners."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        enter, leave = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{enter[0]:.1f} {enter[1]:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {leave[0]:.1f} {leave[1]:.1f}")
    parts.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
    return "".join(parts)


def _towards(corner: Point, other: Point) -> Point:
    """Return the point on the way from a corner to its neighbour where the rounding begins."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    reach = min(RADIUS, length / 2)
    return corner[0] + dx / length * reach, corner[1] + dy / length * reach


def _head(points: tuple[Point, ...]) -> str:
    (x0, y0), (x, y) = points[-2], points[-1]
    length = ((x - x0) ** 2 + (y - y0) ** 2) ** 0.5 or 1.0
    dx, dy = (x - x0) / length, (y - y0) / length
    back = (x - 7.5 * dx, y - 7.5 * dy)
    return f"M{x:.1f} {y:.1f}L{back[0] - 3.6 * dy:.1f} {back[1] + 3.6 * dx:.1f}L{back[0] + 3.6 * dy:.1f} {back[1] - 3.6 * dx:.1f}Z"


def _legend(box: Box, live: bool) -> str:
    lines, y = [], box.y + 12
    for look, text in (*_LEGEND, *((("live state idle", "where the Brain is now"),) if live else ())):
        swatch = Box(box.x + 1, y - 9, 24, 13)
        lines.append(f'<g class="{look}">{_rect(swatch, 4)}</g><text class="aside" x="{box.x + 36:.1f}" y="{y + 1.5:.1f}">{escape(text)}</text>')
        y += 20
    y += 4
    for tone, text in _WIRES:
        points = ((box.x, y - 3), (box.x + 26, y - 3))
        wire = f'<g class="wire {tone}"><path d="{_path(points)}"/><path class="head" d="{_head(points)}"/></g>'
        lines.append(f'{wire}<text class="aside" x="{box.x + 36:.1f}" y="{y + 1:.1f}">{escape(text)}</text>')
        y += 20
    lines.append(f'<text class="aside" x="{box.x + 2:.1f}" y="{y + 1:.1f}">↺ taken without leaving the state</text>')
    return f'<g class="legend">{"".join(lines)}</g>'
