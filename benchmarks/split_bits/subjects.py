"""The networks, how each is fed, and how its results are judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.split_bits import judges, pictures
from benchmarks.split_bits.pictures import Picture, Sample

Feed = NDArray[np.generic]
TEXT_SIDE = 480
_NETWORKS = Path(__file__).parents[2] / ".cache" / "networks"


@dataclass(frozen=True)
class Subject:
    """A network.

    Attributes:
        path: where it lies: `make fetch-networks` brings it.
        feed: a picture as the network takes it.
        calibration, held_out: so many samples to fit on, and to judge on.
        pictures, calibrated: how many there are of these; a third of the latter is fitted on, the others choose.
    """

    name: str
    path: Path
    input_shape: tuple[int, ...] | None
    feed: Callable[[Picture], Feed]
    calibration: Callable[[Path, int], Sequence[Sample]]
    held_out: Callable[[Path, int], Sequence[Sample]]
    judge: judges.Judge
    pictures: int
    calibrated: int = 90


def _scaled(side: int, mean: Sequence[float], deviation: Sequence[float], *, bgr: bool) -> Callable[[Picture], Feed]:
    """Planes of ``side`` by ``side``, of 0 to 255 less the mean, over the deviation."""

    def feed(picture: Picture) -> Feed:
        small = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR), np.float32)
        scaled = (small - np.array(mean, np.float32)) / np.array(deviation, np.float32)
        return np.ascontiguousarray((scaled[..., ::-1] if bgr else scaled).transpose(2, 0, 1)[None])

    return feed


def _photographs(kind: str) -> Callable[[Path, int], Sequence[Sample]]:
    return lambda data, count: [pictures.plain(p) for p in pictures.spread(pictures.photographs(data, kind), count)]


def _classified(kind: str) -> Callable[[Path, int], Sequence[Sample]]:
    """Photographs, and of COCO's the objects on them: only those count of which the network is sure."""

    def samples(data: Path, count: int) -> Sequence[Sample]:
        paths = [path for path in pictures.photographs(data, kind) if "coco_panoptic" not in path.parts]
        photographs = [pictures.plain(path) for path in (*paths, *pictures.further_cars(data, kind))]
        every = [*photographs, *pictures.objects(data, kind)]
        return [every[i] for i in np.linspace(0, len(every) - 1, min(count, len(every))).astype(int)]

    return samples


def _lettered(kind: str) -> Callable[[Path, int], Sequence[Sample]]:
    return lambda data, count: [
        pictures.lettered(p, TEXT_SIDE) for p in pictures.spread(pictures.photographs(data, kind), count)
    ]


def _streets(split: str) -> Callable[[Path, int], Sequence[Sample]]:
    return lambda data, count: [pictures.labelled(p) for p in pictures.spread(pictures.streets(data, split), count)]


def _mixed(kind: str) -> Callable[[Path, int], Sequence[Sample]]:
    """Streets too: they hold many objects."""

    def samples(data: Path, count: int) -> Sequence[Sample]:
        streets = pictures.spread(pictures.streets(data, kind), count // 3)
        others = pictures.spread(pictures.photographs(data, kind), count - len(streets))
        return [pictures.plain(path) for path in (*streets, *others)]

    return samples


def subjects(data: Path) -> tuple[Subject, ...]:
    """All; those whose files are not here are skipped, and said to be."""
    rgb = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    return (
        Subject(
            "classifier (EfficientNet-Lite0)", _NETWORKS / "efficientnet-lite0.onnx", None,
            _scaled(224, [127.0] * 3, [128.0] * 3, bgr=False), _classified("train"), _classified("val"),
            judges.TopOne(), 1200, 1080,
        ),
        Subject(
            "detector (FastestDet)", data / "networks/FastestDet.onnx", None,
            _scaled(352, [0.0] * 3, [255.0] * 3, bgr=True), _mixed("train"), _mixed("val"), judges.Detections(), 450,
        ),
        Subject(
            "text (PP-OCRv4)", _NETWORKS / "ch_PP-OCRv4_det_infer.onnx", (1, 3, TEXT_SIDE, TEXT_SIDE),
            _scaled(TEXT_SIDE, [127.5] * 3, [127.5] * 3, bgr=True), _lettered("train"), _lettered("val"),
            judges.Lines(), 150,
        ),
        Subject(
            "street (this project's, mobile)", _NETWORKS / "street.onnx", None,
            lambda picture: picture[None], _streets("train"), _streets("val"), judges.MeanIou(), 101,
        ),
        Subject(
            "saliency (u2netp)", _NETWORKS / "u2netp.onnx", None, _scaled(320, *rgb, bgr=False),
            _photographs("train"), _photographs("val"), judges.MapIou(), 500, 45,
        ),
    )  # fmt: skip
