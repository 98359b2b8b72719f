"""Which packets a camera writes: in the format that is read, with a context that every packet's reader has."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.encode.coding import FrameCoder
from edge_client.encode.sealing import Sealing
from edge_client.encode.writing import RENEW_MS, PacketWriter, Written
from edge_client.prompts.stage import ObjectsSection
from narrows.contract.outputs.objects import ObjectMask
from narrows.contract.outputs.objects import Objects as Outlined
from narrows.contract.seal import Keyring, open_frame
from narrows.contract.secret_files import write_secret
from narrows.contract.wire import FeaturePacket, FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import Envelope, FramePacket, Objects, PacketContext, Section, SectionLayout
from narrows.contract.wire.frame_packet.feature import as_frame
from narrows.contract.wire.frame_packet.header import is_frame_packet
from tests.unit.edge.test_edge_coding import LATENT, make_bundle

RING = Keyring().rotated(0, None).rotated(0, None)
FULL_HD = (1920, 1080)


@dataclass
class Camera:
    """Codes a still scene and writes it; reads each packet back with the contexts that came before it."""

    packet_format: int = 2
    sealing: Sealing | None = None
    key_period_s: float = 2.0
    known: dict[int, PacketContext] = field(default_factory=dict)
    sequence: int = 0
    objects: ObjectsSection | None = None

    def __post_init__(self) -> None:
        self.writer = PacketWriter(self.sealing, lambda: self.packet_format)
        self.coder = FrameCoder(make_bundle(), self.key_period_s)

    def write(
        self,
        capture_ms: int,
        *,
        lost: bool = False,
        level: int = 0,
        size: tuple[int, int] = FULL_HD,
        epoch: int = 3,
    ) -> tuple[FeaturePacket, Written]:
        identity = FrameIdentity(epoch, self.sequence)
        self.sequence += 1
        begin = self.writer.wants_key(identity, capture_ms, *size, self.objects) or lost
        now_s = capture_ms / 1000
        coded = self.coder.packet(LATENT, level, identity, capture_ms, now_s, key_wanted=begin)
        return coded, self.writer.write(coded, begin=begin)

    def read(self, data: bytes) -> FramePacket:
        envelope = Envelope.parse(data)
        head = envelope.head(self.known.get(envelope.context_id))
        self.known[head.context.id] = head.context
        if head.context.key_id:
            return open_frame(head, envelope.rest, RING.derive("cam-1", head.context.key_id))
        return FramePacket.of_open(head, envelope.rest)


def kinds(camera: Camera, times_ms: list[int]) -> str:
    """C for a K with its context, K for one without, P; each packet is read back."""
    said = []
    for capture_ms in times_ms:
        coded, written = camera.write(capture_ms)
        frame = camera.read(written.data)
        assert frame == as_frame(coded, frame.head.context)
        assert written.depends is not frame.head.carries_context
        said.append("C" if frame.head.carries_context else "KP"[coded.kind])
    return "".join(said)


def test_a_context_begins_with_the_first_packet_and_anew_every_ten_seconds() -> None:
    assert RENEW_MS == 10_000
    assert kinds(Camera(), [1000 * n for n in range(14)]) == "CPKPKPKPKPCPKP"


def test_of_a_bundle_of_keys_alone_all_but_the_first_are_short() -> None:
    assert kinds(Camera(key_period_s=0.0), [100 * n for n in range(6)]) == "CKKKKK"


@pytest.mark.parametrize("packet_format", [1, 2])
def test_packets_are_of_the_format_that_is_asked_for(packet_format: int) -> None:
    camera = Camera(packet_format)
    written = [camera.write(100 * n)[1] for n in range(3)]
    assert [is_frame_packet(each.data) for each in written] == [packet_format == 2] * 3
    assert [each.depends for each in written] == [False, True, True]


def test_a_change_of_format_begins_with_a_key_packet_both_ways() -> None:
    camera, said = Camera(1), []
    for n, packet_format in enumerate([1, 1, 2, 2, 1, 1, 2]):
        camera.packet_format = packet_format
        coded, written = camera.write(100 * n)
        said.append(("K" if coded.kind is PacketKind.KEY else "P") + str(1 + is_frame_packet(written.data)))
    assert said == ["K1", "P1", "K2", "P2", "K1", "P1", "K2"]


def test_a_key_that_is_asked_for_carries_its_context() -> None:
    """Whoever asks may have lost it, or the packet that it came with was dropped."""
    camera = Camera()
    assert kinds(camera, [0, 100]) == "CP"
    _, written = camera.write(200, lost=True)
    assert not written.depends
    assert Camera().read(written.data).head.carries_context


@pytest.mark.parametrize(
    ("capture_ms", "changes"),
    [(200, {"size": (640, 480)}), (200, {"level": 1}), (200, {"epoch": 4}), (99_000, {}), (-100, {})],
    ids=["source", "level", "epoch", "a long pause", "a clock that was set back"],
)
def test_what_a_context_does_not_say_begins_another(capture_ms: int, changes: dict[str, Any]) -> None:
    camera = Camera()
    assert kinds(camera, [100_000, 100_100]) == "CP"
    coded, written = camera.write(100_000 + capture_ms, **changes)
    assert coded.kind is PacketKind.KEY
    frame = Camera().read(written.data)
    assert frame.head.carries_context
    assert frame.identity == coded.identity


def test_65536_frames_at_one_time_begin_another_context() -> None:
    camera = Camera()
    assert kinds(camera, [0]) == "C"
    camera.sequence += 0xFFFF
    assert kinds(camera, [0]) == "C"


def test_a_source_that_is_too_large_to_be_told_is_not_told() -> None:
    camera = Camera()
    _, written = camera.write(0, size=(70_000, 2))
    context = camera.read(written.data).head.context
    assert (context.source_width, context.source_height) == (0, 0)
    assert not camera.writer.wants_key(FrameIdentity(3, 1), 0, 70_000, 2)


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_sealed_packets_follow_a_new_key_with_a_new_context(tmp_path: Path) -> None:
    file, clock = tmp_path / "cam-1.key", Clock()
    write_secret(file, RING.derive("cam-1", 1).to_json())
    camera = Camera(sealing=Sealing(file, "cam-1", clock))
    assert kinds(camera, [0, 100]) == "CP"
    write_secret(file, RING.derive("cam-1", 2).to_json())
    clock.now_s = 1.0
    assert kinds(camera, [200, 300]) == "CP"
    assert [context.key_id for context in camera.known.values()] == [1, 2]


def test_no_identity_is_sealed_twice_in_either_format(tmp_path: Path) -> None:
    file = tmp_path / "cam-1.key"
    write_secret(file, RING.derive("cam-1", 1).to_json())
    camera = Camera(1, sealing=Sealing(file, "cam-1", Clock()))
    camera.write(0)
    camera.sequence, camera.packet_format = 0, 2
    with pytest.raises(ValueError, match="once"):
        camera.write(0)


def outlined(network: int = 1) -> ObjectsSection:
    things = Outlined(640, 480, 8, (ObjectMask(1, 7, 0, 0, 20, np.eye(8) > 0),))
    return ObjectsSection(SectionLayout(Objects(network)), Section(things.digest() & 0xFFFFFF, things.to_bytes()))


def test_objects_lie_behind_what_is_coded_and_a_key_begins_where_they_begin_and_end() -> None:
    camera = Camera()
    found, sections = [], []
    for objects in (None, outlined(), outlined(), outlined(2), None, None):
        camera.objects = objects
        coded, written = camera.write(100 * camera.sequence)
        frame = camera.read(written.data)
        found.append("KP"[coded.kind])
        sections.append([type(each.content).__name__ for each in frame.head.context.sections])
        assert (frame.sections[-1] == objects.section) if objects is not None else len(frame.sections) == 1
    assert "".join(found) == "KKPKKP"
    assert sections == [["Latent"], *[["Latent", "Objects"]] * 3, ["Latent"], ["Latent"]]


def test_format_1_has_no_place_for_objects() -> None:
    camera = Camera(packet_format=1)
    camera.objects = outlined()
    coded, written = camera.write(0)
    assert FeaturePacket.parse(written.data) == coded
