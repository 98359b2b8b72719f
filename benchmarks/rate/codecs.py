"""Picture codecs as rivals: a picture at some scale and quality, its bytes without the container, and what comes out.

What is left out of the count favours the rival: RIFF and ISO boxes, JPEG's quantisation tables (a quality names
them) and its Huffman tables where the standard's are used. What every frame needs is added by
:func:`bits_of`: our packet header, for a picture needs a stream, a sequence and a time as much as symbols do.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.rate.plan import SCALES
from narrows.contract.wire.feature import HEADER_BYTES

Picture = NDArray[np.uint8]
_WEBP_CONTAINER = 20  # "RIFF", size, "WEBP", "VP8 ", size
_ISO_BOX = struct.Struct(">I4s")
_ISO_WIDE = struct.Struct(">Q")


@dataclass(frozen=True)
class Setting:
    """How far a picture is scaled down before it is coded, and the codec's own quality."""

    scale: float
    quality: int


@dataclass(frozen=True)
class Coded:
    """Payload bytes of a frame and the picture ``(H, W, 3)`` uint8 that the cloud sees, scaled back up."""

    size_bytes: int
    picture: Picture


@dataclass(frozen=True)
class PictureCodec:
    """A still-picture codec; ``payload`` codes an image to a file and the bytes of it that count."""

    name: str
    label: str
    qualities: tuple[int, ...]
    payload: Callable[[Image.Image, int], tuple[bytes, int]]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every scale with every quality."""
        return tuple(Setting(scale, quality) for scale in SCALES for quality in self.qualities)

    def code(self, picture: Picture, setting: Setting) -> Coded:
        """One picture through the codec."""
        file, size_bytes = self.payload(scaled_down(picture, setting.scale), setting.quality)
        decoded = Image.open(io.BytesIO(file))  # noqa: TID251 -- coded a moment before
        return Coded(size_bytes, scaled_up(decoded, picture.shape))


def scaled_down(picture: Picture, scale: float) -> Image.Image:
    """Lanczos; even sides, as video wants them."""
    image = Image.fromarray(picture)
    if scale == 1.0:
        return image
    width, height = (2 * round(side * scale / 2) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def scaled_up(image: Image.Image, shape: tuple[int, ...]) -> Picture:
    """To ``(H, W, 3)``, bicubic."""
    size = (shape[1], shape[0])
    whole = image.convert("RGB")
    return np.asarray(whole if whole.size == size else whole.resize(size, Image.Resampling.BICUBIC))


def bits_of(payload_bytes: int) -> int:
    """A frame's bits with the header that names stream, sequence and time."""
    return 8 * (HEADER_BYTES + payload_bytes)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _jpeg(image: Image.Image, quality: int) -> tuple[bytes, int]:
    """The smallest of: the standard's Huffman tables, ones of its own, progressive."""
    plain = _saved(image, "JPEG", quality=quality)
    fitted = _saved(image, "JPEG", quality=quality, optimize=True)
    progressive = _saved(image, "JPEG", quality=quality, progressive=True)
    choices = [(_jpeg_bytes(plain, tables=False), plain)]
    choices += [(_jpeg_bytes(file, tables=True), file) for file in (fitted, progressive)]
    size_bytes, file = min(choices, key=lambda choice: choice[0])
    return file, size_bytes


def _jpeg_bytes(file: bytes, *, tables: bool) -> int:
    """Scans with their headers, and the Huffman tables where they are not the standard's."""
    counted, at = 0, 2
    while file[at + 1] != 0xD9:
        marker, length = file[at + 1], struct.unpack_from(">H", file, at + 2)[0]
        if marker == 0xDA:
            end = _end_of_scan(file, at + 2 + length)
            counted += end - at
            at = end
        else:
            counted += length + 2 if tables and marker == 0xC4 else 0
            at += 2 + length
    return counted


def _end_of_scan(file: bytes, at: int) -> int:
    while True:
        at = file.index(b"\xff", at)
        if file[at + 1] != 0 and not 0xD0 <= file[at + 1] <= 0xD7:
            return at
        at += 2


def _webp(image: Image.Image, quality: int) -> tuple[bytes, int]:
    file = _saved(image, "WEBP", quality=quality, method=6)
    return file, len(file) - _WEBP_CONTAINER


def _avif(image: Image.Image, quality: int) -> tuple[bytes, int]:
    file = _saved(image, "AVIF", quality=quality, speed=5)
    return file, media_bytes(file)


def media_bytes(file: bytes) -> int:
    """What the ``mdat`` boxes of an ISO file hold.

    Raises:
        ValueError: it has none.
    """
    at = counted = 0
    while at < len(file):
        size, kind = _ISO_BOX.unpack_from(file, at)
        head = _ISO_BOX.size
        if size == 1:
            size, head = _ISO_WIDE.unpack_from(file, at + head)[0], head + _ISO_WIDE.size
        size = size or len(file) - at
        counted += size - head if kind == b"mdat" else 0
        at += size
    if not counted:
        raise ValueError("an AVIF file without an mdat box")
    return counted


JPEG = PictureCodec("jpeg", "JPEG", (5, 20, 60), _jpeg)
WEBP = PictureCodec("webp", "WebP", (0, 20, 60), _webp)
AVIF = PictureCodec("avif", "AVIF", (10, 30, 55), _avif)
STILLS = (JPEG, WEBP, AVIF)
