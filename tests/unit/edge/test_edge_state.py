"""The boot epoch grows at every boot and never comes twice, whatever happens to the file or the clock."""

from __future__ import annotations

import os
import shutil
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_client.state import StateFolder, default_folder, format_epoch, parse_epoch
from narrows.contract.errors import StateError, StreamIdInvalid

NOW_MS = 1_790_000_000_000
NOW_S = NOW_MS // 1000
YEAR_2150_MS = 5_680_281_600_000
LAST = (2**32 - 1) << 32


def boot(folder: Path, now_ms: int) -> int:
    with StateFolder(folder) as state:
        return state.next_epoch(now_ms)


def boot_second(folder: Path, now_ms: int) -> int:
    """The time-ordered half of a boot's epoch."""
    return boot(folder, now_ms) >> 32


def test_a_first_boot_takes_the_clock(tmp_path: Path) -> None:
    assert boot_second(tmp_path / "new" / "cam", NOW_MS) == NOW_S


def test_an_epoch_of_milliseconds_as_earlier_versions_stored_is_followed_by_a_larger_one(tmp_path: Path) -> None:
    for clock_ms in (NOW_MS, 0):
        (tmp_path / "epoch").write_bytes(format_epoch(NOW_MS))
        assert boot(tmp_path, clock_ms) > NOW_MS


def test_a_clock_that_nobody_set_is_not_believed(tmp_path: Path) -> None:
    boot(tmp_path, NOW_MS)
    assert boot_second(tmp_path, YEAR_2150_MS) == NOW_S + 1


def test_two_cameras_of_one_disk_image_and_one_key_share_no_epoch(tmp_path: Path) -> None:
    boot(tmp_path / "image", 5_000)
    for twin in ("left", "right"):
        shutil.copytree(tmp_path / "image", tmp_path / twin)
    assert boot(tmp_path / "left", 5_000) != boot(tmp_path / "right", 5_000)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_no_nonce_comes_twice_over_restored_copied_and_lost_folders_and_any_clock(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("state")
    folders, numbers, epochs = [base / "0"], count(1), list[int]()
    unique = count(7)
    for _ in range(data.draw(st.integers(2, 12))):
        folder = data.draw(st.sampled_from(folders))
        act = data.draw(st.sampled_from(["boot", "copy", "lose"]))
        if act == "copy" and folder.is_dir():
            folders.append(base / str(next(numbers)))
            shutil.copytree(folder, folders[-1])
        elif act == "lose":
            (folder / "epoch").unlink(missing_ok=True)
        else:
            with StateFolder(folder, random_bits=lambda _bits: next(unique)) as state:
                epochs.append(state.next_epoch(data.draw(st.sampled_from([0, 5_000, NOW_MS, YEAR_2150_MS]))))
    assert len(set(epochs)) == len(epochs)


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
    "data", [b"", b"\0" * 22, b"17", b"1790000000000 00000000\n", b"\xff\xfe", b"9" * 10_000, format_epoch(LAST)]
)
def test_a_corrupt_file_is_no_obstacle_and_is_mended(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "epoch").write_bytes(data)
    epoch = boot(tmp_path, NOW_MS)
    assert epoch >> 32 == NOW_S
    assert parse_epoch((tmp_path / "epoch").read_bytes()) == epoch


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
    assert boot_second(tmp_path, NOW_MS) == (first >> 32) + 1


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


@given(st.integers(0, LAST - 1))
def test_what_is_written_is_read(epoch: int) -> None:
    assert parse_epoch(format_epoch(epoch)) == epoch


def test_an_odd_stream_id_names_no_folder() -> None:
    with pytest.raises(StreamIdInvalid):
        default_folder("../../etc")
