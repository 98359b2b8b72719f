"""What the doctor reads of a packet: its bundle, in either format, where the packet itself says it."""

from __future__ import annotations

import pytest

from narrows.contract.errors import PacketError
from narrows.contract.wire import FeaturePacket, LatentShape, PacketKind
from narrows.contract.wire.frame_packet.feature import Origin, as_frame, beginning_with
from narrows.ops.doctor.streams import _bundle_of

PACKET = FeaturePacket(0x0123456789ABCDEF, 5, 0, 4, 0, LatentShape(2, 2, 2), 6, b"symbols")


def test_a_packet_of_either_format_that_names_its_bundle_tells_it() -> None:
    first = as_frame(PACKET, beginning_with(PACKET, Origin()))
    assert _bundle_of(PACKET.to_bytes()) == _bundle_of(first.to_bytes()) == PACKET.bundle_id


def test_a_packet_that_names_a_context_tells_none() -> None:
    later = FeaturePacket(
        PACKET.bundle_id, 5, 1, 4, 0, PACKET.shape, 6, b"p", PacketKind.PREDICTED, 1, PACKET.own_digest
    )
    with pytest.raises(PacketError, match="context"):
        _bundle_of(as_frame(later, beginning_with(PACKET, Origin())).to_bytes())
