"""The last few latents of a stream, decoded or not: what its P packets are coded against.

Each packet here holds one section, a latent.
"""

from __future__ import annotations

import math
import weakref
from collections import OrderedDict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec import Memory, remember
from narrows.contract.errors import ReferenceLost
from narrows.contract.wire.feature import FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import FramePacket
from orchestrator.dispatch.reference_memory import ReferenceMemory

_OBJECTS_BYTES = 2048
"""What a plane takes beside its arrays and its payload: packet, header, identities (measured, about)."""


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
    def size_bytes(self) -> int:
        """About what it takes, once its memory was asked for."""
        arrays = self._symbols if self._memory is None else self._memory
        places = 0 if arrays is None else arrays.size
        payloads = sum(len(section.payload) for section in self.packet.sections)
        return _OBJECTS_BYTES + payloads + np.dtype(np.int16).itemsize * places

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

    Attributes:
        forgot: one of them went because all streams' together took too much.
    """

    def __init__(self, keep: int, memory: ReferenceMemory | None = None) -> None:
        """``memory`` bounds all caches that share it; by default there is no such bound."""
        self.forgot = False
        self._keep = keep
        self._shared = ReferenceMemory(math.inf) if memory is None else memory
        self._references: OrderedDict[FrameIdentity, Plane] = OrderedDict()
        weakref.finalize(self, _release_all, self._shared, self._references)

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

    def forget(self, identity: FrameIdentity) -> None:
        """Leave one out that the caches together have no room for."""
        self.forgot = True
        del self._references[identity]

    def _put(self, plane: Plane) -> None:
        identity = plane.packet.identity
        if (before := self._references.pop(identity, None)) is not None:
            self._shared.release([before])
        self._references[identity] = plane
        if len(self._references) > self._keep:
            self._shared.release([self._references.popitem(last=False)[1]])
        self._shared.take_in(plane, plane.size_bytes, partial(_forget, weakref.ref(self), identity))

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


def _release_all(shared: ReferenceMemory, references: OrderedDict[FrameIdentity, Plane]) -> None:
    shared.release(references.values())


def _forget(cache: weakref.ref[ReferenceCache], identity: FrameIdentity) -> None:
    if (alive := cache()) is not None:
        alive.forget(identity)


def _may_follow(packet: FramePacket, reference: FramePacket) -> bool:
    """Whether a P packet may be coded against this one, by all that it says of its reference."""
    own, other = packet.head.context, reference.head.context
    named = packet.sections[0].reference_digest
    alike = (own.bundle_id, own.cut, own.sections) == (other.bundle_id, other.cut, other.sections)
    return alike and (named is None or reference.sections[0].is_digest(named))
