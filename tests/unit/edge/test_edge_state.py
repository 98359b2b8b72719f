"""The boot epoch grows at every boot, whatever happens to the file or the clock."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.state import StateFolder, default_folder, format_epoch, parse_epoch
from narrows.errors import StateError, StreamIdInvalid

NOW_MS = 1_790_000_000_000


def boot(folder: Path, now_ms: int) -> int:
    with StateFolder(folder) as state:
        return state.next_epoch(now_ms)


def test_a_first_boot_takes_the_clock(tmp_path: Path) -> None:
    assert boot(tmp_path / "new" / "cam", NOW_MS) == NOW_MS


@settings(deadline=None)
@given(clocks=st.lists(st.integers(0, NOW_MS), min_size=2, max_size=8))
def test_epochs_grow_whatever_the_clock_says(tmp_path_factory: pytest.TempPathFactory, clocks: list[int]) -> None:
    folder = tmp_path_factory.mktemp("state")
    epochs = [boot(folder, now_ms) for now_ms in clocks]
    assert all(later > earlier for earlier, later in pairwise(epochs))


def test_a_lost_file_leaves_the_clock_to_make_a_larger_epoch(tmp_path: Path) -> None:
    first = boot(tmp_path, NOW_MS)
    (tmp_path / "epoch").unlink()
    assert boot(tmp_path, NOW_MS + 60_000) > first


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 22, b"17", b"1790000000000 00000000\n", b"\xff\xfe", b"9" * 10_000, format_epoch(2**64 - 1)]
)
def test_a_corrupt_file_is_no_obstacle_and_is_mended(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "epoch").write_bytes(data)
    assert boot(tmp_path, NOW_MS) == NOW_MS
    assert parse_epoch((tmp_path / "epoch").read_bytes()) == NOW_MS


def test_a_crash_before_the_rename_leaves_the_old_epoch_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = boot(tmp_path, NOW_MS)

    def power_fails(self: Path, target: Path) -> Path:
        raise OSError(5, "power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", power_fails)
        with pytest.raises(StateError, match="state-dir"):
            boot(tmp_path, NOW_MS)
    assert parse_epoch((tmp_path / "epoch").read_bytes()) == first
    assert boot(tmp_path, NOW_MS) == first + 1


def test_the_epoch_is_on_disk_before_it_is_given_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def recording_sync(descriptor: int) -> None:
        done.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "fsync file")  # noqa: PTH112
        sync(descriptor)

    def recording_replace(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", recording_sync)
    monkeypatch.setattr(Path, "replace", recording_replace)
    boot(tmp_path, NOW_MS)
    assert done == ["fsync file", "rename", "fsync folder"]


def test_two_programs_cannot_send_one_stream(tmp_path: Path) -> None:
    with StateFolder(tmp_path), pytest.raises(StateError, match="another"):
        StateFolder(tmp_path)
    boot(tmp_path, NOW_MS)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="--state-dir"):
        StateFolder(tmp_path / "file" / "cam")


@given(st.binary(max_size=80))
def test_whatever_the_bytes_an_epoch_is_read_or_nothing(data: bytes) -> None:
    epoch = parse_epoch(data)
    assert epoch is None or format_epoch(epoch) == data


@given(st.integers(0, 2**64 - 2))
def test_what_is_written_is_read(epoch: int) -> None:
    assert parse_epoch(format_epoch(epoch)) == epoch


def test_an_odd_stream_id_names_no_folder() -> None:
    with pytest.raises(StreamIdInvalid):
        default_folder("../../etc")
