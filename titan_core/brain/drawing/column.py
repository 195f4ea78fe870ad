"""One region as a column of states: what tightens runs down its right side, what loosens runs up its left.

Wires between neighbours are straight. All others run in lanes beside the column; rows with one trigger and one destination share a lane, into which
their sources join. A lane lies outside all lanes that it spans, and the ports of a state are ordered so that lanes of one side do not cross
except where they must.
"""

from collections.abc import Mapping, Sequence

from attrs import define, evolve, field, frozen

from titan_core.brain.drawing.geometry import LINE, NAME_SIZE, NOTE_SIZE, Box, Label, Panel, Phrase, Point, Shape, Wire, lines_width, text_width
from titan_core.brain.statechart import State, StateKind
from titan_core.brain.vocabulary import Direction
from titan_core.model.units import BPS

LANE = 13.0
PORT = 15.0
EXIT = 9.0
HEIGHT = 36.0
WIDTH = 92.0
GAP = 26.0
ARROW = 12.0
STRAIGHT = 11.0
"""How far from the axis two straight wires between neighbours stand."""


@frozen(kw_only=True)
class Bundle:
    """Rows drawn as one wire between items of a column."""

    rows: tuple[int, ...]
    sources: tuple[str, ...]
    dest: str
    direction: Direction
    phrases: tuple[Phrase, ...]


@define
class Item:
    """A member of a column: a leaf, or a group that is a column itself. `left` and `right` are measured from the axis."""

    path: str
    left: float
    right: float
    height: float
    leaf: Shape | None = None
    panel: Panel | None = None
    y: float = 0.0

    def side(self, right: bool, axis: float) -> float:
        """The x of an edge."""
        return axis + self.right if right else axis - self.left


@define
class _Lane:
    bundle: Bundle
    right: bool
    number: int
    entry: float = 0.0
    exits: dict[str, float] = field(factory=dict)


def leaf_item(state: State, internal: Sequence[str] = ()) -> Item:
    """Make the item of a leaf: its name, what it does to entries, and the triggers that it takes without leaving."""
    notes = tuple(text for text in (_entries(state), *_folded(internal)) if text)
    width = max(WIDTH, text_width(state.name, NAME_SIZE) + 22, *(text_width(text, NOTE_SIZE) + 16 for text in notes))
    height = (HEIGHT if notes else HEIGHT - 6) + max(0, len(notes) - 1) * (NOTE_SIZE + 2)
    shape = Shape(path=state.path, box=Box(0, 0, width, height), title=state.name, notes=notes, kind=_look(state))
    return Item(path=state.path, left=width / 2, right=width / 2, height=height, leaf=shape)


def _folded(verbs: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for verb in verbs:
        if lines and len(lines[-1]) + len(verb) < 24:
            lines[-1] += f", {verb}"
        else:
            lines.append(f"↺ {verb}")
    return lines


def _entries(state: State) -> str:
    if state.severity is None:
        return ""
    if state.size_bps is not None:
        return f"size × {state.size_bps / BPS:g}" if state.size_bps else "no entries"
    return "gate closed" if state.closes_gate else ""


def _look(state: State) -> str:
    if state.kind is StateKind.FINAL:
        return "final"
    if state.severity is None:
        return "idle"
    if state.closes_gate or state.size_bps == 0:
        return "shut"
    return "half" if state.severity and (state.size_bps is None or state.size_bps < BPS) else "full" if not state.severity else "warned"


def column(items: Sequence[Item], bundles: Sequence[Bundle]) -> Panel:
    """Lay a column out. Every source and destination of a bundle is an item of the column."""
    order = {item.path: index for index, item in enumerate(items)}
    straight, lanes = _divide(bundles, order)
    _assign_lanes(lanes, order)
    for item in items:
        _assign_ports(item, lanes, order)
    _stack(items, straight, order)
    left = _extent(items, straight, lanes, order, right=False)
    right = _extent(items, straight, lanes, order, right=True)
    counts = {side: max((lane.number for lane in lanes if lane.right is side), default=0) for side in (False, True)}
    axis = left + counts[False] * LANE
    by_path = {item.path: item for item in items}
    wires = [_straight_wire(bundle, by_path, axis, straight) for bundle in straight]
    wires += [_lane_wire(lane, by_path, axis, axis + right if lane.right else axis - left) for lane in lanes]
    leaves = [evolve(item.leaf, box=Box(axis - item.left, item.y, item.leaf.box.w, item.height)) for item in items if item.leaf is not None]
    panels = [item.panel.moved(axis - item.left, item.y) for item in items if item.panel is not None]
    return Panel(
        w=axis + right + counts[True] * LANE,
        h=items[-1].y + items[-1].height,
        axis=axis,
        frames=tuple(frame for panel in panels for frame in panel.frames),
        leaves=(*leaves, *(leaf for panel in panels for leaf in panel.leaves)),
        wires=(*(wire for panel in panels for wire in panel.wires), *wires),
    )


def _divide(bundles: Sequence[Bundle], order: Mapping[str, int]) -> tuple[list[Bundle], list[_Lane]]:
    straight: list[Bundle] = []
    lanes: list[_Lane] = []
    for bundle in bundles:
        way = order[bundle.dest] - order[bundle.sources[0]]
        taken = any((other.sources, other.dest) == (bundle.sources, bundle.dest) for other in straight)
        if len(bundle.sources) == 1 and abs(way) == 1 and not taken:
            straight.append(bundle)
        else:
            lanes.append(_Lane(bundle, way > 0, 0))
    return straight, lanes


def _span(lane: _Lane, order: Mapping[str, int]) -> tuple[int, int]:
    touched = [order[path] for path in (*lane.bundle.sources, lane.bundle.dest)]
    return min(touched), max(touched)


def _assign_lanes(lanes: Sequence[_Lane], order: Mapping[str, int]) -> None:
    placed: list[_Lane] = []
    for lane in sorted(lanes, key=lambda lane: (_span(lane, order)[1] - _span(lane, order)[0], lane.bundle.rows)):
        low, high = _span(lane, order)
        rivals = [other for other in placed if other.right is lane.right and _span(other, order)[0] <= high and low <= _span(other, order)[1]]
        lane.number = 1 + max((other.number for other in rivals), default=0)
        placed.append(lane)


def _assign_ports(item: Item, lanes: Sequence[_Lane], order: Mapping[str, int]) -> None:
    """Give each lane its y on an item, counted from the item's top; make the item taller where the ports need it."""
    for right in (False, True):
        mine = sorted((lane for lane in lanes if lane.right is right), key=lambda lane: lane.number)
        entries = [lane for lane in mine if lane.bundle.dest == item.path]
        exits = [lane for lane in mine if item.path in lane.bundle.sources]
        needed = len(entries) * PORT + len(exits) * EXIT
        item.height = max(item.height, needed + 8)
        y = (item.height - needed) / 2
        # downwards: entries above exits, inner entry first, outer exit first; upwards it is the mirror image
        for lane in entries if right else exits:
            y += PORT if right else EXIT
            _set_port(lane, item, y - (3 if right else EXIT / 2))
        for lane in reversed(exits if right else entries):
            y += EXIT if right else PORT
            _set_port(lane, item, y - (EXIT / 2 if right else 3))


def _set_port(lane: _Lane, item: Item, y: float) -> None:
    if lane.bundle.dest == item.path:
        lane.entry = y
    else:
        lane.exits[item.path] = y


def _stack(items: Sequence[Item], straight: Sequence[Bundle], order: Mapping[str, int]) -> None:
    y = 0.0
    for index, item in enumerate(items):
        item.y = y
        between = [bundle for bundle in straight if {order[bundle.sources[0]], order[bundle.dest]} == {index, index + 1}]
        y += item.height + max([GAP, *(len(straight_lines(bundle)) * LINE + 16 for bundle in between)])


def straight_lines(bundle: Bundle) -> tuple[tuple[Phrase, ...], ...]:
    """Break a label into the lines that stand beside a straight wire: verbs first, guards below."""
    plain = tuple(phrase for phrase in bundle.phrases if not phrase.small)
    guarded = [phrase for phrase in bundle.phrases if phrase.small]
    lines: list[tuple[Phrase, ...]] = [plain] if plain else []
    for phrase in guarded:
        lines += [(Phrase(phrase.verb),), *((Phrase("", (guard,)),) for guard in phrase.guards)]
        lines += [(Phrase("", remark=phrase.remark),)] if phrase.remark else []
    return tuple(lines)


def _extent(items: Sequence[Item], straight: Sequence[Bundle], lanes: Sequence[_Lane], order: Mapping[str, int], *, right: bool) -> float:
    """Return how far from the axis the first lane of a side may come."""
    widths = [item.right if right else item.left for item in items]
    for lane in lanes:
        if lane.right is right:
            item = items[order[lane.bundle.dest]]
            widths.append((item.right if right else item.left) + lines_width((lane.bundle.phrases,)) + ARROW)
    for bundle in straight:
        if (order[bundle.dest] > order[bundle.sources[0]]) is right:
            widths.append(STRAIGHT + lines_width(straight_lines(bundle)) + 4)
    return max(widths)


def _straight_wire(bundle: Bundle, items: Mapping[str, Item], axis: float, straight: Sequence[Bundle]) -> Wire:
    source, dest = items[bundle.sources[0]], items[bundle.dest]
    down = dest.y > source.y
    paired = any((other.sources, other.dest) == ((bundle.dest,), bundle.sources[0]) for other in straight)
    x = axis + (STRAIGHT if down else -STRAIGHT) * paired
    start, end = (source.y + source.height, dest.y) if down else (source.y, dest.y + dest.height)
    lines = straight_lines(bundle)
    middle = (start + end) / 2 + LINE * len(lines) / 2 - 3 - (2 if down else -2)
    label = Label(lines, x + (6 if down else -6), middle, "start" if down else "end")
    return Wire(rows=bundle.rows, direction=bundle.direction, points=((x, start), (x, end)), label=label, sources=bundle.sources, dest=bundle.dest)


def _lane_wire(lane: _Lane, items: Mapping[str, Item], axis: float, base: float) -> Wire:
    bundle, dest = lane.bundle, items[lane.bundle.dest]
    x = base + (LANE if lane.right else -LANE) * (lane.number - 0.35)
    arrive = dest.y + lane.entry
    side = dest.side(lane.right, axis)
    starts: list[Point] = []
    for path in bundle.sources:
        source = items[path]
        starts.append((source.side(lane.right, axis), source.y + lane.exits[path]))
    starts.sort(key=lambda start: -abs(start[1] - arrive))
    main = (starts[0], (x, starts[0][1]), (x, arrive), (side, arrive))
    branches = tuple((start, (x, start[1])) for start in starts[1:])
    label = Label((bundle.phrases,), side + (ARROW if lane.right else -ARROW), arrive - 4, "start" if lane.right else "end")
    return Wire(rows=bundle.rows, direction=bundle.direction, points=main, branches=branches, label=label, sources=bundle.sources, dest=bundle.dest)
