"""Boxes, wires and labels: what a picture of a chart is made of. All lengths are pixels; y grows downwards."""

from attrs import evolve, field, frozen

from titan_core.brain.vocabulary import Direction

Point = tuple[float, float]

EVENT_SIZE = 11.0
GUARD_SIZE = 9.5
NAME_SIZE = 12.5
NOTE_SIZE = 9.5
LINE = 12.0
"""Distance between the lines of a label."""


@frozen
class Box:
    """An axis-parallel rectangle."""

    x: float
    y: float
    w: float
    h: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y + self.h

    @property
    def cx(self) -> float:
        """The middle, across."""
        return self.x + self.w / 2

    @property
    def cy(self) -> float:
        """The middle, down."""
        return self.y + self.h / 2

    def moved(self, dx: float, dy: float) -> "Box":
        """Return the box elsewhere."""
        return Box(self.x + dx, self.y + dy, self.w, self.h)


@frozen
class Phrase:
    """One trigger as a label shows it: its verb, the guards that it asks, and a remark."""

    verb: str
    guards: tuple[str, ...] = ()
    remark: str = ""

    @property
    def small(self) -> str:
        """What stands behind the verb in small print: the guards in brackets and the remark."""
        return " ".join(part for part in (f"[{', '.join(self.guards)}]" if self.guards else "", self.remark) if part)

    @property
    def width(self) -> float:
        """Width on one line."""
        return text_width(self.verb, EVENT_SIZE) + text_width((" " if self.verb else "") + self.small, GUARD_SIZE) * bool(self.small)


@frozen
class Label:
    """Lines of phrases at a point: `anchor` says which end of the text is there; the last line's baseline is at y."""

    lines: tuple[tuple[Phrase, ...], ...]
    x: float
    y: float
    anchor: str = "start"

    @property
    def box(self) -> Box:
        """The rectangle that the text covers."""
        width = lines_width(self.lines)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Box(left, self.y - LINE * len(self.lines) + 2, width, LINE * len(self.lines))

    def moved(self, dx: float, dy: float) -> "Label":
        """Return the label elsewhere."""
        return evolve(self, x=self.x + dx, y=self.y + dy)


@frozen(kw_only=True)
class Wire:
    """Rows of the table drawn as one line: from the first point to the arrow at the last, with branches that join it at a dot."""

    rows: tuple[int, ...]
    direction: Direction
    points: tuple[Point, ...]
    branches: tuple[tuple[Point, ...], ...] = ()
    label: Label
    sources: tuple[str, ...]
    dest: str

    def moved(self, dx: float, dy: float) -> "Wire":
        """Return the wire elsewhere."""
        branches = tuple(_moved(branch, dx, dy) for branch in self.branches)
        return evolve(self, points=_moved(self.points, dx, dy), branches=branches, label=self.label.moved(dx, dy))


@frozen(kw_only=True)
class Shape:
    """A state drawn as a box: a leaf with its name, notes and internal triggers, or a frame with a title."""

    path: str
    box: Box
    title: str
    notes: tuple[str, ...] = ()
    kind: str = "idle"
    """A leaf's look: full, half, shut, idle, final. A frame's: mode, region, group."""

    def moved(self, dx: float, dy: float) -> "Shape":
        """Return the shape elsewhere."""
        return evolve(self, box=self.box.moved(dx, dy))


@frozen(kw_only=True)
class Panel:
    """A finished piece of a picture with the origin at its upper left. `axis` is where its column of states stands."""

    w: float
    h: float
    axis: float = 0.0
    frames: tuple[Shape, ...] = ()
    leaves: tuple[Shape, ...] = ()
    wires: tuple[Wire, ...] = ()

    def moved(self, dx: float, dy: float) -> "Panel":
        """Return the panel with everything in it elsewhere; its size is that of what it held."""
        return evolve(
            self,
            frames=tuple(frame.moved(dx, dy) for frame in self.frames),
            leaves=tuple(leaf.moved(dx, dy) for leaf in self.leaves),
            wires=tuple(wire.moved(dx, dy) for wire in self.wires),
        )


@frozen
class Scene:
    """The whole picture."""

    w: float
    h: float
    panel: Panel
    legend: Box
    """Where the legend goes."""
    boxes: dict[str, Box] = field(init=False, repr=False)
    """Where each state stands, by path."""

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "boxes", {shape.path: shape.box for shape in (*self.panel.frames, *self.panel.leaves)})


def merged(*panels: Panel, w: float, h: float, axis: float = 0.0) -> Panel:
    """Put panels that have been moved to their places into one."""
    return Panel(
        w=w,
        h=h,
        axis=axis,
        frames=tuple(frame for panel in panels for frame in panel.frames),
        leaves=tuple(leaf for panel in panels for leaf in panel.leaves),
        wires=tuple(wire for panel in panels for wire in panel.wires),
    )


def lines_width(lines: tuple[tuple[Phrase, ...], ...]) -> float:
    """Return the width of the widest line, its phrases separated by commas."""
    return max((sum(phrase.width for phrase in line) + text_width(", ", EVENT_SIZE) * (len(line) - 1) for line in lines), default=0.0)


def text_width(text: str, size: float) -> float:
    """Estimate the width of a text in a humanist sans-serif, a little generously: fonts differ and nothing here can measure them."""
    return size * sum(_glyph(letter) for letter in text)


def _glyph(letter: str) -> float:
    if letter in "ijl.,:;|!'()[] ":
        return 0.31
    if letter in "tfr-":
        return 0.41
    if letter in "mwMW%":
        return 0.88
    return 0.68 if letter.isupper() else 0.575


def _moved(points: tuple[Point, ...], dx: float, dy: float) -> tuple[Point, ...]:
    return tuple((x + dx, y + dy) for x, y in points)
