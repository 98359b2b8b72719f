"""A camera's own mask: decoded here, and published as it is. It takes no place in a batch and needs no server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import decode_labels, label_digest
from orchestrator.dispatch.digests import check_digest
from orchestrator.dispatch.sections import CodedMask
from orchestrator.dispatch.workers import Workers

_PIXELS_A_BYTE = 96
"""A byte of a ragged mask takes as long to decode as so many pixels of a smooth one, which costs hardly a bit."""


@dataclass(frozen=True, slots=True)
class CameraMask:
    """A camera's mask ``(H, W)`` uint8, and how it was coded."""

    labels: NDArray[np.uint8]
    coded: CodedMask


async def decode_mask(coded: CodedMask, workers: Workers) -> CameraMask:
    """The mask. Its size is its bundle's, so no payload decides how much is allocated.

    Raises:
        PayloadUndecodable: the payload is no label map of this size.
        DigestMismatch: it is another than the camera coded.
    """
    height, width = coded.shape
    work = height * width + _PIXELS_A_BYTE * len(coded.section.payload)
    return await workers.on_pixels(work, partial(_decode_checked, coded))


def _decode_checked(coded: CodedMask) -> CameraMask:
    labels = decode_labels(coded.section.payload, coded.shape, coded.labels, coded.tables)
    check_digest(coded.section, label_digest(labels), "labels")
    return CameraMask(labels, coded)
