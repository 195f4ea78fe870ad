"""The watchdog of a replay: a callback of a plugin that hangs ends the run with an error that names the plugin.

On the main thread it is an interval timer whose handler raises inside the hanging code, sleeping or looping; elsewhere a thread asks the
interpreter to raise there. It costs the run nothing: the handler compares the engine's count of calls with that of the tick before.
"""

import ctypes
import signal
import threading
from types import FrameType, TracebackType

from titan_core.engine.core import Engine
from titan_core.errors import CallbackHung

TICKS = 4
"""Looks per time limit."""


class _Hung(BaseException):
    """Raised inside the hanging code; no Exception, so that `except Exception` in a plugin does not swallow it."""


class Watchdog:
    """Use as a context manager around Engine.run."""

    def __init__(self, engine: Engine, timeout_s: float) -> None:
        """Watch `engine`; a callback may take `timeout_s`."""
        self._engine = engine
        self._timeout_s = timeout_s
        self._seen = -1
        self._ticks = 0
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._before: object = None
        self._error: CallbackHung | None = None

    def __enter__(self) -> "Watchdog":
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGALRM, self._ring)
            signal.setitimer(signal.ITIMER_REAL, self._timeout_s / TICKS, self._timeout_s / TICKS)
        else:
            self._thread = threading.Thread(target=self._watch, args=(threading.get_ident(),), daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._done.set()
        if self._thread is None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._before)  # type: ignore[arg-type]
        else:
            self._thread.join()
        if kind is _Hung and self._error is not None:
            raise self._error from error

    def _hangs(self) -> bool:
        """Whether the same callback has been running for the whole time limit."""
        engine = self._engine
        if engine.active is None or engine.calls != self._seen:
            self._seen = engine.calls
            self._ticks = 0
            return False
        self._ticks += 1
        if self._ticks < TICKS:
            return False
        desk = engine.active
        text = f"a callback of strategy {desk.strategy_id!r} did not return within {self._timeout_s:g} s; the run was aborted"
        self._error = CallbackHung(desk.phase, text)
        return True

    def _ring(self, number: int, frame: FrameType | None) -> None:
        if self._hangs():
            raise _Hung

    def _watch(self, thread: int) -> None:
        while not self._done.wait(self._timeout_s / TICKS):
            if self._hangs():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(_Hung))
                return
