"""API keys at rest: one file, sealed with a key that scrypt makes of a password (RFC 7914), AES-256-GCM over the keys and over the file's own description."""

import base64
import os
import secrets as randomness
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from attrs import evolve, frozen

from titan_core.errors import TitanError
from titan_core.execution.secrets.own_file import Flaw, NotOwn, read_own, write_new
from titan_core.execution.secrets.secret import Secret

FORMAT = "titan-keystore"
VERSION = 1
LARGEST_FILE = 1 << 20
SHORTEST_PASSWORD = 12
WRONG = "the keystore cannot be opened: the password is wrong or the file is damaged"
"""All that is ever said; which of the two it was is nobody's business."""


class KeystoreError(TitanError):
    """The keystore is missing, not safe to use, or cannot be opened."""


class KeyNotFound(KeystoreError):
    """The keystore holds no such key."""


@frozen
class ScryptCost:
    """How hard a guess at the password is: n * r * 128 bytes of memory and the time to fill it."""

    n: int = 2**17
    r: int = 8
    p: int = 1

    @property
    def work(self) -> int:
        """What costs are compared by."""
        return self.n * self.r * self.p

    def check(self) -> "ScryptCost":
        """Return it. Raises KeystoreError where it is no cost or one that would take the machine's memory: a file of somebody else's making."""
        power = self.n >= 2**14 and self.n & (self.n - 1) == 0
        if not (power and 1 <= self.r <= 32 and 1 <= self.p <= 16 and self.n * self.r * 128 <= 2**31):
            raise KeystoreError(WRONG)
        return self


COST = ScryptCost()
"""What new files are sealed with; a file with less is sealed anew with it at its next change."""


class KeyFacts(msgspec.Struct, frozen=True):
    """What a venue said of a key when it was checked."""

    permissions: tuple[str, ...]
    """In the venue's own words."""
    can_withdraw: bool
    ip_bound: bool
    """Whether the venue accepts the key from named addresses only."""
    checked_ns: int = 0
    """When, ns since 1970; filled in by whoever stores it."""


@frozen
class ApiKey:
    """A key of a venue."""

    venue: str
    label: str
    key: Secret
    secret: Secret
    added_ns: int
    facts: KeyFacts | None = None

    def live_refusals(self) -> tuple[str, ...]:
        """Say why live trading must not use it; empty where it may."""
        if self.facts is None:
            return ("it was never checked; run `titan keys check`",)
        reasons = []
        if self.facts.can_withdraw:
            reasons.append("it may withdraw; make one at the venue that may only trade")
        if not self.facts.ip_bound:
            reasons.append("it is bound to no IP address; bind it at the venue to that of this machine")
        return tuple(reasons)

    def as_row(self) -> dict[str, Any]:
        """Return it as plain data without key or secret; the last four characters of the key tell it from others."""
        shown = self.key.reveal()
        facts = self.facts
        return {
            "venue": self.venue,
            "label": self.label,
            "key": f"…{shown[-4:]}" if len(shown) >= 12 else "…",
            "added_ns": self.added_ns,
            "permissions": list(facts.permissions) if facts else None,
            "can_withdraw": facts.can_withdraw if facts else None,
            "ip_bound": facts.ip_bound if facts else None,
            "checked_ns": facts.checked_ns if facts else None,
            "live": not self.live_refusals(),
        }


class _Stored(msgspec.Struct):
    venue: str
    label: str
    key: str
    secret: str
    added_ns: int
    facts: KeyFacts | None = None


class _File(msgspec.Struct):
    format: str
    version: int
    n: int
    r: int
    p: int
    salt: str
    nonce: str
    sealed: str

    def described(self) -> bytes:
        """What is authenticated beside the keys: nobody can change a parameter without the password."""
        return msgspec.json.encode([self.format, self.version, self.n, self.r, self.p, self.salt, self.nonce])


def default_path() -> Path:
    """Return where the keystore is kept: `titan/keystore.json` in the user's configuration folder."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "titan" / "keystore.json"


# -- the file -------------------------------------------------------------------------------------------------------------


_ADVICE = {
    Flaw.LINK: "; the keystore must be a file of your own",
    Flaw.UNREADABLE: "; the keystore must be a file of your own",
    Flaw.NOT_REGULAR: "; the keystore must be one",
    Flaw.NOT_OURS: "; the keystore must be your own",
    Flaw.SECOND_NAME: "; remove it, the keystore must have one name only",
    Flaw.MODE: ", others may read it; it must be 0600: `chmod 600` it, and consider its keys known",
    Flaw.TOO_LARGE: " and so no keystore",
}


def read_private(path: Path) -> bytes:
    """Read a file that must be the user's own, mode 0600, no link of either kind. Raises KeystoreError with what was found and the fix."""
    try:
        return read_own(path, LARGEST_FILE)
    except FileNotFoundError:
        raise KeystoreError(f"there is no keystore at {path}; `titan keys add` makes one") from None
    except NotOwn as error:
        raise KeystoreError(f"{path} {error.found}{_ADVICE[error.flaw]}") from None


def _check_folder(folder: Path) -> None:
    found = folder.stat()
    if found.st_uid not in (os.geteuid(), 0):
        raise KeystoreError(f"{folder} belongs to user {found.st_uid}, who could replace the keystore in it; use a folder of your own")
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        raise KeystoreError(f"{folder} can be written by others, who could replace the keystore in it; `chmod go-w` it")


def write_private(path: Path, data: bytes) -> None:
    """Put a file of mode 0600 in the place of another in one step, on disk when it returns; the old one is kept as `<name>.bak`."""
    part = path.with_name(f".{path.name}.{randomness.token_hex(4)}.part")
    try:
        write_new(part, data, sync=True)
        if path.exists():
            backup_part = part.with_suffix(".bak-part")
            try:
                write_new(backup_part, read_private(path), sync=True)
                backup_part.replace(path.with_name(path.name + ".bak"))
            finally:
                backup_part.unlink(missing_ok=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep two changes at once from losing one of them."""
    import fcntl

    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise KeystoreError(f"another process is changing the keystore in {folder}; try again when it is done") from None
    finally:
        os.close(fd)


# -- sealing --------------------------------------------------------------------------------------------------------------


def _derive(password: Secret, salt: bytes, cost: ScryptCost) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=salt, length=32, n=cost.n, r=cost.r, p=cost.p).derive(unicodedata.normalize("NFC", password.reveal()).encode())


def seal(keys: tuple[ApiKey, ...], password: Secret, cost: ScryptCost) -> bytes:
    """Return the file that holds the keys; salt and nonce are new each time."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    plain = msgspec.json.encode([_Stored(each.venue, each.label, each.key.reveal(), each.secret.reveal(), each.added_ns, each.facts) for each in keys])
    salt, nonce = randomness.token_bytes(16), randomness.token_bytes(12)
    file = _File(FORMAT, VERSION, cost.n, cost.r, cost.p, _text(salt), _text(nonce), "")
    file.sealed = _text(AESGCM(_derive(password, salt, cost)).encrypt(nonce, plain, file.described()))
    return msgspec.json.format(msgspec.json.encode(file), indent=2) + b"\n"


def unseal(data: bytes, password: Secret) -> tuple[tuple[ApiKey, ...], ScryptCost]:
    """Return the keys of a file and the cost that it was sealed with. Raises KeystoreError, with the same words for every reason but a newer version."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        file = msgspec.json.decode(data, type=_File)
        if file.format == FORMAT and file.version > VERSION:
            raise KeystoreError(f"the keystore is of version {file.version}, this Titan reads up to {VERSION}; use the one that wrote it, or a newer one")
        if (file.format, file.version) != (FORMAT, VERSION):
            raise KeystoreError(WRONG)
        cost = ScryptCost(file.n, file.r, file.p).check()
        salt, nonce, sealed = (base64.b64decode(text, validate=True) for text in (file.salt, file.nonce, file.sealed))
        plain = AESGCM(_derive(password, salt, cost)).decrypt(nonce, sealed, file.described())
        stored = msgspec.json.decode(plain, type=list[_Stored])
    except (InvalidTag, msgspec.MsgspecError, ValueError, UnicodeError):
        raise KeystoreError(WRONG) from None
    return tuple(ApiKey(each.venue, each.label, Secret(each.key), Secret(each.secret), each.added_ns, each.facts) for each in stored), cost


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# -- what others use --------------------------------------------------------------------------------------------------------


@frozen
class Keystore:
    """The file and what may be done with it. Nothing is kept open or unlocked between calls."""

    path: Path
    cost: ScryptCost = COST

    @property
    def exists(self) -> bool:
        """Whether there is something at its place."""
        return os.path.lexists(self.path)

    def unlock(self, password: Secret) -> tuple[ApiKey, ...]:
        """Return all keys. Takes some tenths of a second on purpose. Raises KeystoreError."""
        keys, _ = unseal(self._read(), password)
        return keys

    def change(self, password: Secret, edit: Callable[[tuple[ApiKey, ...]], tuple[ApiKey, ...]], *, new_password: Secret | None = None) -> tuple[ApiKey, ...]:
        """Replace the keys by what `edit` makes of them, and perhaps the password; where there is no file yet, one is made. Returns the new keys.

        The file before is kept beside it as `.bak`, sealed as it was: a key that was removed is in there until the next change.
        Raises KeystoreError, also for a new password that is too short.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder(self.path.parent)
        with _only_one(self.path.parent):
            old, cost = unseal(self._read(), password) if self.exists else ((), self.cost)
            chosen = new_password if new_password is not None else password
            if (new_password is not None or not self.exists) and len(chosen.reveal()) < SHORTEST_PASSWORD:
                raise KeystoreError(f"the password must have {SHORTEST_PASSWORD} characters or more; all keys depend on it")
            new = edit(old)
            write_private(self.path, seal(new, chosen, max(cost, self.cost, key=lambda each: each.work)))
        return new

    def add(self, password: Secret, key: ApiKey, *, replace: bool = False) -> None:
        """Add a key. Raises KeystoreError where the venue has one of that label, unless `replace`."""

        def edit(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
            others = tuple(each for each in keys if (each.venue, each.label) != (key.venue, key.label))
            if len(others) < len(keys) and not replace:
                raise KeystoreError(f"there is a key {key.label!r} for {key.venue} already; name another --label, or say --replace")
            return (*others, key)

        self.change(password, edit)

    def remove(self, password: Secret, venue: str, label: str) -> None:
        """Remove a key. Raises KeyNotFound."""

        def edit(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
            _find(keys, venue, label)
            return tuple(each for each in keys if (each.venue, each.label) != (venue, label))

        self.change(password, edit)

    def note(self, password: Secret, venue: str, label: str, facts: KeyFacts) -> None:
        """Store what the venue said of a key. Raises KeyNotFound."""

        def edit(keys: tuple[ApiKey, ...]) -> tuple[ApiKey, ...]:
            found = _find(keys, venue, label)
            return tuple(evolve(each, facts=facts) if each is found else each for each in keys)

        self.change(password, edit)

    def _read(self) -> bytes:
        data = read_private(self.path)
        _check_folder(self.path.parent)
        return data


def _find(keys: tuple[ApiKey, ...], venue: str, label: str) -> ApiKey:
    for each in keys:
        if (each.venue, each.label) == (venue, label):
            return each
    there = ", ".join(f"{each.venue} {each.label!r}" for each in keys) or "none"
    raise KeyNotFound(f"the keystore holds no key {label!r} for {venue}; it holds: {there}")


def choose(keys: tuple[ApiKey, ...], venue: str, label: str = "main") -> ApiKey:
    """Return the key of a venue by its label. Raises KeyNotFound."""
    return _find(keys, venue, label)
