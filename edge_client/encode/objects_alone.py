"""In the place of encoder and coder at a camera that sends what it outlines and nothing else.

A sensor has memory for one network: neither the bundle's encoder nor its tables are loaded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_client.encode.sections import SectionedFrame
from narrows.contract.wire import FrameIdentity


class NoEncoder:
    """Runs no network."""

    def fit(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture as it is."""
        return picture

    def latent(self, picture: NDArray[np.uint8]) -> tuple[()]:
        """Nothing."""
        del picture
        return ()


class ObjectsCoder:
    """Frames without a section of their own: what was outlined is written behind it, see ``PacketWriter``."""

    def __init__(self, bundle_id: int) -> None:
        """``bundle_id``: that the stream is served by; another bundle is a canary here, too."""
        self._bundle_id = bundle_id

    def packet(
        self,
        latent: tuple[()],
        level: int,
        identity: FrameIdentity,
        capture_ms: int,
        now_s: float = 0.0,
        *,
        key_wanted: bool = False,
    ) -> SectionedFrame:
        """The frame; it decodes alone."""
        del latent, level, now_s, key_wanted
        return SectionedFrame(self._bundle_id, identity, capture_ms, (), ())
