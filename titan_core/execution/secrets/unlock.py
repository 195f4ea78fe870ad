"""Where a password may come from: a terminal, an open file descriptor, a systemd credential, the system's keyring. Never an argument or a variable."""

import importlib
import os
import stat
import sys
from pathlib import Path
from typing import Any

from titan_core.errors import UsageError
from titan_core.execution.secrets.keystore import KeystoreError
from titan_core.execution.secrets.secret import Secret

CREDENTIAL = "titan-keystore"
"""Name of the systemd credential: `LoadCredentialEncrypted=titan-keystore:...` in the unit."""
KEYRING_SERVICE = "titan"
LONGEST = 4_096


def read_secret(fd: int, what: str) -> Secret:
    """Read one line from an open file descriptor. Raises UsageError where it is not open, KeystoreError where it is empty or too long."""
    data = b""
    try:
        while b"\n" not in data and len(data) <= LONGEST:
            chunk = os.read(fd, 1)  # no byte more than the line: what follows is for whoever asks next
            if not chunk:
                break
            data += chunk
    except OSError as error:
        raise UsageError(f"file descriptor {fd} cannot be read for {what} ({error.strerror}); open it for this command, such as 3<file") from None
    return _line(data, what)


def _line(data: bytes, what: str) -> Secret:
    try:
        text = data.partition(b"\n")[0].removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise KeystoreError(f"{what} is no UTF-8 text") from None
    if not text or len(data) > LONGEST:
        raise KeystoreError(f"{what} is {'empty' if not text else f'longer than {LONGEST} bytes'}")
    return Secret(text)


def from_credential(directory: str, name: str = CREDENTIAL) -> Secret | None:
    """Read a systemd credential from `$CREDENTIALS_DIRECTORY`; None where the unit has none of that name. Raises KeystoreError where others may read it."""
    path = Path(directory) / name
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeystoreError(f"the credential {path} cannot be read: {error.strerror}") from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o027:
        os.close(fd)
        raise KeystoreError(f"the credential {path} must be a file of root's or your own that nobody else may read; let systemd provide it")
    with open(fd, "rb") as file:
        return _line(file.read(LONGEST + 1), f"the credential {name}")


def ask(prompt: str) -> Secret:
    """Ask at the terminal without showing what is typed. Raises UsageError where there is no terminal."""
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask for a secret at; pass it on a file descriptor (--password-fd 0 reads stdin), or as a systemd credential")
    import getpass

    return _line(getpass.getpass(prompt, stream=sys.stderr).encode(), prompt.rstrip(": "))


def from_keyring(user: str) -> Secret:
    """Ask the system's keyring. Raises UsageError where the optional package `keyring` is missing, KeystoreError where it has no password or no back end."""
    try:
        keyring: Any = importlib.import_module("keyring")
        failures: Any = importlib.import_module("keyring.errors")
    except ImportError:
        raise UsageError("the package `keyring` is not installed; install it, or leave --keyring out") from None
    try:
        found = keyring.get_password(KEYRING_SERVICE, user)
    except failures.KeyringError as error:
        raise KeystoreError(f"the keyring cannot be asked here ({type(error).__name__}); leave --keyring out") from None
    if not found:
        raise KeystoreError(f"the keyring has no password for service {KEYRING_SERVICE!r}, user {user!r}; `keyring set {KEYRING_SERVICE} {user}` stores one")
    return Secret(found)


def keystore_password(*, fd: int | None = None, keyring: bool = False, prompt: str = "Keystore password: ") -> Secret:
    """Get the password: from `fd` or the keyring if asked, else from the systemd credential of this unit, else from the terminal."""
    if fd is not None:
        return read_secret(fd, "the keystore password")
    if keyring:
        return from_keyring("keystore")
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    found = from_credential(directory) if directory else None
    return found if found is not None else ask(prompt)
