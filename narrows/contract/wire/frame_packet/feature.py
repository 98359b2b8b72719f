"""A frame of one latent in either format: what coders make and decoders take is a :class:`FeaturePacket`."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.contract.errors import ShapeMismatch
from narrows.contract.wire.feature import FeaturePacket
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


def as_feature(packet: FramePacket) -> FeaturePacket:
    """The frame of a packet of format 2 that holds one latent.

    Raises:
        ShapeMismatch: it holds something else: no bundle of this build decodes it.
    """
    head, context = packet.head, packet.head.context
    layout, section = context.sections[0], packet.sections[0]
    if len(context.sections) > 1 or not isinstance(layout.content, Latent):
        kinds = ", ".join(type(each.content).__name__ for each in context.sections)
        raise ShapeMismatch(f"sections {kinds}; the bundles here decode one latent")
    return FeaturePacket(
        bundle_id=context.bundle_id,
        epoch=context.epoch,
        sequence=head.sequence,
        capture_ms=head.capture_ms,
        level=layout.level,
        shape=layout.content.shape,
        own_digest=section.digest,
        payload=section.payload,
        kind=head.kind,
        reference_distance=head.reference_distance,
        cut=context.cut,
        digest_bits=DIGEST_BITS,
    )
