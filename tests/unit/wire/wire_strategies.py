"""Valid packets of every kind, for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from narrows.contract.wire import FeaturePacket, FrameIdentity, LatentShape, MaskPacket, PacketKind, Timings
from narrows.contract.wire.feature import MAX_SYMBOLS
from narrows.contract.wire.mask import class_areas

U8, U32, U48, U64 = (st.integers(0, (1 << bits) - 1) for bits in (8, 32, 48, 64))
identities = st.builds(FrameIdentity, U64, U32)
shapes = st.builds(LatentShape, st.integers(1, 1024), st.integers(1, 2048), st.integers(1, 2048)).filter(
    lambda shape: shape.symbols <= MAX_SYMBOLS
)


@st.composite
def packets(draw: st.DrawFn) -> FeaturePacket:
    kind = draw(st.sampled_from(PacketKind))
    predicted, sealed = kind is PacketKind.PREDICTED, draw(st.booleans())
    distance = draw(st.integers(1, 255)) if predicted else 0
    return FeaturePacket(
        bundle_id=draw(U64),
        epoch=draw(U64),
        sequence=draw(st.integers(distance, (1 << 32) - 1)),
        capture_ms=draw(U48),
        level=draw(U8),
        shape=draw(shapes),
        own_digest=draw(U32),
        payload=draw(st.binary(min_size=1, max_size=200)),
        kind=kind,
        reference_distance=distance,
        reference_digest=draw(U32) if predicted else 0,
        cut=draw(U8),
        cipher=draw(st.integers(1, 15)) if sealed else 0,
        key_id=draw(st.integers(1, 255)) if sealed else 0,
    )


@st.composite
def masks(draw: st.DrawFn) -> MaskPacket:
    classes = draw(st.integers(1, 255))
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    seed = draw(st.integers(0, 1 << 32))
    labels = np.random.default_rng(seed).integers(0, classes, shape).astype(np.uint8)
    return MaskPacket(
        bundle_id=draw(U64),
        identity=draw(identities),
        capture_ms=draw(U48),
        level=draw(U8),
        feature_bytes=draw(U32),
        labels=labels,
        areas=class_areas(labels, classes),
        timings=draw(st.builds(Timings, U32, U32, U32, U32, U32)),
    )


@st.composite
def mutated(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with some of them changed, cut off, or added."""
    changed = bytearray(data)
    for position in draw(st.lists(st.integers(0, len(data) - 1), max_size=6)):
        changed[position] = draw(U8)
    end = draw(st.integers(0, len(data)) | st.just(len(data)))
    return bytes(changed[:end]) + draw(st.binary(max_size=8))
