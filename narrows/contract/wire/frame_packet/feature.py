"""A frame of one latent in either format: coders make a `FeaturePacket`, decoders take a `FramePacket`."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.contract.wire.feature import DIGEST_BITS as FEATURE_DIGEST_BITS
from narrows.contract.wire.feature import FeaturePacket, PacketKind
from narrows.contract.wire.frame_packet.content import Latent
from narrows.contract.wire.frame_packet.context import PacketContext
from narrows.contract.wire.frame_packet.header import FrameHead
from narrows.contract.wire.frame_packet.packet import FramePacket
from narrows.contract.wire.frame_packet.section import DIGEST_BITS, Section, SectionLayout


@dataclass(frozen=True, slots=True)
class Origin:
    """What a context says beside its frames: the picture before it was fitted, and the seal. See `PacketContext`."""

    source_width: int = 0
    source_height: int = 0
    orientation: int = 1
    cipher: int = 0
    key_id: int = 0


def beginning_with(packet: FeaturePacket, origin: Origin) -> PacketContext:
    """The context that begins with an open K packet of format 1."""
    return PacketContext(
        bundle_id=packet.bundle_id,
        epoch=packet.epoch,
        sequence=packet.sequence,
        capture_ms=packet.capture_ms,
        sections=(SectionLayout(Latent(packet.shape), level=packet.level),),
        cut=packet.cut,
        cipher=origin.cipher,
        key_id=origin.key_id,
        source_width=origin.source_width,
        source_height=origin.source_height,
        orientation=origin.orientation,
    )


def as_frame(packet: FeaturePacket, context: PacketContext) -> FramePacket:
    """An open packet of format 1 in a context that fits it: of its bundle, epoch, level, cut and shape."""
    head = FrameHead(context, packet.sequence, packet.capture_ms, packet.kind, packet.reference_distance)
    return FramePacket(head, (Section(packet.own_digest & (1 << DIGEST_BITS) - 1, packet.payload),))


def of_feature(packet: FeaturePacket) -> FramePacket:
    """An open packet of format 1 as those who decode see it: in a context of its own, with the digests that it has."""
    context = beginning_with(packet, Origin())
    head = FrameHead(context, packet.sequence, packet.capture_ms, packet.kind, packet.reference_distance)
    named = packet.reference_digest if packet.kind is PacketKind.PREDICTED else None
    return FramePacket(head, (Section(packet.own_digest, packet.payload, FEATURE_DIGEST_BITS, named),))
