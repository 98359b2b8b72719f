"""A video file whose packets are damaged here and there, or all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_client.capture.sources.kinds.video import VideoFile
from narrows.contract.errors import SourceError

av = pytest.importorskip("av", reason="needs the extra: pip install 'narrows[video]'")
FRAMES = 6


def written(path: Path, spoil: Callable[[int, bytes], bytes]) -> Path:
    """Frames, each brighter than the one before, whose packets go through ``spoil``."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for index in range(FRAMES):
            picture = np.full((48, 64, 3), 40 * index, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                spoiled = av.Packet(spoil(index, bytes(packet)))
                spoiled.pts = spoiled.dts = packet.pts
                spoiled.time_base, spoiled.stream = packet.time_base, stream
                container.mux(spoiled)
    return path


def brightness(video: VideoFile, frames: int) -> list[int]:
    return [int(frame.picture.mean()) for _ in range(frames) if (frame := video.read())]


@pytest.mark.parametrize("loop", [False, True])
def test_a_damaged_packet_is_skipped_and_counted_and_what_follows_is_read(tmp_path: Path, *, loop: bool) -> None:
    path = written(tmp_path / "clip.mov", lambda index, data: b"damaged" if index in {1, 4} else data)
    video = VideoFile(path, lambda: 0, loop=loop)
    assert brightness(video, 6) == [0, 80, 120, 200, *([0, 80] if loop else [])]
    assert video.unreadable == (3 if loop else 2)
    video.close()


@pytest.mark.parametrize("loop", [False, True])
def test_a_file_of_which_nothing_can_be_read_is_named(tmp_path: Path, *, loop: bool) -> None:
    video = VideoFile(written(tmp_path / "clip.mov", lambda _index, _data: b"damaged"), lambda: 0, loop=loop)
    with pytest.raises(SourceError, match=r"clip\.mov holds no frame that can be read: InvalidDataError"):
        video.read()
    video.close()
