"""The stack of a thread that hangs, written down without the interpreter's lock and read by somebody else."""

import os
import threading
import time

from titan_core.app.guard.stack import Stack, StackWriter, read_stack, state_of

HERE = os.path.abspath(__file__)


def held_up(seconds: float) -> None:
    time.sleep(seconds)


def test_a_loop_that_does_not_come_back_is_written_down_with_its_innermost_code_first() -> None:
    writer = StackWriter()
    try:
        writer.arm(0.05)
        held_up(0.3)
        stack = read_stack(writer.fd, threading.get_ident())
        assert stack.culprit({"x": HERE}) == ("x", stack.culprit({"x": HERE})[1]) and "in held_up" in stack.culprit({"x": HERE})[1]
        assert stack.culprit({"x": os.path.dirname(HERE), "y": "/somewhere/else"})[0] == "x"
        assert "in held_up" in stack.lines[0] and len(stack.lines) <= 12
        writer.arm(60.0)
        assert read_stack(writer.fd, threading.get_ident()) == Stack(), "armed again, it is empty"
    finally:
        writer.close()


def test_a_name_that_only_begins_like_a_folder_is_not_in_it() -> None:
    stack = Stack((("/plugins/hunter_two/a.py", "3", "f"),))
    assert stack.culprit({"hunter": "/plugins/hunter"}) == ("", "")
    assert stack.culprit({"two": "/plugins/hunter_two"}) == ("two", "a.py:3 in f")


def test_the_state_of_a_process_is_told_where_the_system_knows_it() -> None:
    assert state_of(os.getpid()) == "computing"
    assert state_of(0) == ""
