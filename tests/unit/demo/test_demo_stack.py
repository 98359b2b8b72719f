"""What a demo that was killed leaves on the disk goes with the next one."""

from __future__ import annotations

import os
from pathlib import Path

from narrows.demo.stack import new_folder

BEYOND_ALL_PROCESS_IDS = 1 << 30


def test_folders_of_demos_that_are_gone_are_removed_and_others_stay(tmp_path: Path) -> None:
    gone, living, other = (tmp_path / f"stack-{name}" for name in (BEYOND_ALL_PROCESS_IDS, os.getppid(), "notes"))
    for folder in (gone, living, other):
        (folder / "redis").mkdir(parents=True)
    own = new_folder(tmp_path)
    assert own == tmp_path / f"stack-{os.getpid()}"
    assert list(own.iterdir()) == []
    assert not gone.exists()
    assert living.exists()
    assert other.exists()


def test_a_folder_of_the_same_name_begins_empty(tmp_path: Path) -> None:
    (new_folder(tmp_path) / "left over").touch()
    assert list(new_folder(tmp_path).iterdir()) == []
