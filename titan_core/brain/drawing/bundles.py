"""Which rows of the table are drawn as one wire."""

from collections.abc import Iterable, Mapping, Sequence

from titan_core.brain.drawing.column import Bundle
from titan_core.brain.drawing.geometry import Phrase
from titan_core.brain.statechart import Chart, Transition

Numbered = tuple[int, Transition]


def bundle_rows(rows: Iterable[Numbered]) -> list[Bundle]:
    """Join rows that share trigger, guards and destination, then wires that share sources and destination."""
    joined: dict[object, list[Numbered]] = {}
    for number, row in rows:
        joined.setdefault((row.event, row.dest, row.guards, row.direction), []).append((number, row))
    wires: dict[object, list[Bundle]] = {}
    for group in joined.values():
        first = group[0][1]
        phrase = Phrase(str(first.trigger), tuple(map(str, first.guards)))
        sources = tuple(row.source for _, row in group)
        bundle = Bundle(rows=_numbers(group), sources=sources, dest=str(first.dest), direction=first.direction, phrases=(phrase,))
        wires.setdefault((sources, first.dest, first.direction), []).append(bundle)
    return [_joined(group) for group in wires.values()]


def group_rows(rows: Sequence[Numbered], group: str, members: Sequence[str]) -> tuple[list[Bundle], list[Bundle]]:
    """Split rows into the bundles among a group's members and those of the column around it, where the group stands for its members."""
    inner = [(number, row) for number, row in rows if row.source in members and row.dest in members]
    outer = [(number, row) for number, row in rows if not (row.source in members or row.dest in members)]
    crossing = [(number, row) for number, row in rows if (row.source in members) != (row.dest in members)]
    fans: dict[object, list[Numbered]] = {}
    for number, row in crossing:
        outside = row.dest if row.source in members else row.source
        fans.setdefault((row.event, outside, row.source in members, row.direction), []).append((number, row))
    wires: dict[object, list[Bundle]] = {}
    for fan in fans.values():
        bundle = _fan(fan, group, members)
        wires.setdefault((bundle.sources, bundle.dest, bundle.direction), []).append(bundle)
    return bundle_rows(inner), [*bundle_rows(outer), *(_joined(bundles) for bundles in wires.values())]


def _fan(fan: Sequence[Numbered], group: str, members: Sequence[str]) -> Bundle:
    """Make one wire of a trigger's rows between a group's members and a state outside."""
    first = fan[0][1]
    leaving = first.source in members
    ends = list(dict.fromkeys(str(row.source if leaving else row.dest) for _, row in fan))
    common = tuple(str(guard) for guard in first.guards if all(guard in row.guards for _, row in fan))
    remark = "" if len(ends) == len(members) else f"{'from' if leaving else 'to'} {' / '.join(_name(end) for end in reversed(ends))}"
    return Bundle(
        rows=_numbers(fan),
        sources=(group if leaving else first.source,),
        dest=str(first.dest) if leaving else group,
        direction=first.direction,
        phrases=(Phrase(str(first.trigger), common, remark),),
    )


def internal_verbs(chart: Chart) -> Mapping[str, tuple[str, ...]]:
    """Return the triggers that each state takes without leaving it."""
    verbs: dict[str, tuple[str, ...]] = {}
    for row in chart.transitions:
        if row.dest is None:
            verbs[row.source] = tuple(dict.fromkeys((*verbs.get(row.source, ()), str(row.trigger))))
    return verbs


def _joined(bundles: Sequence[Bundle]) -> Bundle:
    first = bundles[0]
    return Bundle(
        rows=tuple(number for bundle in bundles for number in bundle.rows),
        sources=first.sources,
        dest=first.dest,
        direction=first.direction,
        phrases=tuple(dict.fromkeys(phrase for bundle in bundles for phrase in bundle.phrases)),
    )


def _numbers(rows: Iterable[Numbered]) -> tuple[int, ...]:
    return tuple(number for number, _ in rows)


def _name(path: str) -> str:
    return path.rpartition(".")[2]
