"""Sample frames, encoded once, as packets of any camera: the load costs next to nothing while it plays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edge_client.coding import FrameCoder
from edge_client.encoder import Encoder
from narrows.bundle import Bundle
from narrows.pictures import read_picture
from narrows.wire import FeaturePacket, FrameIdentity


@dataclass(frozen=True)
class Reel:
    """Packets that differ from those sent in identity and time alone."""

    packets: tuple[FeaturePacket, ...]

    @classmethod
    def encode(cls, bundle: Bundle, pictures: Path, most: int = 6) -> Reel:
        """Encode the first pictures of a folder, each at a rate level of its own in turn."""
        encoder, coder, levels = Encoder(bundle), FrameCoder(bundle), len(bundle.manifest.levels)
        latents = [encoder.latent(encoder.fit(read_picture(path))) for path in sorted(pictures.glob("*.jpg"))[:most]]
        return cls(tuple(coder.packet(each, n % levels, FrameIdentity(0, 0), 0) for n, each in enumerate(latents)))

    def packet(self, identity: FrameIdentity, capture_ms: int) -> bytes:
        """The bytes of a camera's frame."""
        frame = self.packets[identity.sequence % len(self.packets)]
        return replace(frame, epoch=identity.epoch, sequence=identity.sequence, capture_ms=capture_ms).to_bytes()
