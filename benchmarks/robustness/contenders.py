"""What a bad picture becomes by each way: features, a mask made at the camera, or a picture of as many bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.camera_masks import BESIDE_BYTES
from benchmarks.rate.codecs import AVIF, Coded, Setting, bits_of
from edge_client.encode.encoder import OnnxEncoder
from edge_client.masks.camera_decoder import OnnxCameraDecoder
from edge_client.masks.coding import MaskCoder
from narrows.contract.bundle import Bundle
from narrows.models.evaluation.in_process import InProcessDecoder
from narrows.ops.camera_packets import camera

Labels = NDArray[np.uint8]
Picture = NDArray[np.uint8]
FINEST = 0
PICTURE_SCALES, PICTURE_QUALITIES = (0.35, 0.5, 0.75), (0, 8, 16, 28, 45, 60)


@dataclass(frozen=True)
class Answer:
    """Masks ``(H, W)`` uint8 of some pictures, and the bits that travelled for all of them."""

    masks: list[Labels]
    bits: int


class Judge:
    """A bundle's network behind each of the ways."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._decode = InProcessDecoder(bundle)
        self._encoder = OnnxEncoder(bundle)
        self._masks = MaskCoder(bundle, OnnxCameraDecoder(bundle), FINEST, scale=1)
        exact = bundle.float_encoder_path
        self._cloud_encoder = exact if exact.is_file() else bundle.encoder_path

    def features(self, pictures: Sequence[Picture], level: int) -> Answer:
        """Whole packets of one level."""
        encode = camera(self.bundle, level, self.bundle.encoder_path)
        packets = [encode(picture) for picture in pictures]
        return Answer(list(self._decode(packets)), sum(8 * len(packet) for packet in packets))

    def camera_masks(self, pictures: Sequence[Picture]) -> Answer:
        """The mask that a camera makes from the finest level, as it codes it."""
        made = [self._masks.make(self._encoder.latent(self._encoder.fit(picture))) for picture in pictures]
        return Answer([mask.labels for mask in made], sum(8 * (len(mask.payload) + BESIDE_BYTES) for mask in made))

    def pictures(self, pictures: Sequence[Picture], least_bits: int) -> list[Answer]:
        """AVIF at some scales, each at its first quality of at least so many bits; the product's network."""
        encode = camera(self.bundle, FINEST, self._cloud_encoder)
        found = []
        for scale in PICTURE_SCALES:
            coded = _of_at_least(least_bits, pictures, scale)
            found.append(Answer(list(self._decode(encode(each.picture) for each in coded)), _bits(coded)))
        return found


def _of_at_least(least_bits: int, pictures: Sequence[Picture], scale: float) -> list[Coded]:
    for quality in PICTURE_QUALITIES:
        coded = [AVIF.code(picture, Setting(scale, quality)) for picture in pictures]
        if _bits(coded) >= least_bits:
            break
    return coded


def _bits(coded: Sequence[Coded]) -> int:
    return sum(bits_of(each.size_bytes) for each in coded)
