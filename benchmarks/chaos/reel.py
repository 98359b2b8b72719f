"""Sample frames, encoded once, as packets of any camera, and the masks that belong to them: a load that costs little.

::

    position   0 1 2 3 4 5 6 7 | 8 9 … | 16 … 23 | 0 …
    kind       K P P P P P P P | K P … | K  …    | K …
    level      0               | 1     | 2       | 0
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from edge_client.encode.coding import FrameCoder
from edge_client.encode.encoder import OnnxEncoder
from narrows.contract.bundle import Bundle
from narrows.contract.wire import FeaturePacket, FrameIdentity
from narrows.models.evaluation.in_process import InProcessDecoder
from narrows.runtime.pictures import read_picture

CHAIN, _CHAINS = 8, 3
_NEVER_S = 1e9


@dataclass(frozen=True)
class Reel:
    """Packets, to be sent in order and begun at a multiple of :data:`CHAIN`, and what each decodes to here.

    Attributes:
        packets: a K and the P packets after it, a chain for each rate level in turn.
        labels: ``(H, W)`` uint8 of each, by the bundle's own decoder in this process.
    """

    packets: tuple[FeaturePacket, ...]
    labels: tuple[NDArray[np.uint8], ...]

    @classmethod
    def encode(cls, bundle: Bundle, pictures: Path, most: int = 6) -> Reel:
        """Encode the first pictures of a folder, over and over."""
        encoder, coder = OnnxEncoder(bundle), FrameCoder(bundle, key_period_s=_NEVER_S)
        latents = [encoder.latent(encoder.fit(read_picture(path))) for path in sorted(pictures.glob("*.jpg"))[:most]]
        levels = len(bundle.manifest.levels)
        packets = tuple(
            coder.packet(
                latents[n % len(latents)], n // CHAIN % levels, FrameIdentity(0, n), 0, key_wanted=n % CHAIN == 0
            )
            for n in range(CHAIN * _CHAINS)
        )
        return cls(packets, tuple(InProcessDecoder(bundle)(packet.to_bytes() for packet in packets)))

    def packet(self, position: int, identity: FrameIdentity, capture_ms: int) -> bytes:
        """The bytes of a camera's frame."""
        frame = self.packets[position % len(self.packets)]
        return replace(frame, epoch=identity.epoch, sequence=identity.sequence, capture_ms=capture_ms).to_bytes()

    def shows(self, position: int, labels: NDArray[np.uint8]) -> bool:
        """Whether a label map is that of the frame at a position, pixel by pixel."""
        return np.array_equal(labels, self.labels[position % len(self.labels)])
