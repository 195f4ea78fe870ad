"""What can go wrong on the way into a session; `NotRunning` and `NoAnswer` stand with the other errors."""

from titan_core.errors import TitanError


class ControlError(TitanError):
    """The way into a session is not safe to use, or what came along it is not to be believed."""


class SessionRunning(ControlError):
    """Another process runs a session in this folder; `pid` is its id."""

    def __init__(self, message: str, pid: int) -> None:
        super().__init__(message)
        self.pid = pid
