"""The venue of these tests: one for all of them, empty again after each."""

from collections.abc import Iterator

import pytest

from .processes import Child, session
from .venue import Venue, venue


@pytest.fixture(scope="package")
def _venue() -> Iterator[Venue]:
    with venue() as made:
        yield made


@pytest.fixture
def box(_venue: Venue) -> Iterator[Venue]:
    """Return the venue, with nothing open."""
    yield _venue
    _venue.clear()


@pytest.fixture(scope="module")
def lasting(_venue: Venue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """Return a session, as lean as can be, that the tests of a module share: each leaves it alive, with nothing held and its guard on duty."""
    with session("lean.py", _venue, tmp_path_factory.mktemp("lasting")) as child:
        yield child
