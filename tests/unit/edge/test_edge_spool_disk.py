"""The spool where the power is cut at any byte, frames are damaged, and disks refuse."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.spool.record import format_record
from narrows.contract.errors import StateError
from tests.unit.edge.frames import frame
from tests.unit.edge.spools import drain, files_closed, open_spool, segments


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """What a sync does to a disk cannot be seen here; it costs minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        yield


class PowerCut(BaseException):
    """The machine is off."""


@contextmanager
def power_for(count: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let so many bytes reach the disk; the write that would bring more is torn, and nothing follows it."""
    left = count
    write, pwrite = os.write, os.pwrite

    def allowed(data: bytes | memoryview) -> memoryview:
        nonlocal left
        granted = memoryview(data)[:left]
        left -= len(granted)
        return granted

    def torn_write(file: int, data: bytes | memoryview) -> int:
        granted = allowed(data)
        written = write(file, granted)
        if len(granted) < len(data):
            raise PowerCut
        return written

    def torn_pwrite(file: int, data: bytes, offset: int) -> int:
        granted = allowed(data)
        written = pwrite(file, granted, offset)
        if len(granted) < len(data):
            raise PowerCut
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn_write)
        patch.setattr(os, "pwrite", torn_pwrite)
        yield


def play(folder: Path, stored: list[int], confirmed: list[int]) -> None:
    """An outage, an acknowledgement, and another outage; what is sure is noted when it is."""
    spool = open_spool(folder, 800)
    for sequence in range(8):
        gone = spool.append(frame(sequence, size_bytes=20))
        assert not gone
        stored.append(sequence)
    for _ in range(5):
        spool.read()
    confirmed.append(spool.read_upto)
    spool.confirm(spool.read_upto)
    spool._cursor_due_s = -1.0
    spool.confirm(spool.read_upto)
    for sequence in range(8, 12):
        spool.append(frame(sequence, size_bytes=20))
        stored.append(sequence)
    spool.close()


def test_power_cut_at_any_byte_loses_nothing_before_it_and_sends_nothing_torn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, whole = 0, False
    while not whole:
        folder = tmp_path / str(count)
        stored: list[int] = []
        confirmed: list[int] = []
        with files_closed(), power_for(count, monkeypatch), suppress(PowerCut):
            play(folder, stored, confirmed)
            whole = True
        again = open_spool(folder, 800)
        came = drain(again)
        again.close()
        acknowledged = confirmed[-1] + 1 if confirmed else 0
        assert came == list(range(came[0], stored[-1] + 1)) if came else not stored
        assert not came or came[0] <= acknowledged, "a frame that was not acknowledged is gone"
        count += 1
    assert count > 12 * 60, "the spool's every byte was cut at"


@given(
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    cut=st.integers(0, 10_000),
    garbage=st.binary(max_size=400),
)
@settings(deadline=None)
def test_what_a_power_cut_leaves_behind_the_last_sync_hurts_nothing_before_it(
    sizes: list[int], cut: int, garbage: bytes
) -> None:
    with tempfile.TemporaryDirectory() as name:
        spool = open_spool(Path(name))
        ends = []
        for sequence, size in enumerate(sizes):
            spool.append(frame(sequence, size_bytes=size))
            ends.append(spool.size_bytes)
        spool.close()
        (path,) = segments(Path(name))
        data = path.read_bytes()
        kept = data[: cut % (len(data) + 1)]
        path.write_bytes(kept + garbage)
        again = open_spool(Path(name))
        assert drain(again) == [sequence for sequence, end in enumerate(ends) if end <= len(kept)]
        again.append(frame(99))
        assert drain(again) == [99]
        again.close()


def test_a_damaged_frame_costs_itself_alone(tmp_path: Path) -> None:
    record = len(format_record(0, frame(0)))
    for victim in range(record * 3):
        folder = tmp_path / str(victim)
        lost: list[int] = []
        spool = open_spool(folder, lost=lost.append)
        for sequence in range(3):
            spool.append(frame(sequence))
        (path,) = segments(folder)
        data = bytearray(path.read_bytes())
        data[victim] ^= 0x55
        path.write_bytes(data)
        assert drain(spool) == [sequence for sequence in range(3) if sequence != victim // record]
        assert lost == [1]
        spool.close()


def test_behind_a_damaged_frame_only_a_key_frame_goes_on(tmp_path: Path) -> None:
    lost: list[int] = []
    spool = open_spool(tmp_path, lost=lost.append)
    for sequence in range(6):
        spool.append(frame(sequence, predicted=sequence not in {0, 4}))
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1:1", b"1:7"))
    assert drain(spool) == [0, 4, 5]
    assert lost == [1]


def fail_with(code: int) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.mark.parametrize("call", ["write", "fdatasync", "fsync", "open"])
def test_a_disk_that_refuses_costs_the_frame_alone_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    spool = open_spool(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail_with(errno.ENOSPC))
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                spool.append(frame(0))
    spool.append(frame(1))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail_with(errno.EIO))
        with pytest.raises(OSError, match="Input/output"):
            spool.append(frame(2))
    spool.append(frame(3))
    assert spool.unread == 2
    assert drain(spool) == [1, 3]
    spool.close()


def test_a_disk_that_fills_up_inside_a_frame_leaves_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = open_spool(tmp_path)
    spool.append(frame(0))
    write, calls = os.write, 0

    def short_then_full(file: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        return write(file, data[:30]) if calls == 1 else fail_with(errno.ENOSPC)()

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short_then_full)
        with pytest.raises(OSError, match="No space"):
            spool.append(frame(1))
    spool.append(frame(2))
    assert sum(path.stat().st_size for path in segments(tmp_path)) == spool.size_bytes
    assert drain(spool) == [0, 2]
    spool.close()


def test_a_disk_that_cannot_be_read_back_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[int] = []
    spool = open_spool(tmp_path, lost=lost.append)
    spool.append(frame(0))
    spool.append(frame(1))
    monkeypatch.setattr(os, "pread", fail_with(errno.EIO))
    assert spool.read() is None
    assert lost == [2]
    assert spool.unread == 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="--spool-mb 0"):
        open_spool(tmp_path / "file")
