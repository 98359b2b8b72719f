"""The last few frames of a stream, decoded or not: what its P packets are coded against."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import Memory, remember
from narrows.contract.errors import ReferenceLost
from narrows.contract.wire.feature import FeaturePacket, FrameIdentity, PacketKind


@dataclass(frozen=True, slots=True)
class Plane:
    """A frame with what is remembered after it ``(C, h, w)``; ``None`` as long as nobody wanted its symbols."""

    packet: FeaturePacket
    memory: Memory | None


class ReferenceCache:
    """At most ``keep`` frames, the newest; a redelivered P packet finds its reference as long as it is among them.

    A frame that came too late for a mask is kept as its packet: its symbols are decoded when a later frame wants them.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._references: OrderedDict[FrameIdentity, Plane] = OrderedDict()

    def remember(self, packet: FeaturePacket, symbols: NDArray[np.int8]) -> None:
        """Keep what a frame's symbols ``(C, h, w)`` int8, whose digest was checked, make of its reference's memory.

        Raises:
            ReferenceLost: as :meth:`memory_for`.
        """
        self._put(Plane(packet, remember(symbols, self.memory_for(packet))))

    def postpone(self, packet: FeaturePacket) -> None:
        """Keep a frame undecoded, unless its symbols are here already."""
        known = self._references.get(packet.identity)
        if known is None or known.memory is None:
            self._put(Plane(packet, None))

    def postponed_for(self, packet: FeaturePacket) -> list[FeaturePacket]:
        """What must be decoded before ``packet`` can be, in that order.

        Raises:
            ReferenceLost: as :meth:`memory_for`, for ``packet`` or for one before it.
        """
        first: list[FeaturePacket] = []
        plane = self._reference(packet)
        while plane is not None and plane.memory is None:
            first.append(plane.packet)
            plane = self._reference(plane.packet)
        return first[::-1]

    def has_reference(self, packet: FeaturePacket) -> bool:
        """Whether the frame that a P packet is coded against is here."""
        return packet.reference in self._references

    def memory_for(self, packet: FeaturePacket) -> Memory | None:
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

    def _reference(self, packet: FeaturePacket) -> Plane | None:
        if packet.kind is PacketKind.KEY:
            return None
        sequence = packet.reference.sequence
        plane = self._references.get(packet.reference)
        if plane is None:
            raise ReferenceLost(
                f"frame {packet.sequence} is coded against {sequence}, which is not here; a key is asked for"
            )
        if not packet.may_follow(plane.packet):
            raise ReferenceLost(f"frame {packet.sequence} is coded against another {sequence} than came here")
        return plane
