"""Which source a text means, and what is said when there is none."""

from __future__ import annotations

import sys
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

from edge_client.sources import open_source
from edge_client.sources.folder import PictureFolder
from narrows.errors import SourceError

WIDTH, HEIGHT = 24, 16


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures, written out of order, one of them grey, beside a file that is none."""
    for name, grey in (("c.png", 200), ("a.jpg", 10), ("b.bmp", 100)):
        Image.new("L" if name == "b.bmp" else "RGB", (WIDTH, HEIGHT), grey if name == "b.bmp" else (grey,) * 3).save(
            tmp_path / name
        )
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_plays_its_pictures_by_name_and_ends(pictures: Path) -> None:
    source = open_source(str(pictures), loop=False, stop=Event())
    frames = [frame for _ in range(3) if (frame := source.read())]
    assert [frame.name for frame in frames] == ["a", "b", "c"]
    assert all(frame.picture.shape == (HEIGHT, WIDTH, 3) and frame.picture.dtype == np.uint8 for frame in frames)
    assert source.read() is None
    assert source.passed_over == 0


def test_a_looping_folder_begins_anew(pictures: Path) -> None:
    source = open_source(str(pictures), loop=True, stop=Event())
    names = [frame.name for _ in range(7) if (frame := source.read())]
    assert names == ["a", "b", "c", "a", "b", "c", "a"]


def test_frames_carry_the_time_of_their_capture(pictures: Path) -> None:
    ticks = iter((11, 22, 33))
    source = PictureFolder(pictures, lambda: next(ticks), loop=False)
    assert [frame.capture_ms for _ in range(3) if (frame := source.read())] == [11, 22, 33]


def test_a_broken_picture_is_named(pictures: Path) -> None:
    (pictures / "aa.jpg").write_bytes(b"\xff\xd8 not a picture")
    source = open_source(str(pictures), loop=False, stop=Event())
    source.read()
    with pytest.raises(SourceError, match=r"aa\.jpg"):
        source.read()


def test_a_folder_without_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no picture"):
        open_source(str(tmp_path), loop=False, stop=Event())


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not there"):
        open_source(str(tmp_path / "absent.mp4"), loop=False, stop=Event())


def test_without_the_video_extra_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SourceError, match=r"pip install 'narrows\[video\]'"):
        open_source(str(tmp_path / "clip.mp4"), loop=False, stop=Event())


def test_a_camera_without_the_video_extra_says_so_to_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    camera = open_source("rtsp://127.0.0.1:9/cam", loop=False, stop=Event())
    with pytest.raises(SourceError, match=r"pip install 'narrows\[video\]'"):
        camera.read()
    camera.close()


def test_a_file_that_is_no_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "clip.mp4").write_bytes(b"anything but a video")
    with pytest.raises(SourceError, match=r"clip\.mp4 cannot be opened as a video"):
        open_source(str(tmp_path / "clip.mp4"), loop=False, stop=Event())
