"""A spooled frame's bytes: read back as written, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.spool.cursor import SpoolCursor, format_slot
from edge_client.spool.record import HEADER_BYTES, Stored, claimed_length, format_record, parse_record
from edge_client.transport.outbox import FrameRecord, Outgoing

u64 = st.integers(0, 2**64 - 1)
milliseconds = st.floats(0, 1e6, width=32)


@st.composite
def outgoings(draw: st.DrawFn) -> Outgoing:
    packet = draw(st.binary(min_size=1, max_size=200))
    record = FrameRecord(
        sequence=draw(st.integers(0, 2**32 - 1)),
        epoch=draw(u64),
        name=draw(st.text(st.characters(codec="utf-8"), max_size=40)),
        capture_ms=draw(st.integers(0, 2**48 - 1)),
        size_bytes=len(packet),
        level=draw(st.integers(0, 255)),
        network_ms=draw(milliseconds),
        coder_ms=draw(milliseconds),
    )
    return Outgoing(record, packet, depends=draw(st.booleans()))


@given(number=u64, outgoing=outgoings())
def test_a_frame_is_read_back_as_it_was_written(number: int, outgoing: Outgoing) -> None:
    data = format_record(number, outgoing)
    assert claimed_length(data[:12]) == len(data)
    assert parse_record(data) == Stored(number, outgoing)


@given(number=u64, outgoing=outgoings(), data=st.data())
def test_a_record_with_any_byte_changed_is_none(number: int, outgoing: Outgoing, data: st.DataObject) -> None:
    record = bytearray(format_record(number, outgoing))
    record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    assert parse_record(bytes(record)) is None


@given(number=u64, outgoing=outgoings(), data=st.data())
def test_a_record_cut_anywhere_is_none(number: int, outgoing: Outgoing, data: st.DataObject) -> None:
    record = format_record(number, outgoing)
    assert parse_record(record[: data.draw(st.integers(0, len(record) - 1))]) is None


@given(st.binary(max_size=HEADER_BYTES * 4))
def test_whatever_the_bytes_the_answer_is_a_frame_or_none(data: bytes) -> None:
    parse_record(data)
    parse_record(b"NSPL" + data)


@given(values=st.sets(u64, min_size=2, max_size=6).map(sorted), torn=st.binary(min_size=16, max_size=16))
@settings(deadline=None)
def test_a_torn_cursor_is_the_one_before(values: list[int], torn: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cursor"
        cursor = SpoolCursor(path)
        assert cursor.value == -1
        for value in values:
            cursor.write(value)
        cursor.close()
        newest = format_slot(values[-1])
        path.write_bytes(path.read_bytes().replace(newest, torn))
        again = SpoolCursor(path)
        again.close()
        assert again.value == values[-2]
