"""How stored pixels are turned to stand upright: EXIF's tag for stills, the display matrix for video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from narrows.contract.errors import PictureError

_ONE = 1 << 16
_ALMOST_NOTHING = _ONE // 100


@dataclass(frozen=True, slots=True)
class Orientation:
    """Rows and columns exchanged, then columns mirrored, then rows: all that a turn by right angles can be."""

    transposed: bool = False
    columns_mirrored: bool = False
    rows_mirrored: bool = False

    def upright(self, stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixels ``(H, W, ...)`` turned; none is resampled."""
        turned = stored.swapaxes(0, 1) if self.transposed else stored
        if self.columns_mirrored:
            turned = turned[:, ::-1]
        if self.rows_mirrored:
            turned = turned[::-1]
        return np.ascontiguousarray(turned)


_BY_EXIF = {
    2: Orientation(columns_mirrored=True),
    3: Orientation(columns_mirrored=True, rows_mirrored=True),
    4: Orientation(rows_mirrored=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, columns_mirrored=True),
    7: Orientation(transposed=True, columns_mirrored=True, rows_mirrored=True),
    8: Orientation(transposed=True, rows_mirrored=True),
}
"""CIPA DC-008 (Exif 2.32), 4.6.4: tag 274; any other value is 1, upright."""


def exif_orientation(image: Image.Image) -> Orientation:
    """What a still's EXIF block, or its XMP, says; upright where there is none that can be read, as in every viewer."""
    try:
        tag = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # noqa: BLE001 -- Pillow's readers of damaged blocks raise whatever they run into
        return Orientation()
    return _BY_EXIF.get(tag, Orientation()) if isinstance(tag, int) else Orientation()


def matrix_orientation(matrix: bytes | None) -> Orientation:
    """What a display matrix says: nine native int32, ``a b u c d v x y w`` of libavutil's ``display.h``.

    A stored pixel (x, y) is shown at (ax + cy, bx + dy), columns to the right and rows down.

    Raises:
        PictureError: it turns by something else than right angles.
    """
    if matrix is None:
        return Orientation()
    if len(matrix) != 36:
        raise PictureError(f"its display matrix has {len(matrix)} bytes instead of 36")
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(matrix, np.int32))
    if max(map(abs, (a, b, c, d))) <= _ALMOST_NOTHING:
        return Orientation()  # no turn was written
    if max(abs(b), abs(c)) <= _ALMOST_NOTHING and a and d:
        return Orientation(columns_mirrored=a < 0, rows_mirrored=d < 0)
    if max(abs(a), abs(d)) <= _ALMOST_NOTHING and b and c:
        return Orientation(transposed=True, columns_mirrored=c < 0, rows_mirrored=b < 0)
    raise PictureError("its display matrix turns it by something else than right angles")
