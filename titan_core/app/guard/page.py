"""What session and guard share without asking each other: the gate, and the place where a hanging session's stack is written down."""

import mmap
import os
import tempfile

GATE, SHUT, OPEN = 0, 1, 0


class SharedPage:
    """One page of memory that both processes see. Its first byte is the gate: looking at it costs some tens of nanoseconds and no system call."""

    def __init__(self, fd: int) -> None:
        """Map what `fd` leads to; `make` makes a new one."""
        self.fd = fd
        self._map = mmap.mmap(fd, mmap.PAGESIZE)

    @classmethod
    def make(cls) -> "SharedPage":
        """Make one with its gate shut."""
        fd = shared_file("titan-guard")
        os.ftruncate(fd, mmap.PAGESIZE)
        page = cls(fd)
        page.shut()
        return page

    @property
    def is_open(self) -> bool:
        """Whether entries may pass."""
        return self._map[GATE] == OPEN

    def shut(self) -> None:
        """Let no entry pass from now on, in either process."""
        self._map[GATE] = SHUT

    def open(self) -> None:
        """Let entries pass."""
        self._map[GATE] = OPEN

    def close(self) -> None:
        """Let go of it."""
        self._map.close()
        os.close(self.fd)


def shared_file(name: str) -> int:
    """Return a file without a name that a child may inherit: of memory where the system has that, else an unlinked one."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
