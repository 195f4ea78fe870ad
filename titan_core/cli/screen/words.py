"""What a picture means, in words: the verdict on top, its colour, and the troubles that must be seen."""

import re
from collections.abc import Iterator

from attrs import frozen

from titan_core.app.live.status import SessionStatus
from titan_core.brain.vocabulary import Emergency
from titan_core.model.calendar import utc
from titan_core.model.units import S

OK, WARN, BAD, QUIET = "green", "yellow", "red", "cyan"
"""Colours of a verdict. Whatever they say is also said in words."""

STALE_S = 3.0
"""Age from which a picture is not called the present."""
STALE_MARKET_S = 60.0
"""Age of a quote beyond which the Brain refuses entries unless it is told otherwise (`brain.stale_s`)."""

STEPS = {
    Emergency.CLOSING_GATE: ("gate", "no entry is approved any more"),
    Emergency.CANCELLING_ENTRIES: ("entries", "entry orders are being cancelled"),
    Emergency.FLATTENING: ("flatten", "positions are being closed, reduce-only"),
    Emergency.VERIFYING: ("verify", "positions are read twice before stops go"),
    Emergency.DISABLING: ("disable", "stops are cancelled, phases switched off"),
    Emergency.LOCKED: ("locked", "flat and latched; `titan resume` leaves it"),
}
"""Each step of an emergency: its short name, and what happens in it."""

_STAGES = {
    "starting": ("STARTING", QUIET, "configuration and journal are read"),
    "recovering": ("RECOVERING", QUIET, "orders and positions are compared with the venue"),
    "stopping": ("STOPPING", WARN, "no new entries; what stays open keeps its stops"),
    "stopped": ("STOPPED", WARN, "this session has ended"),
}


@frozen
class Verdict:
    """The state in two words, its colour, and what it means."""

    word: str
    colour: str
    meaning: str


def emergency_step(status: SessionStatus) -> Emergency | None:
    """Return the step of the emergency that the chart is in; None where it is in none."""
    mode = status.brain.partition(":")[0].strip()
    head, _, step = mode.partition(".")
    if head != "emergency":
        return None
    try:
        return Emergency(step)
    except ValueError:
        return Emergency.CLOSING_GATE


def regions(status: SessionStatus) -> dict[str, str]:
    """Return the states of the chart's regions, such as `link`: `up`; empty outside of `operational`."""
    return dict(re.findall(r"\b(risk|link|control) (\w+)", status.brain.partition(";")[0]))


def verdict(status: SessionStatus) -> Verdict:
    """Judge a picture: the most serious thing first."""
    step = emergency_step(status)
    if step is Emergency.LOCKED:
        return Verdict("LOCKED", BAD, STEPS[step][1])
    if step is not None:
        return Verdict("EMERGENCY", BAD, f"step {list(Emergency).index(step) + 1} of {len(Emergency)}: {STEPS[step][1]}")
    if status.stage in _STAGES:
        return Verdict(*_STAGES[status.stage])
    if status.gate == "open":
        return _open(status)
    word, colour = ("EXITS ONLY", WARN) if status.gate == "reducing" else ("GATE CLOSED", BAD)
    return Verdict(word, colour, "; ".join(_reasons(status)) or "no entry is approved")


def _open(status: SessionStatus) -> Verdict:
    trading = [phase.id for phase in status.phases if phase.state in ("active", "reduced")]
    if status.risk == "reduced":
        return Verdict("HALF SIZE", WARN, "drawdown: every size is halved")
    if status.risk == "warning":
        return Verdict("TRADING", WARN, "drawdown: you are warned, sizes are whole")
    if not trading:
        return Verdict("WATCHING", QUIET, "the gate is open and no phase is on duty")
    return Verdict("TRADING", OK, f"the gate is open for {', '.join(trading)}")


def _reasons(status: SessionStatus) -> Iterator[str]:
    found = regions(status)
    if found.get("risk") == "halted":
        yield "halted, `titan resume` lifts it"
    if found.get("link") == "down":
        yield "no venue is tradable"
    if found.get("control") == "paused":
        yield "paused by the operator"
    if status.journal is not None and status.journal.status != "ok":
        yield f"the journal is {status.journal.status}"


def troubles(status: SessionStatus) -> Iterator[tuple[str, str]]:
    """Tell what must be seen: a colour and a sentence each, worst first."""
    if status.journal is not None and status.journal.status == "broken":
        yield BAD, "journal broken: stop, look after the disk, and start again"
    bare = [each.instrument for each in status.positions if not each.stop]
    if bare and emergency_step(status) is None:
        yield BAD, f"without a stop: {', '.join(bare)}"
    if status.journal is not None and status.journal.status == "full":
        yield BAD, "journal full: no entries until the disk has room again"
    link = status.link
    if link is not None and not link.is_answering:
        yield BAD, f"{link.venue} does not answer" + (f": {link.trouble}" if link.trouble else "")
    elif link is not None and link.trouble:
        yield WARN, f"{link.venue}: {link.trouble}"
    elif link is not None and not link.is_streaming:
        yield WARN, f"{link.venue}: private stream down, executions are polled"
    for phase in status.phases:
        if phase.broken:
            yield BAD, f"{phase.id} is in quarantine: {phase.broken}"
    for feed in status.feeds:
        if feed.doubt:
            yield WARN, f"{feed.instrument}: {feed.doubt}"


def market_words(status: SessionStatus) -> str:
    """Say where the market comes from and how fast it runs: `built-in market 60x`."""
    if status.feed == "built-in":
        return f"built-in market {status.speed:g}x"
    return "live market" if status.speed == 1 else f"{status.feed} market {status.speed:g}x"


def clock(ts_ns: int) -> str:
    """Write a time of the day, UTC."""
    return utc(ts_ns)[11:19]


def day_and_clock(ts_ns: int) -> str:
    """Write month, day and time, UTC."""
    return utc(ts_ns)[5:19]


def ago(seconds: float) -> str:
    """Write a stretch of time in at most six characters: `0.3 s`, `12 s`, `4 min`, `3 h`, `2 d`."""
    seconds = max(0.0, seconds)
    for limit, unit, name in ((9.95, 1, "s"), (99.5, 1, "s"), (5_970, 60, "min"), (171_000, 3_600, "h")):
        if seconds < limit:
            return f"{seconds:.1f} {name}" if limit == 9.95 else f"{seconds / unit:.0f} {name}"
    return f"{min(seconds / 86_400, 9_999):.0f} d"


def uptime(status: SessionStatus, taken_ns: int) -> str:
    """Write how long the session has run."""
    return ago((taken_ns - status.started_ns) / S)
