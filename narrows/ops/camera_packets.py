"""The camera's own encoder and coder without its uplink, for those who judge a bundle."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.wire import FrameIdentity
from narrows.models.evaluation.score import Encode


def camera(bundle: Bundle, level: int, encoder: Path) -> Encode:
    """A picture to a packet's bytes, as a camera at that rate level sends it."""
    network, coder = OnnxEncoder(bundle, path=encoder), FrameCoder(bundle)
    sequence = count()
    return lambda picture: coder.packet(
        network.latent(network.fit(picture)), level, FrameIdentity(1, next(sequence)), capture_ms=0
    ).to_bytes()
