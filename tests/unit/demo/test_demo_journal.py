"""Reading a journal that somebody else is writing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from narrows.contract.errors import RecordError
from narrows.contract.wire import FrameIdentity
from narrows.ops.demo.journal import JournalReader, parse_line


def line(sequence: int, *, sent: bool = True) -> bytes:
    record = {
        "sequence": sequence,
        "epoch": 9,
        "name": f"picture{sequence}",
        "capture_ms": 1000 + sequence,
        "bytes": 500,
        "level": 1,
        "encode_ms": {"network": 1.0, "coder": 0.1},
        "sent": sent,
        "reason": None if sent else "queue_full",
    }
    return json.dumps(record).encode() + b"\n"


def test_each_line_is_answered_once_and_half_a_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    reader = JournalReader(path)
    assert reader.read_new() == []
    whole = line(0) + line(1)
    path.write_bytes(whole[:-20])
    assert [entry.identity for entry in reader.read_new()] == [FrameIdentity(9, 0)]
    path.write_bytes(whole)
    assert [entry.name for entry in reader.read_new()] == ["picture1"]
    assert reader.read_new() == []


def test_a_frame_that_was_given_up_has_its_reason() -> None:
    parsed = parse_line(line(4, sent=False))
    assert parsed is not None
    assert parsed.reason == "queue_full"


def test_a_change_of_design_is_no_frame() -> None:
    assert parse_line(b'{"design":"cut 1, level 0","epoch":7,"from_sequence":3,"reason":"first plan"}') is None


def test_the_line_that_sums_up_is_no_frame() -> None:
    assert parse_line(b'{"end":true,"frames_sent":3}') is None


HOSTILE = (line(1).replace(b"1001", bad) for bad in (b"NaN", b"1e999", b"9" * 400, b"-1"))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"nothing", b'{"sequence":"x"}', b"[" * 5000, *HOSTILE])
def test_what_is_no_journal_is_a_named_error(data: bytes) -> None:
    with pytest.raises(RecordError, match="journal"):
        parse_line(data)
