"""Every format shows the whole table, marks the live states, and the picture keeps its parts apart."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from titan_core.brain.chart import Chart, Configuration, StateKind, alike_phases, chart_of, initial
from titan_core.brain.diagram import DiagramFormat, render
from titan_core.brain.drawing.geometry import Box, Scene
from titan_core.brain.drawing.scene import build_scene
from titan_core.brain.statechart import is_within
from titan_core.errors import UsageError
from titan_core.model.ids import PhaseId

NAMES = (PhaseId("swift"), PhaseId("slow_one"))
CHART = chart_of(NAMES)
LIVE = Configuration(
    (
        "operational.risk.warning",
        "operational.link.up",
        "operational.control.running",
        "operational.phases.swift.active",
        "operational.phases.slow_one.draining",
    )
)
LOCKED = Configuration(("emergency.locked",))
SVG = "{http://www.w3.org/2000/svg}"
SCXML = "{http://www.w3.org/2005/07/scxml}"
TITAN = "{urn:titan:chart}"
COUNTS = [0, 1, 3, 8]


@pytest.fixture(scope="module", params=COUNTS)
def scene(request: pytest.FixtureRequest) -> Scene:
    return build_scene(chart_of(alike_phases(request.param)))


# -- SCXML ------------------------------------------------------------------------------------------------------------


def test_scxml_holds_exactly_the_tables() -> None:
    root = ElementTree.fromstring(render(CHART, DiagramFormat.SCXML))
    assert root.get("initial") == "booting"
    found: list[tuple[object, ...]] = []
    kinds: dict[str, tuple[str, str | None]] = {}

    def walk(element: ElementTree.Element, parent: str) -> None:
        for child in element:
            name = child.get("id", "")
            if child.tag == f"{SCXML}transition":
                commands = tuple(sent.get("event") for sent in child)
                found.append((child.get("event"), parent, child.get("target"), child.get("cond"), commands, child.get(f"{TITAN}direction")))
            elif name and child.tag != f"{SCXML}data":
                assert name.rpartition(".")[0] == parent
                kinds[name] = (child.tag.removeprefix(SCXML), child.get("initial"))
                walk(child, name)

    walk(root, "")
    tags = {StateKind.PARALLEL: "parallel", StateKind.FINAL: "final"}
    assert kinds == {state.path: (tags.get(state.kind, "state"), state.initial) for state in CHART.states}
    wanted = [(row.event, row.source, row.dest, " && ".join(row.guards) or None, tuple(row.commands), row.direction) for row in CHART.transitions]
    assert Counter(found) == Counter(wanted)


def test_scxml_keeps_the_order_in_which_rows_are_tried() -> None:
    root = ElementTree.fromstring(render(CHART, DiagramFormat.SCXML))
    for element in root.iter():
        source = element.get("id")
        events = [(child.get("event"), child.get("cond"), child.get("target")) for child in element if child.tag == f"{SCXML}transition"]
        assert events == [(row.event, " && ".join(row.guards) or None, row.dest) for row in CHART.transitions if row.source == source]


# -- Mermaid and DOT --------------------------------------------------------------------------------------------------


def arrows(chart: Chart) -> set[tuple[str, str]]:
    return {(row.source, row.dest) for row in chart.transitions if row.dest is not None}


def test_mermaid_draws_every_arrow_with_every_trigger() -> None:
    text = render(CHART, DiagramFormat.MERMAID)
    drawn = dict.fromkeys(re.findall(r"^ *(\w+) --> (\w+) :", text, re.MULTILINE))
    assert len(drawn) == len(arrows(CHART))
    for row in CHART.transitions:
        ends = [re.sub(r"\W", "_", path.replace("_", "__")) for path in (row.source, row.dest or "")]
        line = f"{ends[0]} --> {ends[1]} :" if row.dest else f"{ends[0]} : ↺"
        assert any(line in written and str(row.trigger) in written for written in text.splitlines()), row
    assert text.count("    --\n") == 4, "three separators between the regions of operational, one between two phases"


def test_mermaid_writes_siblings_inside_their_parent() -> None:
    depth, place = 0, {}
    for line in render(CHART, DiagramFormat.MERMAID).splitlines():
        if " : " in line and "-->" in line:
            place[line.split(" :")[0].strip()] = depth
        depth += line.endswith("{") - (line.strip() == "}")
    assert place["operational_risk_normal --> operational_risk_warning"] == 2
    assert place["emergency_locked --> booting"] == 0
    assert depth == 0


def test_dot_draws_every_arrow_and_every_cluster() -> None:
    text = render(CHART, DiagramFormat.DOT)
    assert text.count(" -> ") == len(arrows(CHART)) + 1
    assert text.count("subgraph") == sum(bool(CHART.children(state.path)) for state in CHART.states)
    assert all(f"{row.event}: " in text for row in CHART.transitions if row.dest is not None)


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_dot_is_accepted_by_graphviz() -> None:
    done = subprocess.run(["dot", "-Tsvg"], input=render(CHART, DiagramFormat.DOT, LIVE).encode(), capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b""


# -- SVG and HTML -----------------------------------------------------------------------------------------------------


def svg_groups(text: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(text).iter(f"{SVG}g"))


def test_svg_shows_every_state_and_every_transition() -> None:
    groups = svg_groups(render(CHART, DiagramFormat.SVG))
    paths = [group.get("data-path", "") for group in groups if group.get("data-path")]
    assert {path for path in paths if not path.endswith(".on duty")} == {state.path for state in CHART.states}
    assert len(paths) == len(set(paths))
    drawn = [int(number) for group in groups if "label" in group.get("class", "") for number in group.get("data-rows", "").split()]
    assert sorted(drawn) == [number for number, row in enumerate(CHART.transitions) if row.dest is not None]


def test_svg_names_the_triggers_that_a_state_takes_without_leaving_it() -> None:
    text = {group.get("data-path"): "".join(group.itertext()) for group in svg_groups(render(CHART, DiagramFormat.SVG)) if group.get("data-path")}
    for row in CHART.transitions:
        if row.dest is None:
            assert str(row.trigger) in text[row.source] + text[row.source.rpartition(".")[0]], row


def test_svg_stands_alone() -> None:
    text = render(CHART, DiagramFormat.SVG, LIVE)
    assert "var(" not in text
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]


def test_html_loads_nothing() -> None:
    text = render(CHART, DiagramFormat.HTML, LIVE)
    assert set(re.findall(r"https?://[^\"' ]*", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"(?:src|href)=|url\(|@import|import\(|fetch\(", text)


def page_data(text: str) -> dict[str, list[dict[str, object]]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_html_carries_the_table_for_its_panel_and_below_the_picture() -> None:
    text = render(CHART, DiagramFormat.HTML)
    rows = page_data(text)["rows"]
    assert [(row["event"], row["source"], row["dest"]) for row in rows] == [(row.event, row.source, row.dest) for row in CHART.transitions]
    listed = [int(number) for number in re.findall(r'<tr data-row="(\d+)"', text)]
    assert sorted(listed) == list(range(len(CHART.transitions)))
    for row in CHART.transitions:
        assert row.guards == tuple(rows[CHART.transitions.index(row)]["guards"])


def test_html_is_well_formed() -> None:
    text = render(CHART, DiagramFormat.HTML, LIVE).removeprefix("<!DOCTYPE html>\n")
    for void in ("meta", "input"):
        text = re.sub(rf"<{void}\b([^>]*)>", rf"<{void}\1/>", text)
    text = re.sub(r"<(script|style)\b[^>]*>.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"<(\w+)([^>]*) (hidden)>", r'<\1\2 \3="">', text)
    ElementTree.fromstring(text)


# -- the live state ---------------------------------------------------------------------------------------------------


def test_the_live_state_is_marked_in_every_format() -> None:
    scxml = ElementTree.fromstring(render(CHART, DiagramFormat.SCXML, LIVE))
    assert {element.get("id") for element in scxml.iter() if element.get(f"{TITAN}live")} == set(LIVE.leaves)
    groups = svg_groups(render(CHART, DiagramFormat.SVG, LIVE))
    lit = {group.get("data-path") for group in groups if group.get("class", "").startswith("state") and "live" in group.get("class", "").split()}
    assert lit - {None} == set(LIVE.leaves)
    assert page_data(render(CHART, DiagramFormat.HTML, LIVE))["live"] == list(LIVE.leaves)
    assert re.findall(r"class (\w+) live", render(CHART, DiagramFormat.MERMAID, LIVE))[-1] == "operational_phases_slow__one_draining"
    assert render(CHART, DiagramFormat.DOT, LIVE).count('style="rounded,filled"') == len(LIVE.leaves)
    assert render(CHART, DiagramFormat.MARKDOWN, LOCKED).count("**(live)**") == 1


@pytest.mark.parametrize("form", DiagramFormat)
def test_nothing_is_live_unless_it_is_said(form: DiagramFormat) -> None:
    plain, live = render(CHART, form), render(CHART, form, initial(CHART))
    assert plain != live
    assert plain == render(chart_of(NAMES), form)


def test_a_configuration_of_another_chart_is_refused() -> None:
    with pytest.raises(UsageError, match="no state operational.phases.swift.active"):
        render(chart_of(()), DiagramFormat.SVG, LIVE)


# -- the layout -------------------------------------------------------------------------------------------------------


def overlap(first: Box, second: Box) -> bool:
    return first.x < second.right and second.x < first.right and first.y < second.bottom and second.y < first.bottom


def test_states_and_labels_do_not_cover_each_other(scene: Scene) -> None:
    leaves = [(leaf.path, leaf.box) for leaf in scene.panel.leaves]
    labels = [(str(wire.rows), Box(wire.label.box.x, wire.label.box.y + 2, wire.label.box.w, wire.label.box.h - 4)) for wire in scene.panel.wires]
    for (first, one), (second, other) in combinations([*leaves, *labels, ("legend", scene.legend)], 2):
        assert not overlap(one, other), f"{first} covers {second}"


def test_everything_lies_within_the_picture_and_its_frame(scene: Scene) -> None:
    for shape in (*scene.panel.frames, *scene.panel.leaves):
        assert 0 <= shape.box.x and shape.box.right <= scene.w and 0 <= shape.box.y and shape.box.bottom <= scene.h
        for frame in scene.panel.frames:
            if shape.path != frame.path and is_within(shape.path, frame.path):
                assert frame.box.x <= shape.box.x and shape.box.right <= frame.box.right, (shape.path, frame.path)
                assert frame.box.y <= shape.box.y and shape.box.bottom <= frame.box.bottom, (shape.path, frame.path)
    assert all(0 <= x <= scene.w and 0 <= y <= scene.h for wire in scene.panel.wires for x, y in wire.points)


def test_sibling_frames_keep_apart(scene: Scene) -> None:
    for one, other in combinations(scene.panel.frames, 2):
        if not is_within(one.path, other.path) and not is_within(other.path, one.path):
            assert not overlap(one.box, other.box), (one.path, other.path)


def test_wires_begin_and_end_on_the_edges_of_their_states(scene: Scene) -> None:
    for wire in scene.panel.wires:
        starts = {branch[0] for branch in (wire.points, *wire.branches)}
        assert on_edge(wire.points[-1], scene.boxes[wire.dest]), wire.rows
        for source in wire.sources:
            assert any(on_edge(start, scene.boxes[source]) for start in starts), wire.rows


def on_edge(point: tuple[float, float], box: Box) -> bool:
    x, y = point
    across = any(abs(x - edge) < 0.01 for edge in (box.x, box.right)) and box.y <= y <= box.bottom
    down = any(abs(y - edge) < 0.01 for edge in (box.y, box.bottom)) and box.x <= x <= box.right
    return across or down


def test_wires_do_not_run_through_states(scene: Scene) -> None:
    for wire in scene.panel.wires:
        for points in (wire.points, *wire.branches):
            for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
                segment = Box(min(x0, x1) + 0.5, min(y0, y1) + 0.5, abs(x1 - x0) - 1, abs(y1 - y0) - 1)
                thick = Box(segment.x, segment.y, max(segment.w, 0.1), max(segment.h, 0.1))
                for leaf in scene.panel.leaves:
                    assert not overlap(thick, leaf.box), (wire.rows, leaf.path)


# -- the documentation ------------------------------------------------------------------------------------------------


def test_the_documented_tables_are_current() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "brain_chart.md"
    wanted = render(chart_of(alike_phases(1)), DiagramFormat.MARKDOWN)
    assert path.read_text("utf-8") == wanted, "write it again: titan brain diagram --format markdown --phases 1 --out docs/brain_chart.md"


def test_the_documented_tables_write_alike_phases_once() -> None:
    assert render(chart_of(alike_phases(3)), DiagramFormat.MARKDOWN) == render(chart_of(alike_phases(1)), DiagramFormat.MARKDOWN)
