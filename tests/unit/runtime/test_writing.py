"""Files that people ask for: whole or not at all, and what stands in the way has a name."""

from __future__ import annotations

from pathlib import Path

import pytest

from narrows.contract.errors import FileUnwritable
from narrows.runtime.writing import check_folder_writable, check_writable, write_file, write_files

FULL = Path("/dev/full")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_file(tmp_path / "a", b"one")
    write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_folder_is_made_with_all_files_or_not_at_all(tmp_path: Path) -> None:
    write_files(tmp_path / "new" / "deep", {"a": b"1", "b": b"2"})
    assert sorted(path.name for path in (tmp_path / "new" / "deep").iterdir()) == ["a", "b"]
    with pytest.raises(FileUnwritable, match="cannot be written: File name too long"):
        write_files(tmp_path / "other", {"a": b"1", "b" * 300: b"2"})
    assert not (tmp_path / "other").exists()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_disk_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files(tmp_path, {"a": b"1", "manifest": b"2"})
    (tmp_path / ".manifest.partial").symlink_to(FULL)
    with pytest.raises(FileUnwritable, match="manifest cannot be written: No space left on device"):
        write_files(tmp_path, {"a": b"3", "manifest": b"4"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1", "manifest": b"2"}

    def interrupted(self: Path, data: bytes) -> int:
        self.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path, {"a": b"3"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "manifest"]


def test_what_would_fail_later_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnwritable, match="is a folder: name a file in it"):
        check_writable(tmp_path)
    with pytest.raises(FileUnwritable, match="file is no folder"):
        check_writable(tmp_path / "file" / "a.json")
    with pytest.raises(FileUnwritable, match="is a file: name a folder"):
        check_folder_writable(tmp_path / "file")
    with pytest.raises(FileUnwritable, match="file is no folder"):
        check_folder_writable(tmp_path / "file" / "bundle")
    with pytest.raises(FileUnwritable, match="may not be written to"):
        check_writable(Path("/proc/self/a.json"))
    check_writable(None)
    check_writable(tmp_path / "new" / "a.json")
    check_folder_writable(tmp_path / "new" / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileUnwritable, match="/dev/full cannot be written: No space left on device"):
        write_file(FULL, b"1")
    check_writable(FULL)
    assert FULL.is_char_device()
    (tmp_path / "real").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_file(tmp_path / "link", b"2")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"2"
