"""The exceptions of Titan, named by who must act.

A *refusal* (an order the Brain does not approve) is a value, `titan_core.model.Refused`, never an exception.
What stands here is a *failure*: somebody has to do something, and the class says who.
"""


class TitanError(Exception):
    """Base of every failure that Titan raises on purpose. The message says what was found, what is allowed and the fix."""

    aborts = False
    """Whether the failure ends the run even when a plugin's callback raised it."""


class UsageError(TitanError):
    """The user asked for something that does not exist or does not fit together (exit code 2)."""


class TooLarge(UsageError):
    """An amount does not fit into the 64 bits of the compiled searches; the reference engine has no such limit."""

    aborts = True


class ConfigError(TitanError):
    """A configuration value is missing, unknown or impossible; the user must edit the file named in the message (exit code 4)."""


class NotRunning(TitanError):
    """There is no session to ask; start one, or look after the one that ended (exit code 3)."""


class NoAnswer(TitanError):
    """A session is there and did not answer, or did not come to its end, in time (exit code 5)."""


class TapeError(TitanError):
    """A market recording cannot be read, is damaged or does not hold what was asked of it."""


class PluginError(TitanError):
    """A phase plugin broke its contract; its author must act. `plugin` names it."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(f"plugin {plugin!r}: {message}")
        self.plugin = plugin
        self.reason = message


class CallbackHung(PluginError):
    """A plugin's callback did not return within its time limit; the run was aborted."""

    aborts = True


class StrategyError(TitanError):
    """A strategy asked the engine for something that has no answer, for example order flow on a tape of bars."""


class ChartError(TitanError):
    """The Brain's statechart is inconsistent, or the machine did not take the step that its table demands."""


class VenueUnavailable(TitanError):
    """A venue did not answer; retrying is right."""


class ClockRefused(VenueUnavailable):
    """A venue refused because of the time that was signed; its clock has to be measured before it is asked again."""


class Unreadable(TitanError):
    """A venue's answer is not what its documents say. It proves nothing: least of all that something does not exist."""


class OrderRejected(TitanError):
    """A venue refused an order; retrying is wrong."""
