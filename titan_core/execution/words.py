"""What adapters of all venues share about words."""

from titan_core.errors import TitanError


class Unreadable(TitanError):
    """A venue's answer is not what its documents say. It proves nothing: least of all that something does not exist."""
