"""A camera with a split network: heads, plans, sections, and another cut from one frame to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_client.encode import split
from edge_client.encode.open import default_level, open_encoder
from edge_client.encode.split import SplitCoder, SplitHead
from edge_client.encode.writing import PacketWriter, written_alone
from edge_client.program import check_packet_format
from narrows.contract.bundle import SplitBundle
from narrows.contract.codec.tensor_quantiser import plane_shape, tensor_digest
from narrows.contract.errors import ConfigError, EncoderError, FrameTooLarge
from narrows.contract.outputs.objects import MOST_BYTES
from narrows.contract.wire import FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import Envelope, FramePacket, PacketContext, Tensor
from tests import split_bundles


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return split_bundles.write(tmp_path_factory.mktemp("bundle"))


def read(data: bytes, known: PacketContext | None = None) -> FramePacket:
    envelope = Envelope.parse(data)
    return FramePacket.of_open(envelope.head(known), envelope.rest)


def test_a_head_gives_what_crosses_at_its_cut(bundle: SplitBundle) -> None:
    head, picture = SplitHead(bundle), split_bundles.picture(5)
    (first,) = head.latent(picture).tensors
    np.testing.assert_array_equal(first[0], split_bundles.early(picture))
    head.use(1)
    crossing = head.latent(picture)
    assert crossing.cut == 1
    assert [each.shape for each in crossing.tensors] == [(1, 3, 8, 12), (1, 3, 1, 1)]


@pytest.mark.parametrize(("cut", "level"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_packet_has_a_section_for_each_tensor_and_its_symbols_come_back_to_the_bit(
    bundle: SplitBundle, cut: int, level: int
) -> None:
    head, coder = SplitHead(bundle, cut=cut), SplitCoder(bundle)
    crossing = head.latent(split_bundles.picture(7))
    packet = read(written_alone(coder.packet(crossing, level, FrameIdentity(3, 4), 5000)))
    context = packet.head.context
    assert (context.bundle_id, context.cut, packet.identity) == (bundle.id, cut, FrameIdentity(3, 4))
    assert packet.head.kind is PacketKind.KEY
    declared = bundle.manifest.cuts[cut]
    assert [layout.id for layout in context.sections] == list(range(len(declared.tensors)))
    for place, (layout, section) in enumerate(zip(context.sections, packet.sections, strict=True)):
        assert layout.content == Tensor(declared.tensors[place].shape, split_bundles.BITS[level])
        assert layout.level == level
        plan = bundle.plans[cut][level][place]
        symbols = plan.coder.decode(section.payload, plane_shape(declared.tensors[place].shape))
        assert section.is_digest(tensor_digest(symbols))
        np.testing.assert_array_equal(symbols, plan.quantiser.symbols(crossing.tensors[place][0]))


def test_another_cut_begins_another_context_and_the_same_cut_goes_on_in_the_one_that_is_known(
    bundle: SplitBundle,
) -> None:
    head, coder, writer = SplitHead(bundle), SplitCoder(bundle), PacketWriter(None, lambda: 2)
    carried, known, cuts = [], None, []
    for sequence, cut in enumerate((0, 0, 1, 1, 0)):
        head.use(cut)
        identity = FrameIdentity(1, sequence)
        begin = writer.wants_key(identity, 1000 + sequence, 48, 32)
        frame = coder.packet(head.latent(split_bundles.picture(sequence)), 0, identity, 1000 + sequence)
        data = writer.write(frame, begin=begin).data
        carried.append(Envelope.parse(data).context is not None)
        packet = read(data, known)
        known = packet.head.context
        cuts.append(known.cut)
    assert carried == [True, False, True, False, True]
    assert cuts == [0, 0, 1, 1, 0]


def test_a_packet_that_would_be_too_large_is_coded_coarser_and_refused_where_none_fits(
    bundle: SplitBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder, crossing = SplitCoder(bundle), SplitHead(bundle).latent(split_bundles.picture(7))
    fine, coarse = (
        sum(len(each.payload) for each in coder.packet(crossing, level, FrameIdentity(1, 1), 0).sections)
        for level in (0, 1)
    )
    assert coarse < fine
    monkeypatch.setattr(split, "MAX_PACKET_BYTES", split._BESIDE_BYTES + fine - 1)
    assert coder.packet(crossing, 0, FrameIdentity(1, 1), 0).layouts[0].level == 1
    monkeypatch.setattr(split, "MAX_PACKET_BYTES", split._BESIDE_BYTES + coarse - 1)
    with pytest.raises(FrameTooLarge, match="export another cut"):
        coder.packet(crossing, 0, FrameIdentity(1, 1), 0)


def test_a_packet_has_room_for_what_is_outlined_behind_its_tensors(
    bundle: SplitBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, a prompt would end the program of a camera whose pictures fill its packets."""
    coder, crossing = SplitCoder(bundle), SplitHead(bundle).latent(split_bundles.picture(7))
    whole = len(written_alone(coder.packet(crossing, 0, FrameIdentity(1, 1), 0)))
    monkeypatch.setattr(split, "MAX_PACKET_BYTES", whole + MOST_BYTES)
    with pytest.raises(FrameTooLarge, match="export another cut"):
        coder.packet(crossing, 0, FrameIdentity(1, 1), 0)


def test_a_head_that_is_not_here_or_not_the_manifests_is_named(tmp_path: Path, bundle: SplitBundle) -> None:
    made = split_bundles.write(tmp_path)
    (tmp_path / "head1.onnx").unlink()
    head = SplitHead(SplitBundle.open(made.folder))
    with pytest.raises(EncoderError, match=r"head1\.onnx is not here"):
        head.use(1)
    assert head.cut == 0
    with pytest.raises(EncoderError, match="cuts 0 to 1"):
        head.use(2)
    (tmp_path / "head1.onnx").write_bytes((tmp_path / "head0.onnx").read_bytes())
    with pytest.raises(EncoderError, match="the manifest wants"):
        SplitHead(made, cut=1)
    swapped = replace(bundle, folder=tmp_path)
    with pytest.raises(EncoderError, match="the manifest wants"):
        SplitHead(swapped, cut=1)


def test_a_camera_opens_either_sort_of_bundle_at_its_default_level(bundle: SplitBundle) -> None:
    encoder, coder = open_encoder(bundle, threads=1)
    assert isinstance(encoder, SplitHead)
    assert isinstance(coder, SplitCoder)
    assert default_level(bundle) == bundle.manifest.default_level


def test_packet_format_1_is_refused_by_name(bundle: SplitBundle) -> None:
    check_packet_format(bundle, None)
    check_packet_format(bundle, 2)
    with pytest.raises(ConfigError, match="need packet format 2"):
        check_packet_format(bundle, 1)


def test_a_camera_that_plans_needs_no_head_in_particular_and_names_the_first_where_none_can_be_used(
    tmp_path: Path,
) -> None:
    made = split_bundles.write(tmp_path)
    (tmp_path / "head0.onnx").unlink()
    encoder, _ = open_encoder(made, threads=1, plans=True)
    assert encoder.latent(split_bundles.picture(1)).cut == 1
    with pytest.raises(EncoderError, match=r"head0\.onnx is not here"):
        open_encoder(made, threads=1)
    (tmp_path / "head1.onnx").unlink()
    with pytest.raises(EncoderError, match=r"head0\.onnx is not here"):
        open_encoder(made, threads=1, plans=True)


def test_a_head_that_loads_and_cannot_be_run_is_named_and_the_cut_in_use_stays(tmp_path: Path) -> None:
    made = split_bundles.write(tmp_path)
    (tmp_path / "head1.onnx").write_bytes(split_bundles.head_that_cannot_be_run())
    head = SplitHead(made)
    with pytest.raises(EncoderError, match=r"head1\.onnx: ONNX Runtime .* refuses it"):
        head.load(1)
    assert head.cut == 0
    assert head.latent(split_bundles.picture(1)).cut == 0
