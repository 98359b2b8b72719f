"""The newest mask as two files of a folder, each replaced in one step: no reader sees half of one.

``mask.png`` has the labels as palette indices, in the bundle's colours; ``mask.json`` says what frame it is of. The PNG
carries the same JSON as its text ``narrows``, for who must be sure that both are of one frame. A folder in memory
(``/run``) spares a camera's flash.
"""

from __future__ import annotations

import json
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from narrows.contract.bundle import Bundle
from narrows.contract.errors import StateError
from narrows.contract.wire import FrameIdentity

_LOG = structlog.get_logger("edge.masks")
PICTURE, RECORD = "mask.png", "mask.json"
TEXT = "narrows"
_MODE = 0o666  # less the umask: the masks are for other users on site too
_COMPRESSION = 1
"""Of PNG: a quarter of the time of the usual 6, for a third more bytes."""


class LocalMaskFolder:
    """Writes to a folder, which is made if it is not there."""

    def __init__(self, folder: Path, stream: str, bundle: Bundle) -> None:
        """Look whether it can be written.

        Raises:
            StateError: it cannot.
        """
        self._folder, self._stream, self._bundle = folder, stream, bundle
        self._palette = [value for colour in bundle.manifest.palette for value in colour]
        self._failing = False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._write(PICTURE, b"")
            self._partial(PICTURE).unlink()
        except OSError as error:
            raise StateError(f"--local-masks {folder} cannot be written: {error.strerror}") from None

    def put(self, labels: NDArray[np.uint8], identity: FrameIdentity, capture_ms: int) -> None:
        """Replace both files. A disk that is full is told of once, until it takes them again."""
        record = self._record(labels, identity, capture_ms)
        try:
            self._write(PICTURE, self._picture(labels, record))
            self._partial(PICTURE).replace(self._folder / PICTURE)
            self._write(RECORD, f"{record}\n".encode())
            self._partial(RECORD).replace(self._folder / RECORD)
        except OSError as error:
            if not self._failing:
                _LOG.warning("local_mask_failed", place=str(self._folder), cause=error.strerror)
            self._failing = True
        else:
            self._failing = False

    def close(self) -> None:
        """The last mask stays."""

    def _write(self, name: str, data: bytes) -> None:
        """Write a new file beside the one that it will replace.

        Whatever another program put there under its name is removed, not followed nor waited for: in a folder that
        others may write to it may be a link to any of this user's files, or a pipe that nobody reads.
        """
        path = self._partial(name)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE), "wb") as file:
            file.write(data)

    def _picture(self, labels: NDArray[np.uint8], record: str) -> bytes:
        picture = Image.fromarray(labels)
        picture.putpalette(self._palette)
        info = PngInfo()
        info.add_text(TEXT, record)
        data = BytesIO()
        picture.save(data, "PNG", compress_level=_COMPRESSION, pnginfo=info)
        return data.getvalue()

    def _partial(self, name: str) -> Path:
        return self._folder / f".{name}.partial"

    def _record(self, labels: NDArray[np.uint8], identity: FrameIdentity, capture_ms: int) -> str:
        areas = np.bincount(labels.ravel(), minlength=len(self._bundle.manifest.classes)) / labels.size
        fields = {
            "stream": self._stream,
            "bundle": self._bundle.hex_id,
            "epoch": identity.epoch,
            "sequence": identity.sequence,
            "capture_ms": capture_ms,
            "width": labels.shape[1],
            "height": labels.shape[0],
            "areas": {
                name: round(float(area), 4)
                for name, area in zip(self._bundle.manifest.classes, areas, strict=False)
                if area
            },
        }
        return json.dumps(fields, separators=(",", ":"))
