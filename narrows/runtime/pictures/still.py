"""A still picture, as a viewer shows it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from narrows.contract.errors import PictureError
from narrows.runtime.pictures.colours import srgb_pixels
from narrows.runtime.pictures.orientation import exif_orientation

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Files that count as pictures, whatever the case of their letters."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
_ANIMATED = {"PNG", "WEBP"}  # in an MPO, as phones write it, the pictures behind the first are views of the same


def read_picture(source: Path | bytes, name: str | None = None) -> NDArray[np.uint8]:
    """A file's picture, or that of a file's bytes: ``(H, W, 3)`` uint8 sRGB, upright.

    Args:
        source: where the file lies, or what it holds.
        name: what errors call it; the path unless it is given.

    Raises:
        PictureError: it cannot be read, or not shown faithfully; the message names it and says why.
    """
    with opened(source, name) as image:
        orientation = exif_orientation(image)
        return orientation.upright(srgb_pixels(image))


@contextmanager
def opened(source: Path | bytes, name: str | None = None) -> Iterator[Image.Image]:
    """A file's one picture, decoded whole. What goes wrong within is raised under the file's name.

    Raises:
        PictureError: it is missing, broken, cut short, animated, or larger than Pillow's bound on decompression.
    """
    called = name or (str(source) if isinstance(source, Path) else "the picture")
    file = source if isinstance(source, Path) else io.BytesIO(source)
    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise PictureError(f"{called} is no file")  # whoever opens a pipe waits for its other end
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_FORMATS) as image:  # noqa: TID251 -- the one door itself
                _refuse_animation(image)
                image.load()
                yield image
    except PictureError as error:
        raise PictureError(f"{called}: {error}") from None
    except FileNotFoundError:
        raise PictureError(f"{called} is missing") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureError(
            f"{called} has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels: scale it down first"
        ) from None
    except UnidentifiedImageError:
        raise PictureError(f"{called} is no picture of a kind that is read: {', '.join(PICTURE_SUFFIXES)}") from None
    except Exception as error:  # noqa: BLE001 -- Pillow's decoders raise whatever a damaged file leads them to
        raise PictureError(f"{called} cannot be read as a picture: {error}") from None


def _refuse_animation(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if image.format in _ANIMATED and frames > 1:
        raise PictureError(f"an animation of {frames} pictures: give them one by one, or as a video")
