"""The clips: video files, and CamVid's validation split, one drive in order; clean and with noise of a sensor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.capture.sources.decode import open_container
from edge_client.capture.sources.kinds.video import VideoFile

Picture = NDArray[np.uint8]
NOISE_DEVIATION = 2.0
CAMVID_FRAMES_PER_S = 15.0
"""Every second frame of a video with 30 a second."""
_SEED = 7


@dataclass(frozen=True)
class Clip:
    """A clip, read anew each time. ``noise``: deviation of the Gaussian noise on its pictures, in grey levels."""

    name: str
    path: Path
    frames_per_s: float
    noise: float = 0.0

    def pictures(self, most: int) -> Iterator[Picture]:
        """Its first ``most`` pictures ``(H, W, 3)`` uint8."""
        generator = np.random.default_rng(_SEED)
        for picture, _ in zip(self._clean(), range(most), strict=False):
            noisy = picture + generator.normal(0, self.noise, picture.shape) if self.noise else picture
            yield np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def _clean(self) -> Iterator[Picture]:
        if self.path.is_dir():
            from narrows.models.dataset import FolderDataset  # noqa: PLC0415 -- only for a labelled folder

            yield from (sample.picture for sample in FolderDataset.open(self.path, "val"))
            return
        with closing(VideoFile(self.path, lambda: 0, loop=False)) as video:
            while (frame := video.read()) is not None:
                yield frame.picture


def find_clips(videos: Path, data: Path) -> tuple[list[Clip], list[str]]:
    """The clips that are there, each clean and noisy, and what is not there."""
    clean, absent = [], []
    for path in sorted(videos.glob("*.mp4")):
        container = open_container(str(path))
        clean.append(Clip(path.stem, path, float(container.streams.video[0].average_rate or 25)))
        container.close()
    if not any(clip.name == "car-detection" for clip in clean):
        absent.append(f"{videos / 'car-detection.mp4'} (github.com/intel-iot-devkit/sample-videos): give --videos")
    if (data / "val.txt").is_file():
        clean.append(Clip("camvid validation", data, CAMVID_FRAMES_PER_S))
    else:
        absent.append(f"{data}, a labelled folder with a split val: give --data")
    noisy = [Clip(clip.name, clip.path, clip.frames_per_s, NOISE_DEVIATION) for clip in clean]
    return [clip for pair in zip(clean, noisy, strict=True) for clip in pair], absent
