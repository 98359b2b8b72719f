"""From a coded frame to the bytes that travel: in the format that every dispatcher reads, sealed if there is a key.

::

    before coding   wants_key ─ another format, key, size of source, or objects, or a context that is too far back ─► K
    after it        write ─┬─ format 1 ─ seal ─────────────────────────────────────► bytes
                           └─ format 2 ─ in the context, or in one that begins here ─ seal ─► bytes
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from edge_client.encode.sealing import Sealing
from edge_client.encode.sections import SectionedFrame
from edge_client.prompts.stage import ObjectsSection
from narrows.contract.seal import SUITE
from narrows.contract.wire import FeaturePacket, FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import FramePacket, Objects, PacketContext, SectionLayout
from narrows.contract.wire.frame_packet.feature import Origin, as_frame, beginning_with

RENEW_MS = 10_000
"""A K packet begins another context so long after the last: one that was lost costs the frames until then, at most."""

_MAX_SIDE = 0xFFFF  # of what a context has room for; 0 x 0 says nothing


@dataclass(frozen=True, slots=True)
class Written:
    """A packet. ``depends``: it is worth nothing where one before it was lost (a P, or in a context of before)."""

    data: bytes
    depends: bool


class PacketWriter:
    """Writes one camera's packets in order."""

    def __init__(self, sealing: Sealing | None, packet_format: Callable[[], int]) -> None:
        """``packet_format``: 1 or 2, asked before each frame."""
        self._sealing, self._packet_format = sealing, packet_format
        self._format, self._origin = 1, Origin()
        self._context: PacketContext | None = None
        self._objects: ObjectsSection | None = None

    @property
    def packet_format(self) -> int:
        """The format of the frame that :meth:`wants_key` was asked about last."""
        return self._format

    @property
    def allowed_format(self) -> int:
        """That the next frame would have."""
        return self._packet_format()

    def wants_key(
        self,
        identity: FrameIdentity,
        capture_ms: int,
        source_width: int,
        source_height: int,
        objects: ObjectsSection | None = None,
    ) -> bool:
        """Whether the next packet must be a K, before it is coded; ``objects`` will travel behind what is coded."""
        self._objects = objects
        before, self._format = self._format, self._packet_format()
        if self._format == 1:
            self._context = None
            return before != 1
        cipher, key_id = (0, 0) if self._sealing is None else (SUITE, self._sealing.newest_key_id())
        if max(source_width, source_height) > _MAX_SIDE:
            source_width = source_height = 0
        self._origin = Origin(source_width, source_height, cipher=cipher, key_id=key_id)
        known = self._context
        return known is None or not (
            known.epoch == identity.epoch
            and known.reaches(identity.sequence, capture_ms)
            and (known.source_width, known.source_height) == (source_width, source_height)
            and known.key_id == key_id
            and _objects_layout(known) == (None if objects is None else objects.layout)
        )

    def write(self, coded: FeaturePacket | SectionedFrame, *, begin: bool = False) -> Written:
        """The packet's bytes; ``begin``: a K was wanted, perhaps because a packet was lost, so its context travels.

        Raises:
            ValueError: its identity is not above the last one's, and it is sealed; or format 1 cannot carry it.
        """
        if isinstance(coded, SectionedFrame):
            if self._format == 1:
                raise ValueError(f"{coded.identity} has sections: packet format 1 carries one latent")
            context = self._begun_by(coded.beginning(self._origin), begin=begin)
            return self._written(coded.within(context))
        if self._format == 1:
            sealed = coded if self._sealing is None else self._sealing.sealed(coded)
            return Written(sealed.to_bytes(), coded.kind is PacketKind.PREDICTED)
        known = self._context
        if known is not None and coded.kind is PacketKind.PREDICTED:
            return self._written(as_frame(coded, known))
        return self._written(as_frame(coded, self._begun_by(beginning_with(coded, self._origin), begin=begin)))

    def _written(self, frame: FramePacket) -> Written:
        if self._objects is not None:
            frame = replace(frame, sections=(*frame.sections, self._objects.section))
        data = frame.to_bytes() if self._sealing is None else self._sealing.sealed_frame(frame)
        return Written(data, not frame.head.carries_context)

    def _begun_by(self, fresh: PacketContext, *, begin: bool) -> PacketContext:
        """The context of a K: the one that is known, if it does, or the one that would begin with it."""
        if self._objects is not None:
            fresh = dataclasses.replace(fresh, sections=(*fresh.sections, self._objects.layout))
        known = self._context
        late = known is not None and fresh.capture_ms - known.capture_ms >= RENEW_MS
        if known is None or begin or late or not _alike(known, fresh):
            self._context = fresh
            return fresh
        return known


def _objects_layout(context: PacketContext) -> SectionLayout | None:
    last = context.sections[-1]
    return last if isinstance(last.content, Objects) else None


def _alike(known: PacketContext, fresh: PacketContext) -> bool:
    """Whether they differ only in the frame that they begin with."""
    return dataclasses.replace(fresh, sequence=known.sequence, capture_ms=known.capture_ms) == known


def written_alone(coded: FeaturePacket | SectionedFrame) -> bytes:
    """An open packet that needs none before it: what a frame takes at most."""
    if isinstance(coded, SectionedFrame):
        return coded.within(coded.beginning(Origin())).to_bytes()
    return coded.to_bytes()
