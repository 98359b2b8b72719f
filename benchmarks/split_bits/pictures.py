"""Pictures that suit each network: photographs, streets with labels, and lines of text drawn on photographs."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from narrows.runtime.pictures import read_picture

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]
_LEAST_SIDE = 48
_FONTS = Path("/usr/share/fonts/truetype/dejavu")
_WORDS = ("camera", "cloud", "exit", "24", "platform", "open", "street", "market", "1987", "hotel", "parking", "north")


@dataclass(frozen=True)
class Sample:
    """A picture, and what is known of it: label map, or boxes of the lines drawn on it."""

    picture: Picture
    labels: Picture | None = None
    lines: tuple[Box, ...] = ()


def photographs(data: Path, kind: str) -> list[Path]:
    """Paths for calibration (``train``), or to judge on (``val``): no picture is in both."""
    regions = sorted((data / "regions/images/train").glob("*.jpg"))
    cars = sorted((data / "car_parts/trainingset/images").glob("*"))
    if kind == "train":
        return [*regions[::2], *cars[::8]]
    kept = regions[1::2]
    coco = sorted((data / "coco_panoptic/images").rglob("*.jpg"))
    return [*coco, *sorted((data / "regions/images/val").glob("*.jpg")), *kept, *cars[1::2]]


def further_cars(data: Path, kind: str) -> list[Path]:
    """Photographs of cars that are in neither of the above; to judge on alone, where 500 positives need them."""
    cars = sorted((data / "car_parts/trainingset/images").glob("*"))
    unused = [path for place, path in enumerate(cars) if place % 2 == 0 and place % 8]
    return [] if kind == "train" else [*unused, *sorted((data / "car_parts/testset/images").glob("*"))]


def objects(data: Path, kind: str) -> Sequence[Sample]:
    """The segments of COCO's panoptic pictures that are large enough, each cut out with a tenth around it.

    Those of every second picture are for calibration (``train``).
    """
    listed = json.loads((data / "coco_panoptic/annotations/panoptic_train2017.json").read_text())["annotations"]
    files = {path.stem: path for path in (data / "coco_panoptic/images").rglob("*.jpg")}
    found = []
    for each in listed[kind == "train" :: 2]:
        picture = read_picture(files[Path(each["file_name"]).stem])
        for x, y, width, height in (segment["bbox"] for segment in each["segments_info"]):
            if min(width, height) >= _LEAST_SIDE:
                left, top = max(0, x - width // 10), max(0, y - height // 10)
                found.append(Sample(picture[top : y + height + height // 10, left : x + width + width // 10]))
    return found


def streets(data: Path, split: str) -> list[Path]:
    """CamVid's pictures of a split."""
    return sorted(path for path in (data / "camvid/images" / split).iterdir() if path.suffix in {".jpg", ".png"})


def spread(paths: Sequence[Path], count: int) -> list[Path]:
    """So many, evenly."""
    return [paths[i] for i in np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)]


def plain(path: Path) -> Sample:
    return Sample(read_picture(path))


def labelled(path: Path) -> Sample:
    labels = path.parents[2] / "labels" / path.parent.name / f"{path.stem}.png"
    return Sample(read_picture(path), np.asarray(Image.fromarray(np.asarray(_open_labels(labels)))))


def _open_labels(path: Path) -> Picture:
    from narrows.runtime.pictures import read_labels  # noqa: PLC0415

    return read_labels(path)


def lettered(path: Path, side: int) -> Sample:
    """A photograph of ``side`` by ``side`` with three to six lines of text at random places, not over one another."""
    chance = random.Random(path.name)
    canvas = Image.fromarray(read_picture(path)).resize((side, side))
    draw = ImageDraw.Draw(canvas)
    lines: list[Box] = []
    fonts = sorted(_FONTS.glob("*.ttf"))
    for _ in range(chance.randint(3, 6)):
        font = ImageFont.truetype(str(chance.choice(fonts)), chance.randint(16, 36))
        text = " ".join(chance.choices(_WORDS, k=chance.randint(1, 3)))
        width, height = (int(each) for each in draw.textbbox((0, 0), text, font=font)[2:])
        x, y = chance.randint(4, max(5, side - width - 4)), chance.randint(4, side - height - 4)
        box = (x, y, min(side, x + width), y + height)
        if any(box[0] < b[2] + 8 and b[0] < box[2] + 8 and box[1] < b[3] + 8 and b[1] < box[3] + 8 for b in lines):
            continue
        light = np.asarray(canvas)[y : y + height, x : x + width].mean() > 127
        draw.text((x, y), text, fill=(10, 10, 10) if light else (245, 245, 245), font=font)
        lines.append(box)
    return Sample(np.asarray(canvas), lines=tuple(lines))
