"""The spool: bounded, in order, and never a frame that was not put in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.spool import Keep, Spool
from tests.unit.edge.frames import frame, none_lost
from tests.unit.edge.spools import drain, files_closed, open_spool, segments


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """What a sync does to a disk cannot be seen here; it costs minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        yield


def test_frames_come_out_as_they_went_in(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for sequence in range(5):
        assert spool.append(frame(sequence)) == []
    assert spool.unread == 5
    read = spool.read()
    assert read is not None
    assert (read.outgoing.record, read.outgoing.packet) == (frame(0).record, frame(0).packet)
    assert (read.outgoing.stored, read.outgoing.resumed) == (0, False)
    assert drain(spool) == [1, 2, 3, 4]
    spool.confirm(4)
    assert segments(tmp_path) == []
    assert spool.size_bytes == 0


def test_the_next_run_goes_on_behind_what_was_acknowledged(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    for sequence in range(6):
        first.append(frame(sequence))
    first.read()
    first.read()
    first.confirm(0)
    first.close()
    second = open_spool(tmp_path)
    assert second.resumed == 5
    second.append(frame(6))
    reads = list(iter(second.read, None))
    assert [read.outgoing.record.sequence for read in reads] == [1, 2, 3, 4, 5, 6]
    assert [read.outgoing.resumed for read in reads] == [True] * 5 + [False]


def test_a_resumed_spool_begins_with_a_key_frame(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    for sequence in range(6):
        first.append(frame(sequence, predicted=sequence not in {0, 3}))
    first.read()
    first.confirm(0)
    first.close()
    assert drain(open_spool(tmp_path)) == [3, 4, 5]


def test_a_chain_that_was_not_interrupted_goes_on_through_the_spool(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for sequence in range(10, 13):
        spool.append(frame(sequence, predicted=True))
    assert spool.tip_decodes
    assert drain(spool) == [10, 11, 12]


def test_newest_gives_up_the_oldest_and_keeps_the_order(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, 8000)
    gone = [item.record.sequence for n in range(200) for item in spool.append(frame(n, size_bytes=40))]
    assert spool.size_bytes <= 8000
    assert sum(path.stat().st_size for path in segments(tmp_path)) == spool.size_bytes
    assert gone == list(range(len(gone)))
    assert drain(spool) == list(range(len(gone), 200))
    assert spool.size_bytes > 8000 * 3 / 4


def test_behind_what_newest_gave_up_the_next_frame_is_a_key_frame(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, 8000)
    gone = 0
    sequence = 0
    while not gone:
        gone = len(spool.append(frame(sequence, predicted=sequence % 7 != 0)))
        sequence += 1
    assert spool.tip_decodes
    assert drain(spool) == list(range(-(-gone // 7) * 7, sequence))


def test_newest_says_when_no_key_frame_is_left(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, 8000)
    sequence = 0
    while not spool.append(frame(sequence, predicted=sequence > 0)):
        assert spool.tip_decodes
        sequence += 1
    assert not spool.tip_decodes
    spool.append(frame(sequence + 1))
    assert spool.tip_decodes
    assert drain(spool) == [sequence + 1]


def test_oldest_takes_nothing_in_when_it_is_full(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, 8000, Keep.OLDEST)
    refused = [item.record.sequence for n in range(200) for item in spool.append(frame(n, size_bytes=40))]
    assert refused, "8,000 bytes do not hold 200 frames"
    assert refused == list(range(refused[0], 200))
    assert spool.size_bytes <= 8000
    assert drain(spool) == list(range(refused[0]))


@given(
    keep=st.sampled_from(Keep),
    steps=st.lists(
        st.one_of(st.integers(1, 400), st.sampled_from(["read", "confirm", "restart", "kill"])), max_size=80
    ),
)
@settings(deadline=None)
def test_whatever_happens_frames_leave_in_order_once_and_within_the_bound(keep: Keep, steps: list[int | str]) -> None:
    with files_closed(), tempfile.TemporaryDirectory() as name:
        spool = open_spool(Path(name), 4000, keep)
        put = 0
        dropped: set[int] = set()
        read: list[int] = []
        for step in steps:
            if isinstance(step, int):
                dropped |= {item.record.sequence for item in spool.append(frame(put, size_bytes=step))}
                put += 1
            elif step == "read":
                outgoing = spool.read()
                read += [] if outgoing is None else [outgoing.outgoing.record.sequence]
            elif step == "confirm":
                spool.confirm(spool.read_upto)
            else:
                if step == "restart":
                    spool.confirm(spool.read_upto)
                    spool.close()
                spool = open_spool(Path(name), 4000, keep)
                read = [sequence for sequence in read if step == "restart"]
            assert spool.size_bytes <= 4000
            assert sum(path.stat().st_size for path in segments(Path(name))) == spool.size_bytes
        read += drain(spool)
        spool.close()
        assert read == sorted(set(read))
        assert not dropped & set(read) or "kill" in steps
        if not {"kill", "confirm"} & set(steps):
            assert set(read) | dropped == set(range(put))


def test_few_syncs_and_little_besides_the_packets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = 0
    now_s = 0.0

    def count(_: int) -> None:
        nonlocal syncs
        syncs += 1

    monkeypatch.setattr(os, "fdatasync", count)
    spool = Spool(tmp_path, 8 << 20, Keep.NEWEST, lambda: now_s, none_lost)
    for sequence in range(600):
        now_s += 0.1
        spool.append(frame(sequence, size_bytes=800))
    assert 55 <= syncs <= 65
    assert spool.size_bytes < 600 * 800 * 1.1
    spool.close()
