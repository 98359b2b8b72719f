"""The camera's own masks: what is made, what of it travels, and what is on site."""

from __future__ import annotations

import dataclasses
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from edge_client.encode.coding import FrameCoder, symbols_of
from edge_client.encode.frame_kind import FrameKind
from edge_client.encode.writing import PacketWriter, Written
from edge_client.masks.camera_decoder import OnnxCameraDecoder
from edge_client.masks.coding import MaskCoder
from edge_client.masks.mode import MaskSettings, SendMode
from edge_client.masks.rule import Reason
from edge_client.masks.stage import LOOK_S, MaskStage
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from edge_client.transport.outbox import FrameRecord, Outgoing
from edge_client.transport.uplink import FeatureStream
from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols
from narrows.contract.codec.labels import decode_labels
from narrows.contract.errors import BundleError
from narrows.contract.outputs.labels.scaling import DIVISORS, divided_size
from narrows.contract.wire import Control, FrameIdentity, PacketKind, Sends
from narrows.contract.wire.frame_packet import Envelope, FramePacket, LabelMap, Latent, PacketContext

BUNDLE = Bundle.open(Path(__file__).parents[3] / "bundles" / "demo")
DECODER = OnnxCameraDecoder(BUNDLE)
LATENT = np.random.default_rng(3).normal(0, 4, BUNDLE.manifest.latent.as_tuple()).astype(np.float32)
SIZE = (360, 480)


class Kept:
    """A place for local masks that keeps what it is given."""

    def __init__(self) -> None:
        self.masks: list[tuple[FrameIdentity, tuple[int, ...]]] = []

    def put(self, labels: np.ndarray, identity: FrameIdentity, capture_ms: int) -> None:
        assert capture_ms == 1000 * identity.sequence
        self.masks.append((identity, labels.shape))

    def close(self) -> None:
        """Nothing is open."""


class Camera:
    """Codes the same latent again and again, and reads each packet back."""

    def __init__(self, send: SendMode, scale: int = 1, audit_share: int = 0, local: Kept | None = None) -> None:
        self.packet_format, self.control, self.now_s, self.measured_s = 2, Control(), 0.0, 0.0
        self.known: dict[int, PacketContext] = {}
        self.sequence = 0
        governor = Governor(BUNDLE.manifest, Choice(0, 10.0), adaptive=False, monotonic_s=lambda: self.now_s)
        settings = MaskSettings(send, scale, audit_share)
        coder = MaskCoder(BUNDLE, DECODER, 0, scale)
        self.stage = MaskStage(settings, coder, governor, 1, local, lambda: self.now_s, self.stopwatch_s)
        self.coder, self.writer = FrameCoder(BUNDLE, 60.0), PacketWriter(None, lambda: self.packet_format)

    def stopwatch_s(self) -> float:
        """Every mask takes this device a millisecond, however busy the machine is."""
        self.measured_s += 0.001
        return self.measured_s

    def frame(self) -> tuple[FramePacket | bytes, Written, FrameKind]:
        identity, capture_ms = FrameIdentity(5, self.sequence), 1000 * self.sequence
        self.sequence += 1
        begin = self.writer.wants_key(identity, capture_ms, 0, 0)
        staged = self.stage.frame(LATENT, identity, capture_ms, 0.0, self.writer.packet_format, self.control)
        coded = staged.sections or self.coder.packet(LATENT, 0, identity, capture_ms, self.now_s, key_wanted=begin)
        written = self.writer.write(coded, begin=begin)
        if self.packet_format == 1:
            return written.data, written, staged.kind
        envelope = Envelope.parse(written.data)
        head = envelope.head(self.known.get(envelope.context_id))
        self.known[head.context.id] = head.context
        return FramePacket.of_open(head, envelope.rest), written, staged.kind

    def kinds(self, frames: int) -> list[tuple[str, ...]]:
        found = []
        for _ in range(frames):
            packet, _, _ = self.frame()
            assert isinstance(packet, FramePacket)
            found.append(tuple(type(each.content).__name__ for each in packet.head.context.sections))
        return found


@pytest.mark.parametrize("scale", DIVISORS)
def test_a_mask_is_one_label_map_of_the_bundles_output(scale: int) -> None:
    packet, _, kind = Camera(SendMode.MASKS, scale).frame()
    assert isinstance(packet, FramePacket)
    assert kind is FrameKind.MASKS
    (layout,), (section,) = packet.head.context.sections, packet.sections
    height, width = divided_size(*SIZE, scale)
    assert BUNDLE.label_tables is not None
    assert layout.content == LabelMap(height, width, 11, BUNDLE.label_tables.id)
    assert (layout.id, layout.level, packet.head.kind) == (0, 0, PacketKind.KEY)
    assert packet.head.context.bundle_id == BUNDLE.id
    labels = decode_labels(section.payload, (height, width), 11, BUNDLE.label_tables)
    assert (labels == DECODER.labels(symbols_of(BUNDLE, LATENT, 0), 0, scale)).all()
    assert section.digest == zlib.crc32(labels.tobytes()) & 0xFFFFFF


def test_a_context_travels_with_the_first_mask_and_those_behind_have_short_headers() -> None:
    camera = Camera(SendMode.MASKS)
    first, second = (camera.frame()[1] for _ in range(2))
    assert not first.depends
    assert second.depends
    packet, written, _ = camera.frame()
    assert isinstance(packet, FramePacket)
    assert len(written.data) == len(packet.sections[0].payload) + 16


def test_an_audited_frame_has_its_latent_first_and_every_so_many_masks_are_audited() -> None:
    camera = Camera(SendMode.MASKS, scale=8, audit_share=3)
    assert camera.kinds(6) == [("LabelMap",), ("LabelMap",), ("Latent", "LabelMap")] * 2
    camera = Camera(SendMode.MASKS, scale=8, audit_share=1)
    packet, written, kind = camera.frame()
    assert kind is FrameKind.AUDIT
    assert isinstance(packet, FramePacket)
    assert not written.depends
    assert packet.head.context.sections[0].content == Latent(BUNDLE.manifest.latent)
    symbols = decode_symbols(packet.sections[0].payload, BUNDLE.manifest.latent.as_tuple(), BUNDLE.tables, 0)
    assert (symbols == symbols_of(BUNDLE, LATENT, 0)).all()
    assert packet.sections[0].digest == zlib.crc32(symbols.tobytes()) & 0xFFFFFF


def test_a_switch_begins_a_new_chain_each_way_and_loses_no_frame() -> None:
    camera = Camera(SendMode.AUTO, scale=8)
    kinds = [camera.frame() for _ in range(2)]
    camera.control = Control(send=Sends.MASKS)
    kinds += [camera.frame() for _ in range(2)]
    camera.control = Control(send=Sends.FEATURES)
    kinds += [camera.frame() for _ in range(2)]
    packets = [packet for packet, _, _ in kinds if isinstance(packet, FramePacket)]
    assert [packet.head.sequence for packet in packets] == list(range(6))
    assert [written.depends for _, written, _ in kinds] == [False, True] * 3
    assert [packet.head.kind.name for packet in packets] == ["KEY", "PREDICTED", "KEY", "KEY", "KEY", "PREDICTED"]
    assert [kind for _, _, kind in kinds] == [FrameKind.FEATURES] * 2 + [FrameKind.MASKS] * 2 + [FrameKind.FEATURES] * 2


def test_masks_wait_while_the_install_record_does_not_permit_format_2() -> None:
    camera = Camera(SendMode.MASKS)
    camera.packet_format = 1
    data, _, kind = camera.frame()
    assert isinstance(data, bytes)
    assert (data[0], kind) == (1, FrameKind.FEATURES)
    assert camera.stage.verdict == (Sends.FEATURES, Reason.PACKET_FORMAT)
    camera.packet_format = 2
    assert camera.kinds(1) == [("LabelMap",)]
    assert camera.stage.verdict == (Sends.MASKS, Reason.TOLD)


def test_the_newest_mask_is_on_site_whatever_is_sent() -> None:
    local = Kept()
    camera = Camera(SendMode.FEATURES, scale=4, local=local)
    assert camera.kinds(3) == [("Latent",)] * 3
    assert local.masks == [(FrameIdentity(5, sequence), (90, 120)) for sequence in range(3)]


def test_an_automatic_camera_knows_what_a_mask_costs_before_it_sends_one() -> None:
    camera = Camera(SendMode.AUTO, scale=8)
    camera.kinds(1)
    first = camera.stage._looked_s
    camera.now_s = LOOK_S - 0.1
    camera.kinds(1)
    assert camera.stage._looked_s == first == 0.0
    camera.now_s = LOOK_S
    camera.kinds(1)
    assert camera.stage._looked_s == LOOK_S
    assert camera.stage._mask_s > 0


@pytest.mark.parametrize(
    ("send", "packet_format", "able"),
    [(SendMode.AUTO, 2, True), (SendMode.AUTO, 1, False), (SendMode.MASKS, 2, False), (SendMode.FEATURES, 2, False)],
)
def test_only_an_automatic_camera_that_keeps_up_may_be_asked(send: SendMode, packet_format: int, *, able: bool) -> None:
    camera = Camera(send, scale=8)
    camera.packet_format = packet_format
    camera.frame()
    assert camera.stage.able is able


def test_format_1_carries_no_sections() -> None:
    writer = PacketWriter(None, lambda: 1)
    coder = MaskCoder(BUNDLE, DECODER, 0, 8)
    writer.wants_key(FrameIdentity(1, 0), 0, 0, 0)
    frame = coder.frame(coder.make(LATENT), FrameIdentity(1, 0), 0, audited=False)
    with pytest.raises(ValueError, match="format 1 carries one latent"):
        writer.write(frame)


def test_a_bundle_without_a_camera_decoder_is_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(BUNDLE.folder, tmp_path / "bundle"))
    (folder / "camera_decoder.int8.onnx").unlink()
    with pytest.raises(BundleError, match="was left out here"):
        OnnxCameraDecoder(Bundle.open(folder))
    files = {name: each for name, each in BUNDLE.manifest.files.items() if not name.startswith("camera")}
    without = dataclasses.replace(BUNDLE, manifest=dataclasses.replace(BUNDLE.manifest, files=files))
    with pytest.raises(BundleError, match="has no camera decoder: send features, or add one"):
        OnnxCameraDecoder(without)


@pytest.mark.parametrize(("able", "depends", "said"), [(True, False, True), (True, True, False), (False, False, False)])
def test_a_camera_that_may_be_asked_says_so_beside_packets_that_depend_on_none(
    *, able: bool, depends: bool, said: bool
) -> None:
    record = FrameRecord(0, 1, "", 0, 1, 0, 0.0, 0.0)
    command = FeatureStream("key", 256).append(Outgoing(record, b"packet", depends=depends, able=able))
    assert command[-2:] == ((b"c", b"masks") if said else (b"p", b"packet"))
