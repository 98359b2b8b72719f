"""What label maps could be packed with instead: sizes by coder, and those that are timed."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import zstandard
from PIL import Image

from benchmarks.codec.coder import Coder
from benchmarks.rate.labelmaps import CODERS, Labels
from narrows.contract.outputs.labels.packing import pack_labels, unpack_labels


def timed_rivals(masks: Sequence[Labels]) -> list[Coder]:
    """Today's packing, WebP, PNG and zstd, there and back."""
    shape = masks[0].shape
    squeeze, expand = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    return [
        Coder("today's packing", masks, pack_labels, lambda data: unpack_labels(data, *shape)),
        Coder("WebP lossless", masks, lambda m: _picture(m, "WEBP", lossless=True, quality=100, method=6), _labels),
        Coder("PNG", masks, lambda m: _picture(m, "PNG", optimize=True), _labels),
        Coder(
            "zstd -3",
            masks,
            lambda m: squeeze.compress(m.tobytes()),
            lambda data: np.frombuffer(expand.decompress(data), np.uint8).reshape(shape),
        ),
    ]


def size_coders() -> Mapping[str, Callable[[Labels], int]]:
    """Payload bytes by coder, containers left out where that is easy; JBIG and JPEG XL where their tools are there."""
    found = dict(CODERS)
    found["today's packing"] = found.pop("our mask packing")
    if shutil.which("pbmtojbg"):
        found["JBIG (bit planes)"] = _jbig
    if shutil.which("cjxl"):
        found["JPEG XL lossless"] = _jpeg_xl
    return found


def _jbig(labels: Labels) -> int:
    planes = max(1, int(labels.max()).bit_length())
    head = f"P5 {labels.shape[1]} {labels.shape[0]} {2**planes - 1}\n".encode()
    return len(
        subprocess.run(["pbmtojbg", "-q"], input=head + labels.tobytes(), capture_output=True, check=True).stdout
    )


def _jpeg_xl(labels: Labels) -> int:
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "mask.png"), Path(folder, "mask.jxl")
        Image.fromarray(labels).save(given)
        subprocess.run(["cjxl", given, made, "-d", "0", "-e", "7"], capture_output=True, check=True)
        return made.stat().st_size


def _picture(labels: Labels, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(labels)
    (image.convert("RGB") if file_format == "WEBP" else image).save(buffer, file_format, **options)
    return buffer.getvalue()


def _labels(data: bytes) -> Labels:
    image = np.asarray(Image.open(io.BytesIO(data)))  # noqa: TID251 -- coded a moment before
    return np.ascontiguousarray(image if image.ndim == 2 else image[..., 0])
