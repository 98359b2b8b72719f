"""Each way to send a frame, tried on this device with a bundle and some pictures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean, median
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.coding import symbols_of
from edge_client.encode.encoder import OnnxEncoder
from edge_client.encode.packet_sizes import FRAMING_BYTES
from edge_client.masks.camera_decoder import OnnxCameraDecoder
from edge_client.masks.coding import MaskCoder
from narrows.contract.bundle import Bundle
from narrows.contract.codec import encode_symbols
from narrows.contract.outputs.labels.scaling import DIVISORS
from narrows.contract.wire import Sends

Picture = NDArray[np.uint8]
Latent = NDArray[np.float32]
A = TypeVar("A")
B = TypeVar("B")
MASK_LEVEL = 0
"""What a camera's own mask is made of: no symbols travel, so the finest."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to send a frame.

    Attributes:
        sends: features, or the camera's own mask.
        choice: the rate level, or what a mask's sides are divided by.
        device_s: encoder, decoder and coder, the median frame.
        frame_bytes: on the link, headers of the packet and of Redis' protocol, TLS and TCP included; the mean.
    """

    sends: Sends
    choice: int
    device_s: float
    frame_bytes: float

    @property
    def name(self) -> str:
        """As people say it."""
        if self.sends is Sends.FEATURES:
            return f"features, level {self.choice}"
        return "masks" if self.choice == 1 else f"masks at 1/{self.choice}"


def measure(
    bundle: Bundle,
    pictures: Sequence[Picture],
    *,
    threads: int,
    tried: Callable[[str], None],
    encoder_s: float | None = None,
) -> list[Way]:
    """Features at each level, and masks at each size where the bundle has a camera decoder.

    Every frame is coded for itself (K): P packets of features are smaller where little moves.

    Args:
        bundle: what the camera runs.
        pictures: at least one, ``(H, W, 3)`` uint8 RGB.
        threads: of ONNX Runtime.
        tried: hears of each way before it is tried.
        encoder_s: what the encoder takes on another device; all times are then those of here in that proportion.

    Raises:
        EncoderError: ONNX Runtime is missing or refuses a network.
    """
    tried("the encoder")
    network = OnnxEncoder(bundle, threads=threads)
    _encode(network, pictures[0])  # the first frame pays for what is set up
    latents, took_s = _timed(partial(_encode, network), pictures)
    try_way = partial(_way, encoder_s=median(took_s), latents=latents)
    found = []
    for level in range(len(bundle.manifest.levels)):
        tried(f"features at level {level}")
        found.append(try_way(Sends.FEATURES, level, partial(_features, bundle, level)))
    if bundle.has_camera_decoder and bundle.camera_decoder_path.is_file():
        decoder = OnnxCameraDecoder(bundle, threads)
        for divisor in DIVISORS:
            tried(f"masks at 1/{divisor}")
            payload_of = partial(_mask, MaskCoder(bundle, decoder, MASK_LEVEL, divisor))
            payload_of(latents[0])
            found.append(try_way(Sends.MASKS, divisor, payload_of))
    slower = 1.0 if encoder_s is None else encoder_s / median(took_s)
    return [replace(way, device_s=way.device_s * slower) for way in found]


def _encode(network: OnnxEncoder, picture: Picture) -> Latent:
    return network.latent(network.fit(picture))


def _features(bundle: Bundle, level: int, latent: Latent) -> bytes:
    return encode_symbols(symbols_of(bundle, latent, level), bundle.tables, level)


def _mask(coder: MaskCoder, latent: Latent) -> bytes:
    return coder.make(latent).payload


def _way(
    sends: Sends, choice: int, payload_of: Callable[[Latent], bytes], *, encoder_s: float, latents: Sequence[Latent]
) -> Way:
    payloads, took_s = _timed(payload_of, latents)
    mean_bytes = fmean(len(payload) for payload in payloads)
    return Way(sends, choice, encoder_s + median(took_s), mean_bytes + FRAMING_BYTES)


def _timed(work: Callable[[A], B], on: Sequence[A]) -> tuple[list[B], list[float]]:
    """What ``work`` makes of each, and the seconds that each took."""
    found, took_s = [], []
    for each in on:
        begun_s = time.perf_counter()
        found.append(work(each))
        took_s.append(time.perf_counter() - begun_s)
    return found, took_s
