"""Which source a text means, and what is said when there is none."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image
from structlog.testing import capture_logs
from typer.testing import CliRunner

from edge_client.capture.sources import is_live, open_source
from edge_client.capture.sources.kind import LiveKind, SourceKind, StoredKind
from edge_client.capture.sources.kinds.device import device_feed
from edge_client.capture.sources.kinds.folder import PictureFolder
from edge_client.capture.sources.select import KINDS, kind_of, table
from narrows.cli.root import app
from narrows.contract.errors import SourceError

ROOT = Path(__file__).resolve().parents[3]
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


@pytest.mark.parametrize("loop", [False, True])
def test_a_picture_that_cannot_be_read_is_skipped_counted_and_named_once(pictures: Path, *, loop: bool) -> None:
    (pictures / "aa.jpg").write_bytes(b"\xff\xd8 not a picture")
    source = open_source(str(pictures), loop=loop, stop=Event())
    with capture_logs() as log:
        names = [frame.name for _ in range(7) if (frame := source.read())]
    assert names == (["a", "b", "c", "a", "b", "c", "a"] if loop else ["a", "b", "c"])
    assert source.unreadable == (2 if loop else 1)
    assert len(log) == 1
    assert "aa.jpg" in log[0]["cause"]


def test_a_picture_that_is_deleted_meanwhile_is_skipped(pictures: Path) -> None:
    source = open_source(str(pictures), loop=True, stop=Event())
    (pictures / "b.bmp").unlink()
    assert [frame.name for _ in range(4) if (frame := source.read())] == ["a", "c", "a", "c"]


@pytest.mark.parametrize("loop", [False, True])
def test_a_folder_of_which_nothing_can_be_read_is_named_with_a_cause(tmp_path: Path, *, loop: bool) -> None:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_bytes(b"no picture")
    source = open_source(str(tmp_path), loop=loop, stop=Event())
    with pytest.raises(SourceError, match=r"2 were tried\): .*b\.png is no picture"):
        source.read()


def test_a_folder_that_may_not_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceError, match=r"cannot be read \(Permission denied\)"):
        open_source(str(tmp_path), loop=False, stop=Event())


def test_one_picture_is_a_source_too(pictures: Path) -> None:
    source = open_source(str(pictures / "b.bmp"), loop=False, stop=Event())
    assert (frame := source.read()) is not None
    assert (frame.name, frame.picture[0, 0].tolist()) == ("b", [100, 100, 100])
    assert source.read() is None


def test_a_file_url_is_the_file(pictures: Path) -> None:
    odd = pictures / "a file.jpg"
    (pictures / "a.jpg").rename(odd)
    source = open_source(odd.as_uri(), loop=False, stop=Event())
    assert (frame := source.read()) is not None
    assert frame.name == "a file"


@pytest.mark.parametrize("target", ["/dev/video7", "/dev/v4l/by-id/usb-Acme_C920-video-index0"])
def test_a_link_to_a_device_is_a_camera_even_while_it_is_unplugged(tmp_path: Path, target: str) -> None:
    link = tmp_path / "front"
    link.symlink_to(target)
    assert is_live(target)
    assert is_live(str(link))
    assert device_feed(str(link)).address == str(link)


@pytest.mark.parametrize("text", ["samples/images/val", "/etc/hostname", "no such file", "file:///dev/video0"])
def test_what_is_stored_or_not_there_is_no_camera(text: str) -> None:
    assert not is_live(text)


def test_a_device_that_is_no_camera_is_named() -> None:
    with pytest.raises(SourceError, match="/dev/null is a device, but no camera"):
        open_source("/dev/null", loop=False, stop=Event())


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


@pytest.mark.parametrize(
    ("text", "file"),
    [
        ("rtsp://127.0.0.1/cam", "rtsp"),
        ("RTSPS://127.0.0.1/cam", "rtsp"),
        ("http://127.0.0.1/snap", "http"),
        ("https://127.0.0.1/snap", "http"),
        ("srt://127.0.0.1:9000", "stream"),
        ("/dev/video0", "device"),
        (str(ROOT / "samples/images/val"), "folder"),
        (str(ROOT / "LICENSE"), "video"),
    ],
)
def test_a_value_means_the_kind_of_one_file(text: str, file: str) -> None:
    kind: SourceKind = import_module(f"edge_client.capture.sources.kinds.{file}").KIND
    assert kind_of(text) is kind
    matching = [each for each in KINDS if each.matches(text)]
    assert [each for each in matching if not each.is_fallback] in ([kind], []), "no value means two kinds"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.example)
def test_a_kind_is_live_or_stored_and_shown_by_every_listing(kind: SourceKind) -> None:
    assert isinstance(kind, (LiveKind, StoredKind))
    shown = CliRunner().invoke(app, ["edge", "--help"]).output
    assert kind.example in " ".join(shown.replace("│", " ").split())


def test_the_kinds_are_documented_as_they_are_declared() -> None:
    assert table() in (ROOT / "docs/edge.md").read_text(), f"docs/edge.md should have:\n{table()}"
