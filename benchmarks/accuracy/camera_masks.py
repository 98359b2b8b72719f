"""Masks that the camera makes itself: accuracy and bits by size, through its own decoder and the label-map coder."""

from __future__ import annotations

from typing import Any

from edge_client.encode.encoder import OnnxEncoder
from edge_client.masks.camera_decoder import OnnxCameraDecoder
from edge_client.masks.coding import MaskCoder
from narrows.contract.bundle import Bundle
from narrows.contract.outputs.labels.scaling import DIVISORS
from narrows.contract.wire.frame_packet.header import LEAST_PACKET_BYTES
from narrows.models.dataset import Samples
from narrows.models.evaluation import ConfusionMatrix
from narrows.runtime.pictures import labels_at_source_size

FINEST = 0
BESIDE_BYTES = LEAST_PACKET_BYTES - 1
"""Header, digest and CRC of a packet in a known context; contexts, which come every ten seconds, are not counted."""


def camera_masks(bundle: Bundle, data: Samples) -> list[dict[str, Any]]:
    """MIoU and bits per pixel of a split for each size of mask, blown up again by repeating labels."""
    encoder, decoder = OnnxEncoder(bundle), OnnxCameraDecoder(bundle)
    coders = {divisor: MaskCoder(bundle, decoder, FINEST, divisor) for divisor in DIVISORS}
    matrices = {divisor: ConfusionMatrix(len(data.classes.names), data.classes.ignore_index) for divisor in DIVISORS}
    sizes = dict.fromkeys(DIVISORS, 0)
    pixels = 0
    for sample in data:
        latent = encoder.latent(encoder.fit(sample.picture))
        pixels += sample.labels.size
        for divisor, coder in coders.items():
            mask = coder.make(latent)
            height, width = sample.labels.shape
            matrices[divisor].update(sample.labels, labels_at_source_size(mask.labels, width, height))
            sizes[divisor] += len(mask.payload) + BESIDE_BYTES
    return [
        {
            "divisor": divisor,
            "miou": round(matrices[divisor].miou, 5),
            "bits_per_pixel": round(8 * sizes[divisor] / pixels, 5),
        }
        for divisor in DIVISORS
    ]
