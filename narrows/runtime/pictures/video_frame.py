"""A decoded frame of a video, as a player shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.errors import PictureError
from narrows.runtime.pictures.orientation import matrix_orientation

if TYPE_CHECKING:
    from av import VideoFrame

_HIGH_DYNAMIC_RANGE = {16: "PQ (SMPTE ST 2084)", 18: "HLG (ARIB STD-B67)"}
"""ITU-T H.273, table 3: transfer characteristics whose light no 8-bit sRGB holds without tone mapping."""


def frame_picture(frame: VideoFrame) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` uint8 RGB of a decoded frame, upright.

    Matrix, range and depth are followed as the stream states them; where it states none, BT.601 and limited range are
    meant, as in FFmpeg.

    Raises:
        PictureError: it is of high dynamic range, turned by no right angle, or of colours that nothing here converts.
    """
    if transfer := _HIGH_DYNAMIC_RANGE.get(int(frame.color_trc)):
        raise PictureError(f"it is of high dynamic range, {transfer}: have the camera give SDR, or tone-map the file")
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    orientation = matrix_orientation(None if matrix is None else bytes(matrix))
    try:
        stored = frame.to_ndarray(format="rgb24")
    except (OSError, ValueError) as error:
        raise PictureError(
            f"its colours cannot be converted ({frame.format.name}, matrix {int(frame.colorspace)} of H.273): {error}"
        ) from None
    return orientation.upright(stored.astype(np.uint8, copy=False))
