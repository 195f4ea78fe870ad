"""The mutants still fit the code, and a few of each kind are killed here; `python -m tests.mutants` runs them all."""

import pytest

from tests.mutants.catalog import MUTANTS, Mutant
from tests.mutants.runner import judge, source

SLICE = (
    "window: closed at its start",
    "replay: looks ahead by a row",
    "bars: a swing is seen before it is confirmed",
    "protection: a print through the entry spares the stop",
    "per event: a level that is just touched stays",
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_fits_the_code_and_is_python(mutant):
    compile(source(mutant), mutant.file, "exec")


def test_names_are_unique_and_the_kernels_have_enough_of_them():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    kernels = ("engine/scan.py", "engine/bounds.py", "engine/levels.py", "engine/replay.py")
    assert sum(mutant.file in kernels for mutant in MUTANTS) >= 45
    assert set(SLICE) <= {mutant.name for mutant in MUTANTS}


@pytest.mark.parametrize("name", SLICE)
def test_a_mutant_is_killed(name):
    pytest.importorskip("numba")
    outcome = judge(next(mutant for mutant in MUTANTS if mutant.name == name))
    assert outcome.ok, outcome


def test_a_change_that_changes_nothing_survives():
    harmless = Mutant("harmless", "engine/core.py", "self.events = 0\n", "self.events = 0 + 0\n")
    outcome = judge(harmless)
    assert not outcome.ok and not outcome.killed_by and not outcome.broken


def test_a_change_that_is_no_python_proves_nothing():
    outcome = judge(Mutant("broken", "engine/core.py", "self.events = 0\n", "self.events = nowhere\n"))
    assert outcome.broken and not outcome.ok


def test_a_text_that_does_not_occur_once_is_an_error():
    with pytest.raises(ValueError, match="must occur once"):
        source(Mutant("vague", "engine/core.py", "self.", "self._"))
