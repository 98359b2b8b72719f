"""The last few symbol planes of a stream: what its P packets are coded against."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ReferenceLost
from narrows.wire.feature import FeaturePacket, FrameIdentity, Kind


@dataclass(frozen=True, slots=True)
class Plane:
    """A decoded frame's symbols ``(C, h, w)`` int8, with what they must match to serve as a reference."""

    bundle_id: int
    digest: int
    symbols: NDArray[np.int8]


class Planes:
    """At most ``keep`` planes, the newest; a redelivered P packet finds its reference as long as it is among them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._planes: OrderedDict[FrameIdentity, Plane] = OrderedDict()

    def remember(self, packet: FeaturePacket, symbols: NDArray[np.int8]) -> None:
        """Keep a frame's symbols, whose digest was checked."""
        self._planes[packet.identity] = Plane(packet.bundle_id, packet.own_digest, symbols)
        self._planes.move_to_end(packet.identity)
        while len(self._planes) > self._keep:
            self._planes.popitem(last=False)

    def reference_of(self, packet: FeaturePacket) -> NDArray[np.int8] | None:
        """The symbols that a packet is coded against; ``None`` for a K packet.

        Raises:
            ReferenceLost: a P packet whose reference is not here, or is not the one that the camera had.
        """
        if packet.kind is Kind.KEY:
            return None
        sequence = packet.sequence - packet.reference_distance
        plane = self._planes.get(FrameIdentity(packet.epoch, sequence))
        if plane is None:
            raise ReferenceLost(
                f"frame {packet.sequence} is coded against {sequence}, which is not here; a key is asked for"
            )
        if plane.bundle_id != packet.bundle_id or plane.digest != packet.reference_digest:
            raise ReferenceLost(f"frame {packet.sequence} is coded against another {sequence} than was decoded here")
        return plane.symbols
