"""What a camera container's health check looks at."""

from pathlib import Path

import pytest

from edge_client.alive import Alive
from narrows.contract.errors import StateError


def test_the_file_is_touched_as_frames_are_sent_once_a_second_at_most(tmp_path: Path) -> None:
    path, now_s = tmp_path / "sent", [0.0]
    path.touch()
    alive = Alive(path, lambda: now_s[0])
    assert not path.exists()  # what a former run left says nothing of this one
    alive.sent()
    assert path.exists()
    path.unlink()
    now_s[0] = 0.5
    alive.sent()
    assert not path.exists()
    now_s[0] = 1.0
    alive.sent()
    assert path.exists()


def test_a_folder_that_cannot_be_written_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="--alive"):
        Alive(tmp_path / "nowhere" / "sent")


def test_a_disk_that_fails_later_costs_no_frame(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    alive = Alive(folder / "sent")
    folder.rmdir()
    alive.sent()
