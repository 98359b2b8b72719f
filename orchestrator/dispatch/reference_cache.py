"""The last few latents of a stream, decoded or not: what its P packets are coded against.

Each packet here holds one section, a latent.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import Memory, remember
from narrows.contract.errors import ReferenceLost
from narrows.contract.wire.feature import FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import FramePacket


class Plane:
    """A frame, with what is remembered after it once it was decoded.

    What is remembered is worked out when a later frame is coded against this one: after most K packets none ever is.
    """

    __slots__ = ("_before", "_memory", "_symbols", "packet")

    def __init__(self, packet: FramePacket, symbols: NDArray[np.int8] | None, before: Memory | None) -> None:
        """Keep a frame's symbols ``(C, h, w)`` and the memory that it was coded with; symbols may be unknown yet."""
        self.packet = packet
        self._symbols, self._before = symbols, before
        self._memory: Memory | None = None

    @property
    def decoded(self) -> bool:
        """Whether its symbols were wanted before."""
        return self._symbols is not None or self._memory is not None

    @property
    def memory(self) -> Memory | None:
        """What is remembered after it ``(C, h, w)``; ``None`` before it is decoded."""
        if self._memory is None and self._symbols is not None:
            self._memory = remember(self._symbols, self._before)
            self._symbols = self._before = None
        return self._memory


class ReferenceCache:
    """At most ``keep`` frames, the newest; a redelivered P packet finds its reference as long as it is among them.

    A frame that came too late for a mask is kept as its packet: its symbols are decoded when a later frame wants them.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._references: OrderedDict[FrameIdentity, Plane] = OrderedDict()

    def remember(self, packet: FramePacket, symbols: NDArray[np.int8]) -> None:
        """Keep what a frame's symbols ``(C, h, w)`` int8, whose digest was checked, make of its reference's memory.

        Raises:
            ReferenceLost: as :meth:`memory_for`.
        """
        self._put(Plane(packet, symbols, self.memory_for(packet)))

    def postpone(self, packet: FramePacket) -> None:
        """Keep a frame undecoded, unless its symbols are here already."""
        known = self._references.get(packet.identity)
        if known is None or not known.decoded:
            self._put(Plane(packet, None, None))

    def postponed_for(self, packet: FramePacket) -> list[FramePacket]:
        """What must be decoded before ``packet`` can be, in that order.

        Raises:
            ReferenceLost: as :meth:`memory_for`, for ``packet`` or for one before it.
        """
        first: list[FramePacket] = []
        plane = self._reference(packet)
        while plane is not None and not plane.decoded:
            first.append(plane.packet)
            plane = self._reference(plane.packet)
        return first[::-1]

    def has_reference(self, packet: FramePacket) -> bool:
        """Whether the frame that a P packet is coded against is here."""
        return packet.head.reference in self._references

    def memory_for(self, packet: FramePacket) -> Memory | None:
        """The memory that a packet is coded with; ``None`` for a K packet.

        Raises:
            ReferenceLost: a P packet whose reference is not here, or is not the one that the camera had.
        """
        plane = self._reference(packet)
        return None if plane is None else plane.memory

    def _put(self, plane: Plane) -> None:
        self._references[plane.packet.identity] = plane
        self._references.move_to_end(plane.packet.identity)
        while len(self._references) > self._keep:
            self._references.popitem(last=False)

    def _reference(self, packet: FramePacket) -> Plane | None:
        head = packet.head
        if head.kind is PacketKind.KEY:
            return None
        own, before = head.sequence, head.reference.sequence
        plane = self._references.get(head.reference)
        if plane is None:
            raise ReferenceLost(f"frame {own} is coded against {before}, which is not here; a key is asked for")
        if not _may_follow(packet, plane.packet):
            raise ReferenceLost(f"frame {own} is coded against another {before} than came here")
        return plane


def _may_follow(packet: FramePacket, reference: FramePacket) -> bool:
    """Whether a P packet may be coded against this one, by all that it says of its reference."""
    own, other = packet.head.context, reference.head.context
    named = packet.sections[0].reference_digest
    alike = (own.bundle_id, own.cut, own.sections) == (other.bundle_id, other.cut, other.sections)
    return alike and (named is None or reference.sections[0].is_digest(named))
