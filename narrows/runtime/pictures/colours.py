"""Pixels of any mode into 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from narrows.contract.errors import PictureError

_SAME_WITHIN = 2
_GREY_16 = {"I;16", "I;16L", "I;16B", "I;16N"}
_DIRECT = {"1", "L", "P", "RGB"}
_WITH_ALPHA = {"LA", "PA", "RGBA"}


def srgb_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """A decoded picture as ``(H, W, 3)`` uint8 sRGB, not turned.

    Of 16 bits a sample the upper 8 are kept. An ICC profile is followed; one that cannot be read is passed over, as
    viewers do, except where the pixels mean nothing without it (CMYK).

    Raises:
        PictureError: its mode has no one meaning in sRGB, or it is transparent where nothing is behind it.
    """
    flat = _flat(image)
    profile = image.info.get("icc_profile")
    transform = _to_srgb(profile, flat.mode) if isinstance(profile, bytes) and profile else None
    if flat.mode == "CMYK" and transform is None:
        raise PictureError("CMYK without a colour profile that can be read: convert it to RGB first")
    shown = flat.convert("RGB") if transform is None else ImageCms.applyTransform(flat, transform)
    return np.asarray(shown, dtype=np.uint8)


def opaque(image: Image.Image) -> bool:
    """Whether no pixel lets through what is behind it."""
    if not image.has_transparency_data:
        return True
    return image.convert("RGBA").getchannel("A").getextrema()[0] == 255


def _flat(image: Image.Image) -> Image.Image:
    """The same in mode L, RGB or CMYK."""
    if image.mode in _GREY_16:
        return _upper_byte(image)
    if image.mode == "CMYK":
        return image
    if image.mode not in _DIRECT | _WITH_ALPHA:
        raise PictureError(
            f"its pixels are of mode {image.mode}, which has no one meaning in 8-bit RGB: convert it first"
        )
    if not opaque(image):
        raise PictureError("some of it is transparent, and nothing says what is behind: flatten it first")
    return image.convert("L" if image.mode in {"1", "L", "LA"} else "RGB")


def _upper_byte(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.uint16)
    clear = image.info.get("transparency")
    if clear is not None and (values == clear).any():
        raise PictureError("some of it is transparent, and nothing says what is behind: flatten it first")
    return Image.fromarray((values >> 8).astype(np.uint8))


@lru_cache(maxsize=8)
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """From an ICC profile to sRGB; ``None`` if there is nothing to do, or the profile is not one for this mode."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB", intent, flags)
        if mode != "CMYK" and _changes_nothing(transform, mode):
            return None
    except (ImageCms.PyCMSError, ImportError, OSError, ValueError):
        return None
    return transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a lattice of colours stays what it is: most profiles are sRGB's own, under many names."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
    probe = Image.fromarray(lattice).convert(mode)
    after = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
    return bool(np.abs(after - np.asarray(probe.convert("RGB"), np.int16)).max() <= _SAME_WITHIN)
