"""Keys at rest: real files, real modes, real tampering."""

import base64
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_core.execution.secrets import keystore as room
from titan_core.execution.secrets.keystore import WRONG, ApiKey, KeyFacts, KeyNotFound, Keystore, KeystoreError, ScryptCost, choose, seal, unseal
from titan_core.execution.secrets.secret import Secret

ROOT = Path(__file__).resolve().parents[3]
CHEAP = ScryptCost(n=2**14)
PASSWORD = Secret("correct horse battery")
KEY = ApiKey("bybit", "main", Secret("kkkk-1111-abcd"), Secret("ssss-2222-efgh"), 5)
SEALED = seal((KEY,), PASSWORD, CHEAP)


def store(folder: Path) -> Keystore:
    return Keystore(folder / "titan" / "keystore.json", CHEAP)


def test_keys_come_back_and_the_file_holds_none_of_them_in_the_clear(tmp_path: Path) -> None:
    made = store(tmp_path)
    assert not made.exists
    made.add(PASSWORD, KEY)
    other = evolve(KEY, venue="mexc", secret=Secret("another"))
    made.add(PASSWORD, other)
    assert made.unlock(PASSWORD) == (KEY, other)
    assert choose(made.unlock(PASSWORD), "mexc") == other
    data = made.path.read_bytes()
    for value in (KEY.key, KEY.secret, PASSWORD):
        assert value.reveal().encode() not in data and base64.b64encode(value.reveal().encode()) not in data
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in made.path.parent.iterdir()) == ["keystore.json", "keystore.json.bak"]


def test_a_wrong_password_and_a_damaged_file_are_the_same_words() -> None:
    document = json.loads(SEALED)
    damaged = json.dumps(document | {"sealed": document["sealed"][:-8] + "AAAAAAA="}).encode()
    said = set()
    for data, password in ((SEALED, "wrong horse battery"), (SEALED, ""), (damaged, PASSWORD.reveal()), (b"{}", "x"), (b"", "x"), (b"\xff\xfe", "x")):
        with pytest.raises(KeystoreError) as raised:
            unseal(data, Secret(password))
        said.add(str(raised.value))
        assert raised.value.__cause__ is None and raised.value.__suppress_context__
    assert said == {WRONG}


@given(st.data())
@settings(max_examples=40)
def test_no_byte_of_the_file_can_be_changed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(SEALED) - 1))
    changed = bytearray(SEALED)
    changed[at] ^= data.draw(st.integers(1, 255))
    try:
        found, _ = unseal(bytes(changed), PASSWORD)
    except KeystoreError as error:
        assert str(error) == WRONG or "is of version" in str(error)
    else:  # blanks between the fields carry nothing
        assert found == (KEY,) and json.loads(bytes(changed)) == json.loads(SEALED)


@pytest.mark.parametrize(
    "change", [{"n": 2**15}, {"n": 2**40}, {"n": 1000}, {"n": 2}, {"r": 10**6}, {"p": 0}, {"salt": "AAAA"}, {"nonce": "AAAA"}, {"format": "x"}]
)
def test_parameters_cannot_be_changed_nor_made_to_eat_the_machine(change: dict[str, object]) -> None:
    with pytest.raises(KeystoreError, match=WRONG):
        unseal(json.dumps(json.loads(SEALED) | change).encode(), PASSWORD)


def test_a_later_version_is_said_to_be_one() -> None:
    with pytest.raises(KeystoreError, match="version 2, this Titan reads up to 1"):
        unseal(json.dumps(json.loads(SEALED) | {"version": 2}).encode(), PASSWORD)


def test_the_cost_rises_at_the_next_change_and_never_falls(tmp_path: Path) -> None:
    store(tmp_path).add(PASSWORD, KEY)
    dearer = evolve(store(tmp_path), cost=ScryptCost(n=2**15))
    dearer.note(PASSWORD, "bybit", "main", KeyFacts(("Order",), False, True, 9))
    assert json.loads(dearer.path.read_bytes())["n"] == 2**15
    store(tmp_path).remove(PASSWORD, "bybit", "main")
    assert json.loads(dearer.path.read_bytes())["n"] == 2**15
    assert room.COST.work >= ScryptCost(2**17).work


def test_each_sealing_has_its_own_salt_and_nonce(tmp_path: Path) -> None:
    one, two = json.loads(SEALED), json.loads(seal((KEY,), PASSWORD, CHEAP))
    assert one["salt"] != two["salt"] and one["nonce"] != two["nonce"] and one["sealed"] != two["sealed"]


def test_the_password_can_be_changed_and_must_not_be_short(tmp_path: Path) -> None:
    made = store(tmp_path)
    with pytest.raises(KeystoreError, match="12 characters or more"):
        made.add(Secret("short"), KEY)
    assert not made.exists
    made.add(PASSWORD, KEY)
    with pytest.raises(KeystoreError, match="12 characters or more"):
        made.change(PASSWORD, lambda keys: keys, new_password=Secret("short"))
    made.change(PASSWORD, lambda keys: keys, new_password=Secret("another long password"))
    with pytest.raises(KeystoreError, match=WRONG):
        made.unlock(PASSWORD)
    assert made.unlock(Secret("another long password")) == (KEY,)
    assert unseal(made.path.with_name("keystore.json.bak").read_bytes(), PASSWORD)[0] == (KEY,)


def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    assert unseal(seal((KEY,), Secret("pa\u0308sswort lang"), CHEAP), Secret("p\u00e4sswort lang"))[0] == (KEY,)


# -- files that are refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o700, 0o400, 0o4600])
def test_another_mode_than_0600_is_refused(tmp_path: Path, mode: int) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    made.path.chmod(mode)
    for act in (lambda: made.unlock(PASSWORD), lambda: made.remove(PASSWORD, "bybit", "main")):
        with pytest.raises(KeystoreError, match=f"has mode {mode:04o}.*must be 0600"):
            act()


def test_links_pipes_folders_and_giants_are_refused(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    folder = made.path.parent
    (folder / "link.json").symlink_to(made.path)
    (folder / "dangling.json").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.json", 0o600)
    (folder / "folder.json").mkdir(mode=0o600)
    (folder / "giant.json").touch(mode=0o600)
    os.truncate(folder / "giant.json", room.LARGEST_FILE + 1)
    for name, words in {
        "link": "is a symbolic link",
        "dangling": "is a symbolic link",
        "pipe": "no regular file",
        "folder": "no regular file",
        "giant": "larger than",
        "none": "there is no keystore",
    }.items():
        with pytest.raises(KeystoreError, match=words):
            Keystore(folder / f"{name}.json").unlock(PASSWORD)
    os.link(made.path, folder / "second.json")
    with pytest.raises(KeystoreError, match="second name"):
        made.unlock(PASSWORD)
    with pytest.raises(KeystoreError, match="is a symbolic link"):
        Keystore(folder / "dangling.json", CHEAP).add(PASSWORD, KEY)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_or_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    os.chown(made.path, 12_345, -1)
    with pytest.raises(KeystoreError, match="belongs to user 12345 and you are 0"):
        made.unlock(PASSWORD)
    os.chown(made.path, 0, -1)
    os.chown(made.path.parent, 12_345, -1)
    with pytest.raises(KeystoreError, match="user 12345, who could replace"):
        made.unlock(PASSWORD)


def test_a_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    made.path.parent.chmod(0o770)
    with pytest.raises(KeystoreError, match="can be written by others"):
        made.unlock(PASSWORD)
    made.path.parent.chmod(0o1777)
    assert made.unlock(PASSWORD) == (KEY,)


# -- changes ---------------------------------------------------------------------------------------------------------------


def test_a_label_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    with pytest.raises(KeystoreError, match="there is a key 'main' for bybit already"):
        made.add(PASSWORD, KEY)
    newer = evolve(KEY, secret=Secret("newer"))
    made.add(PASSWORD, newer, replace=True)
    made.add(PASSWORD, evolve(KEY, label="spare"))
    assert choose(made.unlock(PASSWORD), "bybit") == newer
    with pytest.raises(KeyNotFound, match="holds no key 'other' for bybit; it holds: bybit 'main', bybit 'spare'"):
        made.remove(PASSWORD, "bybit", "other")
    made.remove(PASSWORD, "bybit", "main")
    assert [each.label for each in made.unlock(PASSWORD)] == ["spare"]


def test_a_wrong_password_changes_nothing(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    before = made.path.read_bytes()
    with pytest.raises(KeystoreError, match=WRONG):
        made.remove(Secret("wrong horse battery"), "bybit", "main")
    assert made.path.read_bytes() == before and [path.name for path in made.path.parent.iterdir()] == ["keystore.json"]


def test_a_kill_in_the_middle_of_a_change_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    code = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from tests.execution.secrets.test_keystore import *
step = int(sys.argv[1])
count = 0
real = os.fsync
def dying(fd):
    global count
    real(fd)
    count += 1
    if count == step:
        os.kill(os.getpid(), 9)
os.fsync = dying
store(Path({str(tmp_path)!r})).add(PASSWORD, evolve(KEY, label=f"step{{step}}"))
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    for step in (1, 2, 3):
        done = subprocess.run([sys.executable, "-c", code, str(step)], env=environment, capture_output=True, text=True)
        assert done.returncode == -9, done.stderr
        labels = [each.label for each in made.unlock(PASSWORD)]
        assert labels in (["main"], ["main", "step3"])
        assert (step == 3) == ("step3" in labels), "the new one stands once its name does"


def test_two_changes_at_once_lose_none(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.add(PASSWORD, KEY)
    inside, go = threading.Event(), threading.Event()

    def slow(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
        inside.set()
        assert go.wait(10)
        return (*keys, evolve(KEY, label="slow"))

    thread = threading.Thread(target=made.change, args=(PASSWORD, slow))
    thread.start()
    assert inside.wait(10)
    with pytest.raises(KeystoreError, match="another process is changing the keystore"):
        made.add(PASSWORD, evolve(KEY, label="quick"))
    go.set()
    thread.join()
    made.add(PASSWORD, evolve(KEY, label="quick"))
    assert [each.label for each in made.unlock(PASSWORD)] == ["main", "slow", "quick"]


# -- what a key may be used for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (None, ["never checked"]),
        (KeyFacts(("Order",), False, True), []),
        (KeyFacts(("Order", "Withdraw"), True, True), ["may withdraw"]),
        (KeyFacts(("Order",), False, False), ["bound to no IP address"]),
        (KeyFacts(("Withdraw",), True, False), ["may withdraw", "bound to no IP address"]),
    ],
)
def test_live_trading_refuses_keys_that_may_withdraw_or_come_from_anywhere(facts: KeyFacts | None, words: list[str]) -> None:
    reasons = evolve(KEY, facts=facts).live_refusals()
    assert len(reasons) == len(words) and all(word in reason for word, reason in zip(words, reasons, strict=True))


def test_neither_a_row_nor_a_repr_of_a_key_shows_it() -> None:
    for shown in (repr(KEY), json.dumps(KEY.as_row()), str((KEY,)), repr(KEY.as_row())):
        assert "kkkk" not in shown and "ssss" not in shown and "2222" not in shown
    assert KEY.as_row()["key"] == "…abcd"
    assert evolve(KEY, key=Secret("tiny")).as_row()["key"] == "…"
