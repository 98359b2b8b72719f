"""The camera's coder: when a packet is a K, and what its P packets are coded after."""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_client.encode.coding import FrameCoder, KeyframeTriggers
from narrows.contract.bundle import Bundle
from narrows.contract.codec import count_tables, decode_symbols, remember, symbol_digest
from narrows.contract.wire import Control, FeaturePacket, FrameIdentity, LatentShape, PacketKind
from tests.unit.codec.codec_samples import moments, smooth_planes

SHAPE = (4, 12, 10)
PLANES = smooth_planes(12, SHAPE, 2.0, 1)
LATENT = PLANES[0].astype(np.float32)


@cache
def make_bundle(*, predicted: bool = True) -> Bundle:
    """A bundle of two levels without networks; the second has half of the gain."""
    levels = [PLANES, PLANES // 2]
    tables = count_tables(levels, [moments(planes, planes) for planes in levels] if predicted else None)
    gains = np.array([[1.0] * 4, [0.5] * 4], dtype=np.float32)
    manifest = SimpleNamespace(latent=LatentShape(*SHAPE))
    return cast("Bundle", SimpleNamespace(id=7, tables=tables, gains=gains, manifest=manifest))


def kinds(coder: FrameCoder, times_s: list[float], latent: NDArray[np.float32] = LATENT) -> str:
    """K or P for each frame of a still scene at these times."""
    packets = [coder.packet(latent, 0, FrameIdentity(3, n), 0, now_s) for n, now_s in enumerate(times_s)]
    return "".join("KP"[packet.kind] for packet in packets)


def test_a_key_comes_at_its_period_and_predictions_between() -> None:
    assert kinds(FrameCoder(make_bundle(), 2.0), [0.5 * n for n in range(10)]) == "KPPPKPPPKP"


@pytest.mark.parametrize(("predicted", "period_s"), [(True, 0.0), (False, 2.0)])
def test_without_a_period_or_tables_for_p_all_are_keys(predicted: bool, period_s: float) -> None:  # noqa: FBT001
    assert kinds(FrameCoder(make_bundle(predicted=predicted), period_s), [0.0, 0.1, 0.2]) == "KKK"


def test_what_breaks_the_chain_forces_a_key() -> None:
    bundle = make_bundle()
    first = FrameIdentity(3, 5)
    for identity, level, key_wanted, kind in (
        (FrameIdentity(3, 6), 0, False, PacketKind.PREDICTED),
        (FrameIdentity(3, 6), 0, True, PacketKind.KEY),
        (FrameIdentity(3, 6), 1, False, PacketKind.KEY),
        (FrameIdentity(3, 7), 0, False, PacketKind.KEY),
        (FrameIdentity(4, 6), 0, False, PacketKind.KEY),
    ):
        coder = FrameCoder(bundle, 2.0)
        coder.packet(LATENT, 0, first, 0)
        assert coder.packet(LATENT, level, identity, 0, key_wanted=key_wanted).kind is kind


def test_a_prediction_that_would_be_larger_is_sent_as_a_key() -> None:
    coder = FrameCoder(make_bundle(), 1e9)
    sizes = []
    for sequence, plane in enumerate(smooth_planes(20, SHAPE, 2.0, 9)):
        alone = FrameCoder(make_bundle(), 0.0).packet(plane.astype(np.float32), 0, FrameIdentity(1, sequence), 0)
        packet = coder.packet(plane.astype(np.float32), 0, FrameIdentity(1, sequence), 0)
        assert len(packet.payload) <= len(alone.payload)
        sizes.append(packet.kind)
    assert PacketKind.KEY in sizes[1:]


def test_the_chain_decodes_to_the_very_symbols() -> None:
    bundle, memory = make_bundle(), None
    coder, before = FrameCoder(bundle, 1e9), None
    for sequence in range(12):
        latent = np.roll(LATENT, sequence // 3, axis=2)
        packet = coder.packet(latent, 0, FrameIdentity(1, sequence), 0)
        memory = None if packet.kind is PacketKind.KEY else memory
        assert packet.reference_digest == (before.own_digest if packet.kind and before else 0)
        symbols = decode_symbols(packet.payload, SHAPE, bundle.tables, 0, memory)
        assert symbol_digest(symbols) == packet.own_digest
        assert FeaturePacket.parse(packet.to_bytes()) == packet
        memory, before = remember(symbols, memory), packet


def test_a_key_request_is_met_once_and_a_record_that_expires_asks_for_nothing() -> None:
    requests, record = KeyframeTriggers(), Control(key_request=4)
    seen = [None, Control(), record, record, None, record, Control(key_request=5), None]
    assert [requests.new(control) for control in seen] == [False, False, True, False, False, False, True, False]
