"""A mask's way back to the size of the picture that it was made from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def labels_at_source_size(labels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """A label map at the size of its source: ``(h, w)`` to ``(height, width)`` uint8, each pixel the label it lies on.

    A camera scales each side of its upright picture on its own to the bundle's size, without bars or crop. So a source
    pixel's centre (x + 1/2, y + 1/2) lies in the map at ((x + 1/2) w / width, (y + 1/2) h / height). Labels are
    repeated or left out, never mixed: none comes out that did not go in.

    Args:
        labels: as in :attr:`narrows.contract.wire.MaskPacket.labels`.
        width: of the upright source, pixels.
        height: likewise.

    Raises:
        ValueError: a side is 0 or less, or ``labels`` has not two dimensions or no pixel.

    Example::

        full = narrows.labels_at_source_size(outcome.labels, 1920, 1080)
        picture[full == PERSON] = 255
    """
    if labels.ndim != 2 or not labels.size:
        raise ValueError(f"labels are (h, w) with a pixel at least, not of shape {labels.shape}")
    if width < 1 or height < 1:
        raise ValueError(f"a source has a pixel at least, not {width} x {height}")
    rows, columns = _centres(height, labels.shape[0]), _centres(width, labels.shape[1])
    return labels[rows[:, np.newaxis], columns]


def _centres(there: int, here: int) -> NDArray[np.int64]:
    """The index among ``here`` cells in which the centre of each of ``there`` lies, in whole numbers throughout."""
    found: NDArray[np.int64] = (2 * np.arange(there, dtype=np.int64) + 1) * here // (2 * there)
    return found
