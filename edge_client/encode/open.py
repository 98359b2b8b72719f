"""The network and the coder that a bundle's cameras run."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from edge_client.encode.sections import SectionedFrame
from edge_client.encode.split import SplitCoder, SplitHead
from narrows.contract.bundle import AnyBundle, SplitBundle
from narrows.contract.wire import FeaturePacket, FrameIdentity

DEFAULT_BITS_PER_PIXEL = 0.1


class Encoder(Protocol):
    """Pictures to what crosses the uplink: a bundle's encoder, or the head of a split network."""

    def fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture at the bundle's size."""
        ...

    def latent(self, picture: NDArray[np.uint8]) -> Any:  # noqa: ANN401 -- what its own coder takes
        """What the coder that was opened with it takes."""
        ...


class Coder(Protocol):
    """What crosses to what a packet holds."""

    def packet(
        self,
        latent: Any,  # noqa: ANN401 -- what its own encoder gives
        level: int,
        identity: FrameIdentity,
        capture_ms: int,
        now_s: float = 0.0,
        *,
        key_wanted: bool = False,
    ) -> FeaturePacket | SectionedFrame:
        """See :meth:`FrameCoder.packet`."""
        ...


def open_encoder(
    bundle: AnyBundle, threads: int, key_period_s: float = 0.0, *, plans: bool = False
) -> tuple[Encoder, Coder]:
    """Both, of either sort of bundle; ``plans``: a split network's cut is chosen while it runs, so any head will do.

    Raises:
        EncoderError: ONNX Runtime is missing or refuses the network, or it is not the manifest's.
    """
    if isinstance(bundle, SplitBundle):
        return SplitHead.any_of(bundle, threads) if plans else SplitHead(bundle, threads), SplitCoder(bundle)
    return OnnxEncoder(bundle, threads), FrameCoder(bundle, key_period_s)


def default_level(bundle: AnyBundle) -> int:
    """The level of a camera that was told none: what calibration chose, or the finest within 0.1 bits a pixel."""
    if isinstance(bundle, SplitBundle):
        return bundle.manifest.default_level
    return bundle.manifest.finest_level_within(DEFAULT_BITS_PER_PIXEL)
