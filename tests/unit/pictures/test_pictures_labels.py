"""A label file's values come out as they stand, or the file is refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.contract.errors import PictureError
from narrows.runtime.pictures import read_labels

LABELS = np.arange(24, dtype=np.uint8).reshape(4, 6)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "16 bit"])
def test_grey_values_and_palette_indices_are_labels(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(LABELS.astype(np.uint16)) if mode == "16 bit" else Image.fromarray(LABELS)
    if mode == "P":
        image.putpalette([200, 10, 10, 10, 10, 200] * 128)
    elif mode == "RGB":
        image = image.convert("RGB")
    image.save(tmp_path / "labels.png")
    assert np.array_equal(read_labels(tmp_path / "labels.png"), LABELS)


def test_a_label_file_is_turned_as_its_exif_says_and_not_resampled(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(LABELS))).save(tmp_path / "labels.png", exif=exif)
    assert np.array_equal(read_labels(tmp_path / "labels.png"), LABELS)


def refused(path: Path, image: Image.Image, why: str) -> None:
    image.save(path)
    with pytest.raises(PictureError, match=f"{path.name}: {why}"):
        read_labels(path)


def test_what_holds_no_label_a_pixel_is_refused(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    refused(tmp_path / "a.png", Image.fromarray(colours), "it is in colours")
    refused(tmp_path / "b.jpg", Image.fromarray(LABELS), "JPEG blurs labels")
    refused(tmp_path / "c.png", Image.fromarray(LABELS.astype(np.uint16) * 257), "it has value 5911")
    refused(tmp_path / "d.png", Image.fromarray(LABELS > 3), "1 bit a pixel")
    refused(tmp_path / "e.png", Image.fromarray(np.dstack([LABELS, LABELS])), "some of it is transparent")
