"""Trade ids: duplicates are dropped, jumps are gaps, steps back are noted."""

import numpy as np

from titan_core.model.market import GapReason
from titan_core.tape.faults import FaultKind, FaultLog
from titan_core.tape.importers.decimals import Ints
from titan_core.tape.importers.rows import GapRows, Table, Times


def check_ids(table: Table, times: Times, gaps: GapRows | None, log: FaultLog) -> Table:
    """Return the rows without their `id` field and without repeated ids, reporting what is wrong with the ids.

    `gaps` is None where ids need not be consecutive, as with hashes.
    """
    ids = table.fields["id"]
    table = Table(table.kind, table.slots, table.events, {name: values for name, values in table.fields.items() if name != "id"})
    lines = times.lines[table.slots]
    steps = np.diff(ids)
    if (steps > 0).all() and (gaps is None or (steps == 1).all()):
        return table
    _, first = np.unique(ids, return_index=True)
    keep = np.zeros(len(ids), np.bool_)
    keep[first] = True
    repeated = np.flatnonzero(~keep)
    if len(repeated):
        row = int(repeated[0])
        log.add(FaultKind.DUPLICATE, int(lines[row]), f"trade id {ids[row]} again; the first is kept", len(repeated))
    if gaps is not None:
        _check_jumps(ids[keep], table.slots[keep], lines[keep], gaps, log)
    return table.pick(keep)


def _check_jumps(ids: Ints, slots: Ints, lines: Ints, gaps: GapRows, log: FaultLog) -> None:
    before = np.maximum.accumulate(ids)[:-1]
    steps = ids[1:] - before
    back = np.flatnonzero(steps < 0) + 1
    if len(back):
        log.add(FaultKind.OUT_OF_ORDER, int(lines[back[0]]), f"trade id {ids[back[0]]} after {before[back[0] - 1]}", len(back))
    for row in (np.flatnonzero(steps > 1) + 1).tolist():
        log.add(FaultKind.GAP, int(lines[row]), f"trade ids jump from {before[row - 1]} to {ids[row]}: {steps[row - 1] - 1} missing")
        gaps.add(int(slots[row - 1]), int(slots[row]), GapReason.SEQUENCE)
