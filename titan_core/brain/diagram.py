"""The chart drawn: one table, many pictures."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib import import_module
from types import MappingProxyType

from titan_core.brain.statechart import Chart, Configuration
from titan_core.errors import UsageError


class DiagramFormat(StrEnum):
    """What a diagram can be written as."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    SCXML = "scxml"
    HTML = "html"
    MARKDOWN = "markdown"


_RENDERERS: Mapping[DiagramFormat, tuple[str, str]] = MappingProxyType(
    {
        DiagramFormat.MERMAID: ("notations", "render_mermaid"),
        DiagramFormat.DOT: ("notations", "render_dot"),
        DiagramFormat.SVG: ("svg", "render_svg"),
        DiagramFormat.SCXML: ("notations", "render_scxml"),
        DiagramFormat.HTML: ("page", "render_html"),
        DiagramFormat.MARKDOWN: ("document", "render_markdown"),
    }
)


def render(chart: Chart, form: DiagramFormat, configuration: Configuration | None = None) -> str:
    """Write the chart in a format, the same text for the same chart each time; the states of `configuration` are marked as live.

    Raises UsageError where the configuration names a state that the chart does not have.
    """
    known = {state.path for state in chart.atomic}
    strangers = [leaf for leaf in (configuration.leaves if configuration is not None else ()) if leaf not in known]
    if strangers:
        raise UsageError(f"the chart has no state {', '.join(strangers)}; its phases are {', '.join(chart.phases) or 'none'}")
    module, function = _RENDERERS[form]
    renderer: Callable[[Chart, Configuration | None], str] = getattr(import_module(f"titan_core.brain.drawing.{module}"), function)
    return renderer(chart, configuration)
