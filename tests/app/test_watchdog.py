"""A callback that hangs ends the run with an error that names its phase; one that is merely busy does not."""

import threading
import time

import pytest

from titan_core.app.watchdog import Watchdog
from titan_core.engine.reference import Reference
from titan_core.errors import CallbackHung
from titan_core.model.units import S
from titan_core.ports import Strategy
from titan_core.tape.tape import build_tape
from titan_core.testing.chaos import random_market
from titan_core.testing.governors import OpenGovernor


class Loops(Strategy):
    def on_start(self, market):
        market.after(S, self._loop)

    def _loop(self, market, timer):
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue


class Sleeps(Strategy):
    def on_start(self, market):
        market.after(S, self._sleep)

    def _sleep(self, market, timer):
        time.sleep(60)


class Busy(Strategy):
    """Every callback is short, all of them together take longer than the limit."""

    def on_start(self, market):
        market.every(S, self._work)

    def _work(self, market, timer):
        time.sleep(0.01)


def engine(strategy):
    instruments, raw = random_market(1, 400, step_ns=300_000_000)
    governor = OpenGovernor([strategy])
    return Reference(build_tape(instruments, raw), governor, cash=10**12, slots=1), governor


@pytest.mark.parametrize("strategy", [Loops, Sleeps])
def test_a_hanging_callback_is_named_and_aborts_the_run(strategy):
    run, _ = engine(strategy())
    started = time.monotonic()
    with pytest.raises(CallbackHung, match="phase0.*'main' did not return within 0.2 s"), Watchdog(run, 0.2):
        run.run()
    assert time.monotonic() - started < 5


def test_a_hanging_callback_is_named_in_another_thread_too():
    run, _ = engine(Loops())
    caught = []

    def work():
        try:
            with Watchdog(run, 0.2):
                run.run()
        except CallbackHung as error:
            caught.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert caught and "phase0" in caught[0]


def test_many_short_callbacks_do_not_count_as_hanging():
    run, governor = engine(Busy())
    with Watchdog(run, 0.2):
        run.run()
    assert run.fires > 50 and not governor.faults
