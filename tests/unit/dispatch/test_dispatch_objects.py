"""Objects behind a latent or a label map, or alone: which packets have them, and that they are passed on unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from narrows.contract.errors import DigestMismatch, PayloadUndecodable, SectionsUnsupported
from narrows.contract.outputs.objects import ObjectMask
from narrows.contract.outputs.objects import Objects as Outlined
from narrows.contract.wire import PacketKind
from narrows.contract.wire.frame_packet import (
    FrameHead,
    FramePacket,
    Latent,
    Objects,
    PacketContext,
    Section,
    SectionLayout,
)
from orchestrator.dispatch.objects import pass_on
from orchestrator.dispatch.sections import CodedObjects, contents_of
from orchestrator.dispatch.workers import Workers
from tests.unit.dispatch.test_dispatch_sections import BUNDLE, noise, packet

MASK = np.arange(144).reshape(12, 12) % 5 == 0
OUTLINED = Outlined(64, 48, 12, (ObjectMask(3, 7, -4, 2, 24, MASK), ObjectMask(4, 7, 0, 0, 9, None)))
SECTION = Section(OUTLINED.digest() & 0xFFFFFF, OUTLINED.to_bytes())
LAYOUT = SectionLayout(Objects(0xABCD))
LATENT = SectionLayout(Latent(BUNDLE.manifest.latent))


def of(*layouts: SectionLayout, kind: PacketKind = PacketKind.KEY) -> FramePacket:
    sections = tuple(SECTION if each == LAYOUT else Section(1, b"x") for each in layouts)
    head = FrameHead(PacketContext(BUNDLE.id, 1, 0, 0, layouts), 1, 1, kind, int(kind))
    return FramePacket(head, sections)


@pytest.fixture
def workers() -> Iterator[Workers]:
    with ThreadPoolExecutor(1) as pool:
        yield Workers(pool)


@pytest.mark.parametrize("kind", PacketKind)
def test_a_latent_whether_k_or_p_may_have_objects_behind_it(kind: PacketKind) -> None:
    contents = contents_of(of(LATENT, LAYOUT, kind=kind), BUNDLE)
    assert (contents.level, contents.mask, contents.objects) == (0, None, CodedObjects(0xABCD, SECTION))


def test_a_cameras_mask_may_have_objects_behind_it() -> None:
    alone = packet(noise(0.001))
    layouts = (*alone.head.context.sections, LAYOUT)
    with_objects = FramePacket(FrameHead(PacketContext(BUNDLE.id, 1, 0, 0, layouts), 0, 0), (*alone.sections, SECTION))
    contents = contents_of(with_objects, BUNDLE)
    assert contents.mask == contents_of(alone, BUNDLE).mask
    assert contents.objects == CodedObjects(0xABCD, SECTION)
    assert contents_of(alone, BUNDLE).objects is None


def test_objects_may_be_all_that_a_camera_sends_in_a_k_packet() -> None:
    contents = contents_of(of(LAYOUT), BUNDLE)
    assert (contents.level, contents.mask, contents.objects) == (None, None, CodedObjects(0xABCD, SECTION))
    assert contents.made_by_camera
    with pytest.raises(SectionsUnsupported, match="alone in a K packet"):
        contents_of(of(LAYOUT, kind=PacketKind.PREDICTED), BUNDLE)


@pytest.mark.parametrize(
    "layouts",
    [
        (SectionLayout(Objects(1), id=1), LAYOUT),
        (LAYOUT, LATENT),
        (LATENT, SectionLayout(Objects(1), id=1), LAYOUT),
        (LATENT, SectionLayout(Objects(0xABCD), depends_on=frozenset({0}))),
    ],
    ids=["two alone", "before", "twice", "dependent"],
)
def test_objects_anywhere_else_are_refused_by_name(layouts: tuple[SectionLayout, ...]) -> None:
    with pytest.raises(SectionsUnsupported, match="and objects behind these"):
        contents_of(of(*layouts), BUNDLE)


async def test_objects_are_passed_on_byte_for_byte_with_the_network_that_made_them(workers: Workers) -> None:
    output = await pass_on(CodedObjects(0xABCD, SECTION), workers)
    assert (output.field, output.version) == (b"o:objects", "000000000000abcd")
    assert output.value.values.tobytes() == SECTION.payload


async def test_objects_that_are_none_or_others_than_were_coded_are_refused_by_name(workers: Workers) -> None:
    with pytest.raises(PayloadUndecodable, match="objects of"):
        await pass_on(CodedObjects(1, Section(SECTION.digest, SECTION.payload + b"x")), workers)
    with pytest.raises(DigestMismatch, match="objects with digest"):
        await pass_on(CodedObjects(1, Section(SECTION.digest ^ 1, SECTION.payload)), workers)
