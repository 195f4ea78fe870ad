"""The guard as a process, with a session that is no more than a loop: what hangs, stops or dies, and what is done about it."""

import os
import signal
import time
from pathlib import Path

from titan_core.app.guard.latch import LATCH_NAME, Latch, read_latch, write_latch
from titan_core.simulator.faults import FaultKind, Rule

from .processes import Child, is_gone, session
from .venue import KEY, Venue


def left(child: Child) -> Latch:
    """Wait for the end of an emergency."""

    def found() -> Latch | None:
        latch = read_latch(child.folder)
        return latch if latch is not None and latch.is_done else None

    latch = child.until(found)
    assert isinstance(latch, Latch)
    return latch


def hold(child: Child, held: str) -> None:
    """Have the session say whether it holds something, and give it the time to say it."""
    child.say(f"held {held}")
    time.sleep(0.4)


def lift(child: Child) -> None:
    """Have the operator take the latch away."""
    child.wait_for("latch")
    child.wait_for("guard", text=": latched")
    child.say("release")
    child.wait_for("guard", text=": watching")


def test_no_secret_is_in_arguments_environment_or_files(lasting: Child) -> None:
    for pid in (lasting.guard, lasting.process.pid):
        for name in ("cmdline", "environ"):
            text = Path(f"/proc/{pid}/{name}").read_bytes()
            assert text and KEY.secret.encode() not in text and KEY.key.encode() not in text
    assert Path(f"/proc/{lasting.guard}/cmdline").read_bytes().split(b"\0")[1:-1] == [b"-P", b"-m", b"titan_core.app.guard"]
    files = [path for path in lasting.folder.iterdir() if path.is_file()]
    assert {path.name for path in files} == {"guard.lock", "guard.log"}
    for path in files:
        assert KEY.secret not in path.read_text() and path.stat().st_mode & 0o077 == 0, path


def test_a_hang_without_anything_open_shuts_the_gate_only_while_it_lasts(box: Venue, lasting: Child) -> None:
    lasting.say("hang loop 1.6")
    assert lasting.wait_for("answer")["outcome"] == "rejected", "what waited while it hung"
    lasting.wait_for("guard", text=": watching")
    lasting.say("enter")
    lasting.wait_for("sent")
    assert read_latch(lasting.folder) is None


def test_a_stopped_session_is_left_and_finds_the_gate_shut_when_it_goes_on(box: Venue, lasting: Child) -> None:
    box.buy(7)
    hold(lasting, "yes")
    lasting.signal(signal.SIGSTOP)
    lasting.forget()
    lasting.say("enter")  # the first thing that it will do
    latch = left(lasting)
    assert "stopped (SIGSTOP)" in latch.why and latch.closed == ("BTCUSDT.bybit-linear",) and box.lots == 0
    lasting.signal(signal.SIGCONT)
    assert lasting.wait_for("answer")["outcome"] == "rejected"
    hold(lasting, "no")
    lift(lasting)
    lasting.say("enter")
    lasting.wait_for("sent")
    assert read_latch(lasting.folder) is None and (lasting.folder / f"{LATCH_NAME}.1").exists(), "the operator took it away, and it is kept"


def test_what_is_filled_while_a_session_hangs_that_held_nothing_is_closed_also_by_a_venue_that_was_down(box: Venue, lasting: Child) -> None:
    down = box.add(Rule(kind=FaultKind.STATUS, status=503, venue="bybit"))
    lasting.say("hang sleep 3.5")
    lasting.until(lambda: "asking what is open" in lasting.log)
    box.buy(3)
    box.remove(down)
    latch = left(lasting)
    assert latch.plugin == "" and latch.closed == ("BTCUSDT.bybit-linear",) and box.lots == 0
    lift(lasting)


def test_a_venue_that_is_down_when_the_guard_fires_is_left_once_it_answers(box: Venue, lasting: Child) -> None:
    box.buy(4)
    hold(lasting, "yes")
    down = box.add(Rule(kind=FaultKind.STATUS, status=503, venue="bybit"))
    lasting.say("hang loop 3.5")
    lasting.until(lambda: read_latch(lasting.folder))
    time.sleep(0.5)
    latch = read_latch(lasting.folder)
    assert latch is not None and not latch.is_done and box.lots == 4, "the latch lies there before anything was reached"
    box.remove(down)
    assert left(lasting).closed == ("BTCUSDT.bybit-linear",) and box.lots == 0
    hold(lasting, "no")
    lift(lasting)


def test_session_and_guard_stopped_together_are_no_emergency(box: Venue, lasting: Child) -> None:
    box.buy(2)
    hold(lasting, "yes")
    lasting.signal(signal.SIGSTOP)
    os.kill(lasting.guard, signal.SIGSTOP)
    time.sleep(2.3)  # more than twice the limit
    os.kill(lasting.guard, signal.SIGCONT)
    time.sleep(0.2)  # the guard goes on first
    lasting.signal(signal.SIGCONT)
    time.sleep(1.2)
    lasting.forget()
    lasting.say("state")
    assert lasting.wait_for("state")["may_enter"] is True
    assert read_latch(lasting.folder) is None and box.lots == 2
    hold(lasting, "no")


def test_a_guard_that_is_killed_or_stopped_is_replaced_and_no_entry_passes_meanwhile(box: Venue, lasting: Child) -> None:
    os.kill(lasting.guard, signal.SIGKILL)
    lasting.wait_for("guard", text="another one starts")
    lasting.say("enter")
    assert lasting.wait_for("answer")["outcome"] == "rejected"
    second = lasting.wait_for("guard", text=": watching")["pid"]
    lasting.say("enter")
    lasting.wait_for("sent")
    os.kill(second, signal.SIGSTOP)
    lasting.wait_for("guard", text="has said nothing")
    third = lasting.wait_for("guard", text=": watching")["pid"]
    assert len({lasting.guard, second, third}) == 3 and is_gone(second)
    lasting.guard = third


def test_code_that_holds_the_interpreter_is_named_and_an_emergency_goes_on_when_its_session_is_killed(box: Venue, tmp_path: Path) -> None:
    box.buy(5)
    with session("lean.py", box, tmp_path, held=True) as child:
        down = box.add(Rule(kind=FaultKind.STATUS, status=503, venue="bybit"))
        child.say("hang catastrophe 60")
        child.until(lambda: read_latch(tmp_path))
        child.process.kill()
        child.process.wait()
        assert box.lots == 5
        box.remove(down)
        latch = left(child)
        assert latch.plugin == "hanger" and "in catastrophe" in latch.why and box.lots == 0
        child.until(lambda: is_gone(child.guard))


def test_a_session_that_is_killed_leaves_its_position_with_its_stop_and_nothing_in_the_book(box: Venue, tmp_path: Path) -> None:
    price = box.price
    box.buy(5, stop_loss=price * 97 // 100)
    box.buy(1, price=price * 9 // 10)
    with session("lean.py", box, tmp_path, held=True) as child:
        child.process.kill()
        child.until(lambda: is_gone(child.guard))
        assert "1 positions are left, each with its stop" in child.log
    assert (box.lots, box.stop) == (5, price * 97 // 100)
    assert len(box.resting) == 1, "only the stop rests there"
    assert read_latch(tmp_path) is None


def test_a_latch_from_before_keeps_the_gate_shut_until_it_is_lifted_and_an_orderly_end_ends_the_guard(box: Venue, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    write_latch(tmp_path, Latch(why="a callback had hung", since_ns=1, is_done=True))
    with session("lean.py", box, tmp_path) as child:
        assert not any(each["event"] == "latch" for each in child.heard), "it is known already"
        child.say("state")
        state = child.wait_for("state")
        assert state["may_enter"] is False and "a callback had hung" in state["trouble"]
        child.say("release")
        child.wait_for("guard", text=": watching")
        child.say("end")
        child.until(lambda: is_gone(child.guard))
        assert child.process.wait(5) == 0
