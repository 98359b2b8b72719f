"""The camera's own encoder and coder without its uplink, for those who judge a bundle."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from edge_client.encode.split import Crossing, SplitCoder, SplitHead
from edge_client.encode.writing import written_alone
from narrows.contract.bundle import Bundle, SplitBundle
from narrows.contract.wire import FrameIdentity
from narrows.models.evaluation.score import Encode
from narrows.models.split.evaluation import Head


def camera(bundle: Bundle, level: int, encoder: Path) -> Encode:
    """A picture to a packet's bytes, as a camera at that rate level sends it."""
    network, coder = OnnxEncoder(bundle, path=encoder), FrameCoder(bundle)
    sequence = count()
    return lambda picture: coder.packet(
        network.latent(network.fit(picture)), level, FrameIdentity(1, next(sequence)), capture_ms=0
    ).to_bytes()


def split_camera(bundle: SplitBundle, cut: int, level: int) -> tuple[Head, Encode]:
    """A picture to what crosses at a cut, and to a packet's bytes, as a camera at that level sends it."""
    head, coder, sequence = SplitHead(bundle, cut=cut), SplitCoder(bundle), count()

    def crossing(picture: NDArray[np.uint8]) -> Crossing:
        return head.latent(head.fit(picture))

    def encode(picture: NDArray[np.uint8]) -> bytes:
        return written_alone(coder.packet(crossing(picture), level, FrameIdentity(1, next(sequence)), capture_ms=0))

    return lambda picture: crossing(picture).tensors, encode
