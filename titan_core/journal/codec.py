"""Entries as bytes and back: which types a journal holds is the caller's choice, that they can be read back is not."""

from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen

from titan_core.journal.failures import EntryRefused

E = TypeVar("E")
S = TypeVar("S")


@frozen
class Record(Generic[E]):
    """An entry as it stands in the journal."""

    seq: int
    """Sequence number: 1, 2, 3 and so on without a hole."""
    ts_ns: int
    """When it was appended, ns since 1970 by the journal's clock."""
    entry: E


@frozen
class Snapshot(Generic[S]):
    """The state after all entries up to and with `seq`."""

    seq: int
    ts_ns: int
    state: S


class EntryCodec(Generic[E]):
    """Encodes and decodes the entries of one journal.

    `entries` is a tagged msgspec Struct or a union of them. Fields may be added later with defaults; a tag must keep its meaning forever.
    """

    def __init__(self, entries: Any) -> None:
        described = msgspec.inspect.type_info(entries)
        members = described.types if isinstance(described, msgspec.inspect.UnionType) else (described,)
        for member in members:
            if not isinstance(member, msgspec.inspect.StructType) or member.tag is None:
                raise TypeError(f"entries must be tagged msgspec Structs (class Fill(Struct, tag=True)), found {member}")
        self._encoder = msgspec.json.Encoder()
        self._decoder: msgspec.json.Decoder[E] = msgspec.json.Decoder(entries)

    def encode(self, entry: E) -> bytes:
        """Return the entry as one line of JSON. Raises EntryRefused where it would not be read back.

        A Struct does not check its fields when it is made, so a wrong type (None for a number, a float that is not finite) would be found at the next
        start only, when it is too late.
        """
        try:
            payload = self._encoder.encode(entry)
            self._decoder.decode(payload)
        except (msgspec.MsgspecError, TypeError, OverflowError) as error:
            raise EntryRefused(f"entry {type(entry).__name__} cannot be read back: {error}; give its fields the types that its class declares") from error
        if b"\n" in payload:
            raise EntryRefused(f"entry {type(entry).__name__} holds raw JSON with a line break; encode it without")
        return payload

    def decode(self, payload: bytes) -> E:
        """Return the entry. Raises msgspec.MsgspecError where it is of no type that this codec knows."""
        return self._decoder.decode(payload)
