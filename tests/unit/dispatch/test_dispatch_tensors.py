"""What crosses at a cut: decoded to the bit, and refused by name where plan, cut or tail do not fit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from edge_client.encode.sections import SectionedFrame
from edge_client.encode.split import SplitCoder, SplitHead
from narrows.contract.bundle import Bundle, SplitBundle
from narrows.contract.errors import (
    DigestMismatch,
    FrameRefused,
    PayloadUndecodable,
    PrecisionUnknown,
    SectionsUnsupported,
    ShapeMismatch,
    TailNotLoaded,
    TensorsPredicted,
)
from narrows.contract.outputs.objects import ObjectMask, Objects
from narrows.contract.wire import FrameIdentity, LatentShape, PacketKind
from narrows.contract.wire.frame_packet import FramePacket, Latent, Section, SectionLayout, Tensor
from narrows.contract.wire.frame_packet import Objects as ObjectsLayout
from narrows.contract.wire.frame_packet.feature import Origin
from orchestrator.dispatch.sections import CodedObjects, contents_of
from orchestrator.dispatch.tensors import CodedTensors, Crossed, decode_tensors
from orchestrator.dispatch.workers import Workers
from tests import split_bundles

Change = Callable[[SectionedFrame], SectionedFrame]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return split_bundles.write(tmp_path_factory.mktemp("bundle"))


def frame(bundle: SplitBundle, cut: int = 1, level: int = 0) -> SectionedFrame:
    crossing = SplitHead(bundle, cut=cut).latent(split_bundles.picture(11))
    return SplitCoder(bundle).packet(crossing, level, FrameIdentity(1, 2), 1000)


def packet_of(coded: SectionedFrame) -> FramePacket:
    return coded.within(coded.beginning(Origin()))


def tensors(bundle: SplitBundle, coded: SectionedFrame) -> CodedTensors:
    found = contents_of(packet_of(coded), bundle).tensors
    assert found is not None
    return found


async def decoded(coded: CodedTensors) -> Crossed:
    with ThreadPoolExecutor(1) as pool:
        return await decode_tensors(coded, Workers(pool))


@pytest.mark.parametrize(("cut", "level"), [(0, 0), (0, 1), (1, 0), (1, 1)])
async def test_a_tail_gets_what_the_camera_rounded_to_the_bit(bundle: SplitBundle, cut: int, level: int) -> None:
    crossing = SplitHead(bundle, cut=cut).latent(split_bundles.picture(11))
    found = tensors(bundle, frame(bundle, cut, level))
    assert (found.tail.number, found.level) == (cut, level)
    inputs = (await decoded(found)).inputs
    assert list(inputs) == [given.name for given in found.tail.inputs]
    for place, (name, values) in enumerate(inputs.items()):
        quantiser = bundle.plans[cut][level][place].quantiser
        wanted = quantiser.values(quantiser.symbols(crossing.tensors[place][0]))
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, wanted, err_msg=name)


def test_contents_name_the_model_that_is_asked(bundle: SplitBundle) -> None:
    for cut in (0, 1):
        assert contents_of(packet_of(frame(bundle, cut)), bundle).model_id(bundle) == bundle.tails[cut].id


def _layout(place: int, **changes: object) -> Change:
    def change(coded: SectionedFrame) -> SectionedFrame:
        layouts = list(coded.layouts)
        layouts[place] = structs.replace(layouts[place], **changes)
        return replace(coded, layouts=tuple(layouts))

    return change


def _dropped(coded: SectionedFrame) -> SectionedFrame:
    return replace(coded, layouts=coded.layouts[:1], sections=coded.sections[:1])


def _latent(coded: SectionedFrame) -> SectionedFrame:
    layout = SectionLayout(Latent(LatentShape(3, 8, 12)))
    return replace(coded, layouts=(layout,), sections=coded.sections[:1])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (_layout(0, content=Tensor(split_bundles.EARLY, 6)), PrecisionUnknown, r"the plan's levels have \[8, 4\]"),
        (_layout(0, level=1), PrecisionUnknown, "one for all tensors"),
        (_layout(0, content=Tensor((3, 8, 11), 8)), ShapeMismatch, "at this cut cross"),
        (_layout(0, content=Tensor((3, 96), 8)), ShapeMismatch, "at this cut cross"),
        (_layout(1, id=7), ShapeMismatch, "at this cut cross"),
        (_layout(1, depends_on=frozenset({0})), SectionsUnsupported, "each by itself"),
        (_dropped, ShapeMismatch, "at this cut cross"),
        (_latent, SectionsUnsupported, "sections Latent"),
        (lambda coded: replace(coded, cut=0), ShapeMismatch, "at this cut cross"),
        (lambda coded: replace(coded, cut=2), ShapeMismatch, "cuts 0 to 1"),
    ],
)
def test_what_the_plan_does_not_have_is_refused_by_name(
    bundle: SplitBundle, change: Change, error: type[FrameRefused], message: str
) -> None:
    with pytest.raises(error, match=message):
        contents_of(packet_of(change(frame(bundle))), bundle)


def test_levels_beyond_the_plan_are_refused_by_name(bundle: SplitBundle) -> None:
    coded = frame(bundle, cut=0)
    with pytest.raises(PrecisionUnknown):
        contents_of(packet_of(_layout(0, level=2)(coded)), bundle)


def test_tensors_in_a_predicted_packet_are_refused(bundle: SplitBundle) -> None:
    packet = packet_of(frame(bundle))
    predicted = structs.replace(
        packet, head=structs.replace(packet.head, kind=PacketKind.PREDICTED, reference_distance=1)
    )
    with pytest.raises(TensorsPredicted, match="send them as K"):
        contents_of(predicted, bundle)


@pytest.mark.parametrize("cut", [0, 1])
async def test_what_a_camera_outlines_travels_behind_its_tensors(bundle: SplitBundle, cut: int) -> None:
    """Refused, a prompt had cost its camera every frame."""
    coded = with_objects(frame(bundle, cut))
    contents = contents_of(packet_of(coded), bundle)
    assert contents.objects == CodedObjects(0xABCD, coded.sections[-1])
    assert list((await decoded(tensors(bundle, coded))).inputs) == [given.name for given in bundle.tails[cut].inputs]


def with_objects(coded: SectionedFrame) -> SectionedFrame:
    outlined = Objects(64, 48, 12, (ObjectMask(4, 7, 0, 0, 9, None),))
    layout, section = SectionLayout(ObjectsLayout(0xABCD)), Section(outlined.digest(), outlined.to_bytes())
    return replace(coded, layouts=(*coded.layouts, layout), sections=(*coded.sections, section))


def test_objects_before_tensors_or_dependent_are_refused_and_alone_they_need_no_tail(bundle: SplitBundle) -> None:
    coded = with_objects(frame(bundle))
    first = replace(coded, layouts=coded.layouts[::-1], sections=coded.sections[::-1])
    dependent = _layout(2, depends_on=frozenset({0}))(coded)
    for wrong in (first, dependent):
        with pytest.raises(SectionsUnsupported):
            contents_of(packet_of(wrong), bundle)
    alone = replace(coded, layouts=coded.layouts[-1:], sections=coded.sections[-1:])
    assert contents_of(packet_of(alone), bundle).made_by_camera


def test_a_tail_that_is_not_loaded_is_named(tmp_path: Path) -> None:
    bundle = split_bundles.write(tmp_path)
    (tmp_path / "tail1.onnx").unlink()
    fewer = SplitBundle.open(tmp_path)
    with pytest.raises(TailNotLoaded, match="loaded here are the tails of cuts 0"):
        contents_of(packet_of(frame(bundle, cut=1)), fewer)
    assert contents_of(packet_of(frame(bundle, cut=0)), fewer).tensors is not None


def test_tensors_of_a_bundle_with_a_joint_decoder_are_refused(bundle: SplitBundle) -> None:
    demo = Bundle.open(Path(__file__).parents[3] / "bundles" / "demo")
    with pytest.raises(SectionsUnsupported, match="sections Tensor"):
        contents_of(packet_of(frame(bundle)), demo)


def _section(coded: SectionedFrame, payload: bytes, digest: int | None = None) -> SectionedFrame:
    first = coded.sections[0]
    changed = Section(first.digest if digest is None else digest, payload)
    return replace(coded, sections=(changed, *coded.sections[1:]))


async def test_a_payload_that_is_no_tensor_or_another_is_refused(bundle: SplitBundle) -> None:
    coded = frame(bundle)
    payload = coded.sections[0].payload
    for wrong in (payload[:-1], payload + b"\x00", b"x"):
        with pytest.raises((PayloadUndecodable, DigestMismatch)):
            await decoded(tensors(bundle, _section(coded, wrong)))
    with pytest.raises(DigestMismatch, match="tensor early"):
        await decoded(tensors(bundle, _section(coded, payload, digest=coded.sections[0].digest ^ 1)))


@pytest.mark.parametrize("bound", ["least", "most"])
async def test_a_symbol_beyond_its_channels_range_is_refused(bundle: SplitBundle, bound: str) -> None:
    coded, cut, level = frame(bundle, cut=0), 0, 0
    (plan,) = bundle.plans[cut][level]
    bounds: dict[str, Any] = {bound: np.zeros(3, np.int32)}
    narrow = replace(plan, quantiser=replace(plan.quantiser, **bounds))
    strict = replace(bundle, plans=(((narrow,), bundle.plans[0][1]), bundle.plans[1]))
    with pytest.raises(PayloadUndecodable, match="beyond its channel's range"):
        await decoded(tensors(strict, coded))
