"""A camera that makes masks itself, and audits some: what the tests of label maps share."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from narrows.contract.codec import LabelTables, encode_labels, general_label_tables, label_digest
from narrows.contract.outputs.labels.scaling import divide_labels
from narrows.contract.outputs.objects import Objects
from narrows.contract.wire import FeaturePacket
from narrows.contract.wire.frame_packet import FrameHead, FramePacket, LabelMap, PacketContext, Section, SectionLayout
from narrows.contract.wire.frame_packet import Objects as ObjectsSection
from narrows.contract.wire.frame_packet.feature import Origin, as_frame, beginning_with
from tests.integration.dispatch.rig import CLASSES, Camera, rule


@dataclass
class MaskCamera(Camera):
    """Its masks are those that the decoder by rule makes of its symbols, divided by ``divisor``."""

    divisor: int = 1
    tables: LabelTables = field(default_factory=general_label_tables)
    contexts: dict[str, PacketContext] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)

    def features(self, packet: FeaturePacket) -> FramePacket:
        """A packet of features in format 2: a K begins another context."""
        if packet.reference_distance == 0 or "features" not in self.contexts:
            self.contexts["features"] = beginning_with(packet, self.origin)
        return as_frame(packet, self.contexts["features"])

    def mask(self, **changes: Any) -> FramePacket:
        """The next frame as the camera's mask alone."""
        return self._sections(self.packet(), None, audited=False, changes=changes)

    def audited(self, labels: NDArray[np.uint8] | None = None, **changes: Any) -> FramePacket:
        """The next frame as its latent and the camera's mask, which may be another than the latent's."""
        return self._sections(self.packet(), labels, audited=True, changes=changes)

    def with_objects(self, packet: FramePacket, objects: Objects, network: int) -> FramePacket:
        """A packet with what the camera outlined behind its sections."""
        layouts = (*packet.head.context.sections, SectionLayout(ObjectsSection(network)))
        first = dataclasses.replace(
            packet.head.context, sequence=packet.head.sequence, capture_ms=packet.head.capture_ms
        )
        context = self._context(f"objects, {len(layouts)}", first, layouts)
        section = Section(objects.digest() & 0xFFFFFF, objects.to_bytes())
        return FramePacket(replace(packet.head, context=context), (*packet.sections, section))

    def objects_alone(self, objects: Objects, network: int) -> FramePacket:
        """The next frame as what the camera outlined and nothing else."""
        packet = self.packet()
        behind = self.with_objects(as_frame(packet, beginning_with(packet, self.origin)), objects, network)
        context = self._context("objects alone", behind.head.context, behind.head.context.sections[1:])
        return FramePacket(replace(behind.head, context=context), behind.sections[1:])

    def expected(self, sequence: int) -> NDArray[np.uint8]:
        """The mask that was sent of a frame, unless another was."""
        return divide_labels(rule(self.planes[sequence], 0), self.divisor, CLASSES)

    def _sections(
        self, packet: FeaturePacket, labels: NDArray[np.uint8] | None, *, audited: bool, changes: dict[str, Any]
    ) -> FramePacket:
        labels = self.expected(packet.sequence) if labels is None else labels
        own_id = 0 if self.tables is general_label_tables() else self.tables.id
        described = {"height": labels.shape[0], "width": labels.shape[1], "labels": CLASSES, "table_id": own_id}
        layout = SectionLayout(LabelMap(**(described | changes)))
        section = Section(label_digest(labels) & 0xFFFFFF, encode_labels(labels, CLASSES, self.tables))
        latent = as_frame(packet, first := beginning_with(packet, self.origin))
        layouts = (*first.sections, layout) if audited else (layout,)
        context = self._context("audited" if audited else "mask", first, layouts)
        head = FrameHead(context, packet.sequence, packet.capture_ms)
        return FramePacket(head, (*latent.sections, section) if audited else (section,))

    def _context(self, name: str, first: PacketContext, layouts: tuple[SectionLayout, ...]) -> PacketContext:
        """The one in use where it lays out the same, else one that begins here."""
        known = self.contexts.get(name)
        if known is None or known.sections != layouts:
            known = self.contexts[name] = PacketContext(
                first.bundle_id, first.epoch, first.sequence, first.capture_ms, layouts
            )
        return known


def as_bytes(*packets: FramePacket) -> list[bytes]:
    return [packet.to_bytes() for packet in packets]


MakeMaskCamera = Callable[..., MaskCamera]
