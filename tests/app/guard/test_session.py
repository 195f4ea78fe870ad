"""A whole session with a plugin that hangs: the guard gets it out of the market, says whose code it was, and whoever comes back is locked."""

from pathlib import Path

from titan_core.app.guard.latch import read_latch

from .processes import session
from .venue import Venue


def test_a_plugin_that_hangs_is_left_and_named_and_its_session_locked_before_it_sends_anything(box: Venue, tmp_path: Path) -> None:
    with session("living.py", box, tmp_path) as child:
        child.until(lambda: box.lots)
        assert box.stop, "the stop rests at the venue meanwhile"
        sent = len(box.links)
        (tmp_path / "orders").write_text("sleep 3")
        latch = child.until(lambda: (found := read_latch(tmp_path)) is not None and found.is_done and found)
        assert latch.plugin == "hanger" and "hanger.py" in latch.why and "hanger active" in latch.mode
        assert any("in _run_timer" in line for line in latch.where)
        child.wait_for("note", text="was refused")
        child.wait_for("note", text="emergency.locked")
        assert [link[:10] for link in box.links[sent:]] == ["brain.outg"], "the entry that it wanted on its return has not gone out"
        assert box.lots == 0 and box.resting == []
        assert [each["why"] for each in child.heard if each["event"] == "latch"] == [latch.why]
