"""The arrangement of the Brain's chart: start and stop on the left, trading in the middle, the emergency on the right."""

from collections.abc import Mapping, Sequence
from math import ceil

from attrs import evolve

from titan_core.brain.drawing.bundles import Numbered, bundle_rows, group_rows, internal_verbs
from titan_core.brain.drawing.column import Bundle, Item, column, leaf_item
from titan_core.brain.drawing.geometry import Box, Label, Panel, Phrase, Point, Scene, Shape, Wire, merged
from titan_core.brain.statechart import SEPARATOR, Chart, State, StateKind, Transition, is_within
from titan_core.brain.table import EMERGENCY, LEVELS, OPERATIONAL

PAD = 14.0
TITLE = 26.0
SPACE = 12.0
CHANNEL = 20.0
MARGIN = 24.0
HEADER = 66.0
LEGEND_W, LEGEND_H = 250.0, 212.0
LANE_ROOM = 18.0
STEP = 46.0
AISLE = 112.0
"""Room between the left column and the middle; the labels of the wires between them stand here."""
ON_DUTY = "on duty"


def build_scene(chart: Chart) -> Scene:
    """Lay out the whole chart."""
    verbs = internal_verbs(chart)
    rows = list(enumerate(chart.transitions))
    panels = {state.path: _mode_panel(chart, state, rows, verbs) for state in chart.children()}
    return _Poster(rows, panels).scene()


def _mode_panel(chart: Chart, state: State, rows: Sequence[Numbered], verbs: Mapping[str, Sequence[str]]) -> Panel:
    if state.kind is StateKind.PARALLEL:
        return _parallel_panel(chart, state, rows, verbs, kind="mode")
    if state.kind is StateKind.COMPOUND:
        return _region_panel(chart, state, rows, verbs, kind="mode")
    item = leaf_item(state, verbs.get(state.path, ()))
    assert item.leaf is not None
    return Panel(w=item.left + item.right, h=item.height, axis=item.left, leaves=(item.leaf,))


def _region_panel(chart: Chart, region: State, rows: Sequence[Numbered], verbs: Mapping[str, Sequence[str]], *, kind: str = "region") -> Panel:
    """Lay out a compound state whose children are leaves."""
    children = chart.children(region.path)
    inside = [(number, row) for number, row in rows if row.dest is not None and _below(region, row.source) and _below(region, row.dest)]
    shared = [verb for verb in verbs.get(children[0].path, ()) if all(verb in verbs.get(child.path, ()) for child in children)]
    items = {child.path: leaf_item(child, [verb for verb in verbs.get(child.path, ()) if verb not in shared]) for child in children}
    members = [child.path for child in children if child.name in LEVELS and child.phase is not None]
    if len(members) > 1:
        group = f"{region.path}{SEPARATOR}{ON_DUTY}"
        inner, outer = group_rows(inside, group, members)
        panel = column(_ordered(items, members, group, inner), outer)
    else:
        panel = column(list(items.values()), bundle_rows(inside))
    notes = tuple(f"↺ {verb}" for verb in shared)
    title = region.name if kind == "mode" or region.phase is None else str(region.phase)
    return _framed(panel, Shape(path=region.path, box=Box(0, 0, 0, 0), title=title, notes=notes, kind=kind))


def _ordered(items: Mapping[str, Item], members: Sequence[str], group: str, inner: Sequence[Bundle]) -> list[Item]:
    """Put the group in the place of its first member."""
    body = column([items[path] for path in members], inner)
    frame = Shape(path=group, box=Box(0, 0, body.w + 2 * SPACE, body.h + 2 * SPACE), title=ON_DUTY, kind="group")
    held = body.moved(SPACE, SPACE)
    panel = Panel(w=frame.box.w, h=frame.box.h, axis=body.axis + SPACE, frames=(frame,), leaves=held.leaves, wires=held.wires)
    item = Item(path=group, left=panel.axis, right=panel.w - panel.axis, height=panel.h, panel=panel)
    return [item if path == members[0] else items[path] for path in items if path == members[0] or path not in members]


def _parallel_panel(chart: Chart, state: State, rows: Sequence[Numbered], verbs: Mapping[str, Sequence[str]], *, kind: str) -> Panel:
    """Lay out a parallel state: its simple regions in a row, below them the parallel states within it."""
    children = chart.children(state.path)
    regions = [_region_panel(chart, child, rows, verbs) for child in children if child.kind is StateKind.COMPOUND]
    nested = [_parallel_panel(chart, child, rows, verbs, kind="region") for child in children if child.kind is StateKind.PARALLEL]
    per_row = ceil(len(regions) / ceil(len(regions) / 4)) if regions else 1
    lines: list[list[Panel]] = [regions[at : at + per_row] for at in range(0, len(regions), per_row)] + [[panel] for panel in nested]
    width = max(sum(panel.w for panel in line) + SPACE * (len(line) - 1) for line in lines)
    placed, y = [], 0.0
    for line in lines:
        height = max(panel.h for panel in line)
        spare = (width - sum(panel.w for panel in line) - SPACE * (len(line) - 1)) / len(line) if len(line) == per_row or len(lines) == 1 else 0.0
        x = 0.0
        for panel in line:
            placed.append(_stretched(panel, panel.w + max(0.0, spare), height).moved(x, y))
            x += panel.w + max(0.0, spare) + SPACE
        y += height + SPACE
    body = merged(*placed, w=width, h=y - SPACE)
    return _framed(body, Shape(path=state.path, box=Box(0, 0, 0, 0), title=state.name, kind=kind))


def _stretched(panel: Panel, w: float, h: float) -> Panel:
    """Enlarge a panel's outer frame; what is in it stays in the middle, across."""
    shifted = panel.moved((w - panel.w) / 2, 0)
    frame = evolve(panel.frames[0], box=Box(0, 0, w, h))
    return evolve(shifted, w=w, h=h, axis=panel.axis + (w - panel.w) / 2, frames=(frame, *shifted.frames[1:]))


def _framed(panel: Panel, frame: Shape) -> Panel:
    w, h = panel.w + 2 * PAD, panel.h + TITLE + PAD + 4
    inside = panel.moved(PAD, TITLE + 4)
    outline = evolve(frame, box=Box(0, 0, w, h))
    return Panel(w=w, h=h, axis=panel.axis + PAD, frames=(outline, *inside.frames), leaves=inside.leaves, wires=inside.wires)


def _below(region: State, path: str) -> bool:
    return path != region.path and is_within(path, region.path)


class _Poster:
    """Places the modes and draws the wires between them.

    Those between a mode of the left column and the emergency run around the middle: in channels above it, the innermost for the rightmost start,
    or below it where another mode of the column is in the way.
    """

    def __init__(self, rows: Sequence[Numbered], panels: Mapping[str, Panel]) -> None:
        self._rows = [(number, row) for number, row in rows if row.dest is not None and _mode(row.source) != _mode(row.dest)]
        self._panels = panels
        self._left = [path for path in panels if path not in (OPERATIONAL, EMERGENCY)]
        self._first = panels[EMERGENCY].leaves[0].path if EMERGENCY in panels else ""
        self._over = sorted((numbered for numbered in self._rows if self._goes_over(numbered[1])), key=lambda numbered: self._nesting(numbered[1]))
        self._boxes: dict[str, Box] = {}

    def scene(self) -> Scene:
        """Return the finished picture."""
        places = self._places()
        moved = [self._panels[path].moved(*place) for path, place in places.items()]
        for panel in moved:
            self._boxes |= {shape.path: shape.box for shape in (*panel.frames, *panel.leaves)}
        wires = [self._wire(number, row) for number, row in self._rows]
        emergency = self._boxes[EMERGENCY] if EMERGENCY in self._boxes else Box(0, 0, 0, HEADER)
        legend = Box(emergency.x, emergency.bottom + 44, LEGEND_W, LEGEND_H)
        boxes = [legend, *self._boxes.values()]
        width = max([*(box.right for box in boxes), *(x for wire in wires for x, _ in wire.points)]) + MARGIN
        height = max([*(box.bottom for box in boxes), *(y for wire in wires for _, y in wire.points)]) + MARGIN
        body = merged(*moved, w=width, h=height)
        return Scene(width, height, evolve(body, wires=(*body.wires, *wires)), legend)

    def _places(self) -> dict[str, tuple[float, float]]:
        top = HEADER + CHANNEL * (len(self._over) + 1)
        half = max((self._panels[path].w / 2 for path in self._left), default=0.0)
        places, y = {}, top
        for path in self._left:
            panel = self._panels[path]
            places[path] = (MARGIN + LANE_ROOM + half - panel.w / 2, y)
            y += panel.h + STEP
        x = MARGIN + LANE_ROOM + 2 * half + AISLE
        for path in (OPERATIONAL, EMERGENCY):
            if path in self._panels:
                places[path] = (x, top)
                x += self._panels[path].w + AISLE * 0.7
        return places

    def _goes_over(self, row: Transition) -> bool:
        """Whether a row's wire runs in a channel above the middle: those between the head of the left column and the emergency."""
        ends = {_mode(row.source), _mode(str(row.dest))}
        return EMERGENCY in ends and bool(self._left) and self._left[0] in ends

    def _nesting(self, row: Transition) -> int:
        """Rank the wires above the middle from the outermost: what comes back, what goes to the far side, what goes to the near side."""
        if _mode(row.source) == EMERGENCY:
            return 0
        return 1 if row.dest != self._first else 3 if row.source == self._left[0] else 2

    def _wire(self, number: int, row: Transition) -> Wire:
        dest = str(row.dest)
        source_mode, dest_mode = _mode(row.source), _mode(dest)
        start, end = self._boxes[row.source], self._boxes[dest]
        if self._goes_over(row):
            return self._over_wire(number, row, start, end)
        if source_mode in self._left and dest_mode in self._left:
            return self._made(number, row, ((start.cx, start.bottom), (end.cx, end.y)), (start.cx + 8, (start.bottom + end.y) / 2 + 4), "start")
        if source_mode in self._left and dest_mode == EMERGENCY:
            return self._under_wire(number, row, start, end)
        y = start.cy if source_mode in self._left else end.cy
        from_left = start.cx < end.cx
        points = ((start.right if from_left else start.x, y), (end.x if from_left else end.right, y))
        gap = (self._boxes[source_mode].right, self._boxes[dest_mode].x) if from_left else (self._boxes[dest_mode].right, self._boxes[source_mode].x)
        return self._made(number, row, points, (sum(gap) / 2, y - 5), "middle")

    def _over_wire(self, number: int, row: Transition, start: Box, end: Box) -> Wire:
        head = self._boxes[self._left[0]]
        emergency = self._boxes[EMERGENCY]
        track = [other for other, _ in self._over].index(number)
        y = head.y - CHANNEL * (len(self._over) - track) + 4
        if _mode(row.source) == EMERGENCY:
            x, beyond = head.x + 18, emergency.right + 2 * LANE_ROOM
            points: tuple[Point, ...] = ((start.right, start.cy + 7), (beyond, start.cy + 7), (beyond, y), (x, y), (x, end.y))
            return self._made(number, row, points, (x + 8, y - 4), "start")
        x = (start.right - 18) if row.source == self._left[0] else start.cx + 4 + (track - 1) * 18
        if row.dest != self._first:
            beyond = emergency.right + LANE_ROOM
            points = ((x, start.y), (x, y), (beyond, y), (beyond, end.cy - 7), (end.right, end.cy - 7))
        elif row.source == self._left[0]:
            aside = emergency.x - LANE_ROOM
            points = ((x, start.y), (x, y), (aside, y), (aside, end.cy), (end.x, end.cy))
        else:
            points = ((x, start.y), (x, y), (end.right - 18, y), (end.right - 18, end.y))
        return self._made(number, row, points, (x + 8, y - 4), "start")

    def _under_wire(self, number: int, row: Transition, start: Box, end: Box) -> Wire:
        x, aside = MARGIN + 4, self._boxes[EMERGENCY].x - LANE_ROOM
        y = max(box.bottom for path, box in self._boxes.items() if _mode(path) in (*self._left, OPERATIONAL)) + CHANNEL
        points = ((start.x, start.cy), (x, start.cy), (x, y), (aside, y), (aside, end.cy), (end.x, end.cy))
        return self._made(number, row, points, (x + 10, y - 5), "start")

    def _made(self, number: int, row: Transition, points: tuple[Point, ...], at: Point, anchor: str) -> Wire:
        phrase = Phrase(str(row.trigger), tuple(map(str, row.guards)))
        label = Label(((phrase,),), at[0], at[1], anchor)
        return Wire(rows=(number,), direction=row.direction, points=points, label=label, sources=(row.source,), dest=str(row.dest))


def _mode(path: str) -> str:
    return path.partition(SEPARATOR)[0]
