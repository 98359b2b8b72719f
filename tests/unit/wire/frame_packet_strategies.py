"""Valid packets of format 2, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from narrows.contract.wire import LatentShape, PacketKind
from narrows.contract.wire.frame_packet import (
    Content,
    FrameHead,
    FramePacket,
    LabelMap,
    Latent,
    Objects,
    PacketContext,
    Section,
    SectionLayout,
    Tensor,
)
from tests.unit.wire.wire_strategies import U8, U32, U64

U16 = st.integers(0, 0xFFFF)
latents = st.builds(Latent, st.builds(LatentShape, *[st.integers(1, 64)] * 3))
label_maps = st.builds(LabelMap, st.integers(1, 512), st.integers(1, 512), st.integers(2, 255), U64)
tensors = st.builds(Tensor, st.lists(st.integers(1, 20), min_size=1, max_size=4).map(tuple), st.integers(1, 16))
contents: st.SearchStrategy[Content] = latents | label_maps | tensors | st.builds(Objects, U64)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[SectionLayout, ...]:
    kinds = draw(st.lists(contents, min_size=1, max_size=32))
    ids = draw(st.lists(U16, min_size=len(kinds), max_size=len(kinds), unique=True))
    return tuple(
        SectionLayout(content, ids[index], draw(U8), draw(st.frozensets(st.integers(0, index - 1)) if index else NONE))
        for index, content in enumerate(kinds)
    )


NONE: st.SearchStrategy[frozenset[int]] = st.just(frozenset())


@st.composite
def contexts(draw: st.DrawFn, *, sealed: bool = False) -> PacketContext:
    said = draw(st.booleans())
    return PacketContext(
        bundle_id=draw(U64),
        epoch=draw(U64),
        sequence=draw(U32),
        capture_ms=draw(st.integers(0, (1 << 48) - 1)),
        sections=draw(layouts()),
        cut=draw(U8),
        cipher=1 if sealed else 0,
        key_id=draw(st.integers(1, 255)) if sealed else 0,
        source_width=draw(st.integers(1, 0xFFFF)) if said else 0,
        source_height=draw(st.integers(1, 0xFFFF)) if said else 0,
        orientation=draw(st.integers(1, 8)),
    )


@st.composite
def heads(draw: st.DrawFn, *, sealed: bool = False) -> FrameHead:
    context = draw(contexts(sealed=sealed))
    frames = draw(st.integers(0, min(0xFFFF, 0xFFFFFFFF - context.sequence)))
    late_ms = draw(st.integers(0, min(0xFFFF, (1 << 48) - 1 - context.capture_ms))) if frames else 0
    predicted = frames > 0 and draw(st.booleans())
    return FrameHead(
        context,
        context.sequence + frames,
        context.capture_ms + late_ms,
        PacketKind.PREDICTED if predicted else PacketKind.KEY,
        draw(st.integers(1, min(4, frames))) if predicted else 0,
    )


@st.composite
def frames(draw: st.DrawFn, *, sealed: bool = False) -> FramePacket:
    head = draw(heads(sealed=sealed))
    sections = [
        Section(draw(st.integers(0, (1 << 24) - 1)), draw(st.binary(min_size=1, max_size=300)))
        for _ in head.context.sections
    ]
    return FramePacket(head, tuple(sections))
