"""Videos and cameras through the real decoder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from edge_client.capture.sources import open_source
from edge_client.capture.sources.kinds.video import VideoFile
from narrows.contract.errors import SourceError

ROOT = Path(__file__).resolve().parents[3]
pytest.importorskip("av", reason="needs the extra: pip install 'narrows[video]'")


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def address(short_video: Path) -> Iterator[str]:
    """The short video as a network camera that breaks off after thirty frames."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(short_video.parent))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{short_video.name}"
        server.shutdown()


def test_a_video_plays_every_frame_in_order_and_ends(short_video: Path) -> None:
    source = open_source(str(short_video), loop=False, stop=Event())
    frames = list(iter(source.read, None))
    source.close()
    assert [frame.name for frame in frames] == [f"ramp:{index:06d}" for index in range(30)]
    assert all(frame.picture.shape == (48, 64, 3) for frame in frames)
    brightness = [float(frame.picture.mean()) for frame in frames]
    assert brightness == sorted(brightness)
    assert brightness[0] == pytest.approx(40, abs=3)


def test_a_looping_video_begins_anew(short_video: Path) -> None:
    source = open_source(str(short_video), loop=True, stop=Event())
    names = [frame.name for _ in range(31) if (frame := source.read())]
    source.close()
    assert names[30] == names[0] == "ramp:000000"


def test_a_file_without_pictures_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(SourceError, match=r"empty\.mp4"):
        VideoFile(tmp_path / "empty.mp4", lambda: 0, loop=True)


def test_a_real_clip_is_read_whole() -> None:
    clip = Path(os.environ.get("NARROWS_DATA", ROOT / ".." / "shared" / "data")) / "videos/udacity_vehicle_test.mp4"
    if not clip.is_file():
        pytest.skip(f"{clip} is not there: set NARROWS_DATA")
    source = VideoFile(clip, lambda: 0, loop=False)
    frames = list(iter(source.read, None))
    source.close()
    assert len(frames) == 38
    assert frames[0].picture.shape == (720, 1280, 3)


def test_a_camera_gives_its_newest_frame_and_counts_what_it_passed_over(address: str) -> None:
    stop = Event()
    camera = open_source(address, loop=False, stop=stop)
    names = [frame.name for _ in range(3) if (frame := camera.read())]
    while camera.passed_over < 20:
        time.sleep(0.02)
    newest = camera.read()
    camera.close()
    assert newest is not None
    indices = [int(name.split(":")[1]) for name in (*names, newest.name)]
    assert indices == sorted(set(indices))
    assert indices[-1] + 1 >= len(indices) + 20


def test_a_camera_that_breaks_off_is_connected_again(address: str) -> None:
    camera = open_source(address, loop=False, stop=Event())
    last = 0
    while last < 30:
        frame = camera.read()
        assert frame is not None
        last = int(frame.name.split(":")[1])
    camera.close()


def test_a_camera_that_is_away_is_waited_for_until_the_program_stops() -> None:
    stop = Event()
    camera = open_source("http://127.0.0.1:9/absent.ts", loop=False, stop=stop)
    Timer(0.3, stop.set).start()
    assert camera.read() is None
    camera.close()
