"""The look of the chart: two palettes and one style sheet."""

from titan_core.brain.drawing.geometry import EVENT_SIZE, GUARD_SIZE, NAME_SIZE, NOTE_SIZE

FONT = "Inter,'Segoe UI','Helvetica Neue',Roboto,'Liberation Sans',Arial,sans-serif"

LIGHT = {
    "paper": "#f6f7fa", "ink": "#1b2330", "dim": "#677084", "frame": "#ffffff", "frame-line": "#d3d8e2",
    "region": "#fafbfd", "region-line": "#c3cad8", "group": "#eef2fb", "group-line": "#b9c6e4",
    "idle": "#eef1f6", "idle-line": "#9aa5b8", "full": "#e2f4e9", "full-line": "#3f9f6b", "half": "#fdf0d5", "half-line": "#cc8d1c",
    "warned": "#fbf7dc", "warned-line": "#b3a23a", "shut": "#fce5e3", "shut-line": "#cf5249",
    "more": "#c8403a", "less": "#2b8a57", "equal": "#6f7b90", "live": "#2a5fe0", "live-ink": "#ffffff", "halo": "#c3d2f8",
}  # fmt: skip
DARK = {
    "paper": "#0e1218", "ink": "#e4e9f2", "dim": "#8e99ad", "frame": "#151b24", "frame-line": "#2b3444",
    "region": "#121822", "region-line": "#3a465b", "group": "#182236", "group-line": "#34456b",
    "idle": "#1f2733", "idle-line": "#5d6a80", "full": "#143326", "full-line": "#4db883", "half": "#3a2c10", "half-line": "#dba23c",
    "warned": "#33300f", "warned-line": "#c4b64c", "shut": "#3c1a1a", "shut-line": "#e36d64",
    "more": "#ee7169", "less": "#58bd8a", "equal": "#93a0b6", "live": "#5b8cff", "live-ink": "#0b1020", "halo": "#24386b",
}  # fmt: skip

_LOOKS = "".join(f".chart .{look} rect{{fill:var(--{look});stroke:var(--{look}-line)}}\n" for look in ("idle", "full", "half", "warned", "shut"))
_TONES = "".join(
    f".chart .{tone} path{{stroke:var(--{tone})}}\n"
    f".chart .{tone} .head,.chart .{tone} .joint{{fill:var(--{tone});stroke:none}}\n"
    f".chart .{tone} .verb{{fill:var(--{tone})}}\n"
    for tone in ("more", "less", "equal")
)

STYLE = f"""svg.chart{{font-family:{FONT}}}
.chart .paper{{fill:var(--paper)}}
.chart text{{fill:var(--ink)}}
.chart .frame rect{{fill:var(--frame);stroke:var(--frame-line);stroke-width:1.2}}
.chart .region rect{{fill:var(--region);stroke:var(--region-line);stroke-dasharray:5 4}}
.chart .group rect{{fill:var(--group);stroke:var(--group-line);stroke-dasharray:2 3}}
.chart .title{{font-size:13px;font-weight:650}}
.chart .headline{{font-size:18px;font-weight:650}}
.chart .group .title{{font-size:{NOTE_SIZE}px;font-weight:500;fill:var(--dim)}}
.chart .aside,.chart .note,.chart .guard{{fill:var(--dim)}}
.chart .aside{{font-size:10.5px;font-weight:400}}
.chart .name{{font-size:{NAME_SIZE}px;font-weight:600;text-anchor:middle}}
.chart .note{{font-size:{NOTE_SIZE}px;text-anchor:middle}}
.chart .verb{{font-size:{EVENT_SIZE}px;font-weight:550}}
.chart .guard{{font-size:{GUARD_SIZE}px}}
.chart .label text{{paint-order:stroke;stroke:var(--region);stroke-width:3.5px;stroke-linejoin:round}}
.chart .state rect{{stroke-width:1.3}}
{_LOOKS}.chart .final rect{{fill:var(--idle);stroke:var(--ink);stroke-width:3}}
.chart .wire path{{fill:none;stroke-width:1.35}}
{_TONES}.chart .live.state rect{{fill:var(--live);stroke:var(--live)}}
.chart .live.state .name,.chart .live.state .note{{fill:var(--live-ink)}}
.chart .live.state .halo{{fill:none;stroke:var(--halo);stroke-width:7}}
.chart .live.frame>rect{{stroke:var(--live);stroke-width:1.8}}
"""
"""The style sheet, with colours as variables."""


def variables() -> str:
    """Return both palettes as CSS variables; `data-theme` on the root element overrides what the viewer's system prefers."""
    light, dark = (";".join(f"--{name}:{colour}" for name, colour in palette.items()) for palette in (LIGHT, DARK))
    return f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n:root[data-theme=dark]{{{dark}}}\n"


def literal_style() -> str:
    """Return the style sheet with the colours written out, for viewers that know no variables; dark surroundings get the dark palette."""
    return f"{_written(LIGHT)}@media (prefers-color-scheme:dark){{\n{_written(DARK)}}}\n"


def _written(palette: dict[str, str]) -> str:
    style = STYLE
    for name, colour in palette.items():
        style = style.replace(f"var(--{name})", colour)
    return style
