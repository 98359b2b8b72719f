"""A coded frame that only packet format 2 carries: sections beside or in place of one latent."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.contract.wire import FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import FramePacket, PacketContext, Section, SectionLayout
from narrows.contract.wire.frame_packet.feature import Origin
from narrows.contract.wire.frame_packet.header import FrameHead


@dataclass(frozen=True, slots=True)
class SectionedFrame:
    """A frame that decodes alone (K), with what its context says of its sections."""

    bundle_id: int
    identity: FrameIdentity
    capture_ms: int
    layouts: tuple[SectionLayout, ...]
    sections: tuple[Section, ...]
    cut: int = 0

    def beginning(self, origin: Origin) -> PacketContext:
        """The context that begins with it."""
        return PacketContext(
            bundle_id=self.bundle_id,
            epoch=self.identity.epoch,
            sequence=self.identity.sequence,
            capture_ms=self.capture_ms,
            sections=self.layouts,
            cut=self.cut,
            cipher=origin.cipher,
            key_id=origin.key_id,
            source_width=origin.source_width,
            source_height=origin.source_height,
            orientation=origin.orientation,
        )

    def within(self, context: PacketContext) -> FramePacket:
        """The packet, in a context that lays out the same sections."""
        head = FrameHead(context, self.identity.sequence, self.capture_ms, PacketKind.KEY)
        return FramePacket(head, self.sections)
