"""How long nothing was heard, in time that the listener itself was running: a machine that slept, or a process that was stopped, has not listened."""

from attrs import define

JUMP_S = 2.0
"""A turn that came so late was no turn of a running process."""


@define
class Silence:
    """Counts silence. Call `heard` for each sign of life and `pass_time` at every turn, which should come every `turn_s`."""

    turn_s: float
    limit_s: float
    seconds: float = 0.0
    _excused: bool = False

    def heard(self) -> None:
        """Take in a sign of life."""
        self.seconds, self._excused = 0.0, False

    def pass_time(self, passed_s: float) -> bool:
        """Count a turn; returns whether it has been silent for too long.

        A late turn counts as two: what passed beyond that, the listener did not live through. After the first real jump of a silence, such as a suspended
        machine, at least half of the limit is still to pass: whoever is listened for has just woken up as well. Only once a silence, so that a machine on
        which everything comes late is not excused for ever.
        """
        if passed_s >= JUMP_S and not self._excused:
            self._excused = True
            self.seconds = min(self.seconds, self.limit_s / 2)
        self.seconds += min(passed_s, 2 * self.turn_s)
        return self.seconds >= self.limit_s
