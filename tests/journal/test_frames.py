"""The journal's format."""

from hypothesis import given
from hypothesis import strategies as st

from titan_core.journal.frames import Bad, Frame, Header, encode_group, encode_seal, parse_header, scan

PAYLOADS = st.lists(st.binary(min_size=1, max_size=60).map(lambda raw: raw.replace(b"\n", b" ")), min_size=1, max_size=12)


@given(PAYLOADS, st.integers(1, 10**15), st.integers(0, 2**62))
def test_what_is_framed_is_read_back(payloads: list[bytes], first: int, ts_ns: int) -> None:
    data = encode_group(first, [(ts_ns, payload) for payload in payloads]) + encode_seal(first + len(payloads) - 1, ts_ns) + bytes(500)
    *frames, seal = list(scan(data))
    assert [(frame.seq, frame.place, frame.ts_ns, frame.payload) for frame in frames if isinstance(frame, Frame)] == [
        (first + index, index + 1, ts_ns, payload) for index, payload in enumerate(payloads)
    ]
    assert isinstance(seal, Frame) and seal.is_seal and seal.synced_before == first + len(payloads) - 1


@given(PAYLOADS, st.data())
def test_no_changed_byte_passes_for_a_record(payloads: list[bytes], data: st.DataObject) -> None:
    image = encode_group(1, [(5, payload) for payload in payloads])
    original = {(frame.seq, frame.payload) for frame in scan(image) if isinstance(frame, Frame)}
    at = data.draw(st.integers(0, len(image) - 1))
    changed = bytearray(image)
    changed[at] ^= data.draw(st.integers(1, 255))
    found = list(scan(bytes(changed)))
    assert {(item.seq, item.payload) for item in found if isinstance(item, Frame)} < original
    (bad,) = (item for item in found if isinstance(item, Bad))
    assert bad.start <= at <= bad.end


def test_a_header_is_read_back_and_a_changed_one_is_not() -> None:
    header = Header(1, "00112233aabbccdd", 17, 5)
    line = header.encode()
    assert parse_header(line[:-1]) == header
    for at in range(len(line) - 1):
        assert parse_header(line[:at] + bytes([line[at] ^ 1]) + line[at + 1 : -1]) is None


def test_a_header_of_a_later_version_tells_its_version() -> None:
    from zlib import crc32

    text = b"TITAN-JOURNAL 7 whatever that version holds"
    found = parse_header(b"%b %08x" % (text, crc32(text)))
    assert found is not None and found.version == 7
