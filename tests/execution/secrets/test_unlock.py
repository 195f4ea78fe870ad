"""Where a password may come from."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from titan_core.errors import UsageError
from titan_core.execution.secrets.keystore import KeystoreError
from titan_core.execution.secrets.unlock import CREDENTIAL, ask, from_credential, from_keyring, keystore_password, read_secret

ROOT = Path(__file__).resolve().parents[3]


def pipe_with(data: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


def test_a_descriptor_gives_a_line_at_a_time() -> None:
    fd = pipe_with("first line\r\nsecond \u00fc\nlast".encode())
    assert [read_secret(fd, "it").reveal() for _ in range(3)] == ["first line", "second \u00fc", "last"]
    with pytest.raises(KeystoreError, match="it is empty"):
        read_secret(fd, "it")
    os.close(fd)
    with pytest.raises(UsageError, match=f"file descriptor {fd} cannot be read for it"):
        read_secret(fd, "it")


@pytest.mark.parametrize(("data", "words"), [(b"\n", "empty"), (b"\xff\xfe\n", "no UTF-8"), (b"x" * 5_000, "longer than 4096")])
def test_what_is_no_password_is_refused(data: bytes, words: str) -> None:
    fd = pipe_with(data)
    with pytest.raises(KeystoreError, match=words):
        read_secret(fd, "it")
    os.close(fd)


def test_a_systemd_credential_is_read_and_must_be_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert from_credential(str(tmp_path)) is None
    path = tmp_path / CREDENTIAL
    path.write_text("from systemd\n")
    path.chmod(0o400)
    assert keystore_password().reveal() == "from systemd"
    path.chmod(0o444)
    with pytest.raises(KeystoreError, match="nobody else may read"):
        keystore_password()
    path.unlink()
    path.symlink_to(tmp_path / "other")
    with pytest.raises(KeystoreError, match="cannot be read"):
        keystore_password()


def test_a_descriptor_that_was_asked_for_goes_before_the_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / CREDENTIAL).write_text("from systemd")
    fd = pipe_with(b"from the pipe\n")
    assert keystore_password(fd=fd).reveal() == "from the pipe"
    os.close(fd)


def test_without_a_terminal_nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("TITAN_PASSWORD", "never looked at")
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(UsageError, match="no terminal to ask .*--password-fd"):
            keystore_password()
        with pytest.raises(UsageError):
            ask("API key: ")


def test_at_a_terminal_what_is_typed_is_not_shown() -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom titan_core.execution.secrets.unlock import ask\nprint(len(ask('Password: ').reveal()))"
    mine, theirs = pty.openpty()
    child = subprocess.Popen([sys.executable, "-c", code], stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown = b""
    while b"Password: " not in shown:
        shown += os.read(mine, 1_000)
    os.write(mine, b"typed in secret\n")
    out, _ = child.communicate(timeout=20)
    try:
        shown += os.read(mine, 1_000)
    except OSError:
        pass
    os.close(mine)
    assert out.strip() == b"15" and b"typed" not in shown


FAKE_KEYRING = """
class _Errors: pass
import sys, types
errors = types.ModuleType("keyring.errors")
class KeyringError(Exception): pass
errors.KeyringError = KeyringError
sys.modules["keyring.errors"] = errors
def get_password(service, user):
    if BROKEN: raise KeyringError("no back end, and some detail")
    return PASSWORDS.get((service, user))
"""


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        ("BROKEN = False\nPASSWORDS = {('titan', 'keystore'): 'from the keyring'}", "from the keyring"),
        ("BROKEN = False\nPASSWORDS = {}", "has no password for service 'titan'"),
        ("BROKEN = True\nPASSWORDS = {}", "cannot be asked here (KeyringError)"),
    ],
)
def test_the_keyring_is_optional_and_its_failures_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str, answer: str) -> None:
    (tmp_path / "keyring.py").write_text(head + FAKE_KEYRING)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("keyring", "keyring.errors"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        found = from_keyring("keystore").reveal()
    except KeystoreError as error:
        found = str(error)
    for name in ("keyring", "keyring.errors"):
        sys.modules.pop(name, None)
    assert answer in found and "some detail" not in found


def test_a_keyring_that_is_not_installed_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match="`keyring` is not installed"):
        keystore_password(keyring=True)
