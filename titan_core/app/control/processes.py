"""Whether a process still lives. Its number alone says nothing: the system gives it to another one day, so the time of its start counts too."""

from pathlib import Path

from titan_core.journal.lock import answers

PROC = Path("/proc")
_ENDED = ("Z", "X", "x")
"""States of a process that has ended and that nobody has taken note of yet; see proc(5)."""


def start_mark(pid: int, proc: Path = PROC) -> str | None:
    """Return what tells this process from any other of its number: the machine's start and the ticks since; empty where the system does not tell.

    Returns None where no such process lives.
    """
    try:
        text = (proc / str(pid) / "stat").read_text("ascii", "replace")
    except OSError:
        if (proc / "self" / "stat").exists():
            return None
        return "" if answers(pid) else None
    # the name of the program stands in parentheses and may hold anything
    words = text.rpartition(")")[2].split()
    return None if words[0] in _ENDED else f"{_boot(proc)}:{words[19]}"


def is_alive(pid: int, mark: str, proc: Path = PROC) -> bool:
    """Whether the process of that number and start lives; the number alone counts where there is no mark."""
    found = start_mark(pid, proc)
    return found is not None and (not mark or not found or found == mark)


def _boot(proc: Path) -> str:
    try:
        return (proc / "sys" / "kernel" / "random" / "boot_id").read_text("ascii").strip()
    except OSError:
        return ""
