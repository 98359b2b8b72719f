"""The stages of the camera, one frame at a time: a real encoder and coder, and an outbox that nobody empties."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import pytest
from PIL import Image

from edge_client.capture.paced_capture import PacedCapture
from edge_client.encode import split
from edge_client.encode.coding import FrameCoder
from edge_client.encode.frame_kind import FrameKind
from edge_client.encode.objects_alone import NoEncoder, ObjectsCoder
from edge_client.encode.open import open_encoder
from edge_client.encode.split import SplitCoder, SplitHead
from edge_client.encode.writing import PacketWriter
from edge_client.frame_numbers import FrameNumbers
from edge_client.pipeline import Pipeline, Step
from edge_client.planning.stage import Planned
from edge_client.prompts.settings import PromptSettings
from edge_client.prompts.stage import open_prompts
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from edge_client.settings import EdgeSettings
from edge_client.stats import Tally
from edge_client.transport.sender import open_sender
from narrows.contract.bundle import AnyBundle, Bundle
from narrows.contract.errors import FrameTooLarge
from narrows.contract.records.prompts import PromptList, SourceBox, SourcePrompt
from narrows.contract.wire import Control, FeaturePacket, FrameIdentity, PacketKind
from narrows.contract.wire.frame_packet import Envelope
from narrows.contract.wire.frame_packet.header import is_frame_packet
from tests import split_bundles
from tests.bright_network import write_bright_network

EPOCH = 7


class Impatient(Governor):
    """Takes every link to be behind."""

    @property
    def patience_s(self) -> float:
        return -1.0


@pytest.fixture
def still_scene(samples: Path, tmp_path: Path) -> Path:
    """A folder with the same picture four times."""
    picture = min(samples.glob("*.jpg"))
    for name in "abcd":
        (tmp_path / f"{name}.jpg").symlink_to(picture)
    return tmp_path


@contextmanager
def pipeline_of(
    bundle: AnyBundle, pictures: Path, stop: Event, governor: type[Governor] = Governor
) -> Iterator[Pipeline]:
    encoder, coder = open_encoder(bundle, 1, 60.0)
    settings = EdgeSettings(
        str(pictures),
        "cam-1",
        "redis://127.0.0.1:9",
        bundle.folder,
        pictures,
        frames_per_s=240.0,
        max_age_s=60.0,
        shards=4,
    )
    tally = Tally()
    rate = governor(bundle.manifest, Choice(1, 240.0), adaptive=governor is Impatient, monotonic_s=time.monotonic)
    with (
        closing(PacedCapture.open(settings, stop, lambda: None, tally)) as capture,
        open_sender(settings, lambda *_: None, rate, tally, lambda: None) as sender,
    ):
        assert sender.thread.open() is not None
        yield Pipeline(
            capture=capture,
            encoder=encoder,
            coder=coder,
            writer=PacketWriter(None, lambda: sender.packet_format),
            sender=sender,
            governor=rate,
            numbers=FrameNumbers(EPOCH),
            tally=tally,
        )


def queued(pipeline: Pipeline) -> list[FeaturePacket]:
    return [FeaturePacket.parse(outgoing.packet) for outgoing in pipeline.sender.outbox.take(100, 0.0)]


def test_each_picture_becomes_one_packet_of_the_next_identity(bundle: Bundle, samples: Path) -> None:
    with pipeline_of(bundle, samples, Event()) as pipeline:
        assert [pipeline.next_frame() for _ in range(3)] == [Step.QUEUED] * 3
        packets = queued(pipeline)
        assert [packet.identity for packet in packets] == [FrameIdentity(EPOCH, sequence) for sequence in range(3)]
        assert packets[0].kind is PacketKind.KEY
        assert {packet.level for packet in packets} == {1}
        assert pipeline.tally.snapshot().frames_taken == 3


def test_a_keyframe_that_the_cloud_asks_for_is_the_next_packet(bundle: Bundle, still_scene: Path) -> None:
    with pipeline_of(bundle, still_scene, Event()) as pipeline:
        questions = pipeline.sender.questions
        assert questions is not None
        for key_request in (0, 0, 1, 1):
            questions.control = Control(key_request=key_request)
            pipeline.next_frame()
        assert "".join("KP"[packet.kind] for packet in queued(pipeline)) == "KPKP"


def test_packets_are_of_the_format_that_the_install_record_allows_and_a_change_begins_with_a_key(
    bundle: Bundle, still_scene: Path
) -> None:
    with pipeline_of(bundle, still_scene, Event()) as pipeline:
        questions = pipeline.sender.questions
        assert questions is not None
        for newest in (1, 7, 7, 1):
            questions.newest_packet_format = newest
            pipeline.next_frame()
        packets = [(outgoing.packet, outgoing.depends) for outgoing in pipeline.sender.outbox.take(100, 0.0)]
    assert [(is_frame_packet(data), depends) for data, depends in packets] == [
        (False, False),
        (True, False),
        (True, True),
        (False, False),
    ]
    context = Envelope.parse(packets[1][0]).context
    assert context is not None
    assert (context.bundle_id, context.epoch, context.sequence) == (bundle.id, EPOCH, 1)
    assert (context.source_width, context.source_height) == (480, 360)


class TooDense(FrameCoder):
    """Finds no level at which the frame of one number fits a packet."""

    def packet(self, *given: Any, **more: Any) -> FeaturePacket:
        if given[2] == FrameIdentity(EPOCH, 1):
            raise FrameTooLarge("cut 0 takes more than a packet's bytes at every level")
        return super().packet(*given, **more)


def test_a_picture_that_no_packet_has_room_for_costs_its_own_frame_alone(bundle: Bundle, still_scene: Path) -> None:
    with pipeline_of(bundle, still_scene, Event()) as pipeline:
        dense = replace(pipeline, coder=TooDense(bundle, 60.0))
        assert [dense.next_frame() for _ in range(3)] == [Step.QUEUED, Step.TOO_LARGE, Step.QUEUED]
        assert [packet.identity.sequence for packet in queued(pipeline)] == [0, 2]
        now = pipeline.tally.snapshot()
    assert (now.frames_taken, now.frames_waiting, now.frames_dropped) == (3, 2, {"too_large": 1})


def test_objects_alone_wait_for_packet_format_2_and_then_are_all_that_is_sent(
    bundle: Bundle, still_scene: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    network = write_bright_network(tmp_path_factory.mktemp("network") / "bright.onnx")
    with pipeline_of(bundle, still_scene, Event()) as pipeline:
        alone = replace(
            pipeline,
            encoder=NoEncoder(),
            coder=ObjectsCoder(bundle.id),
            prompts=open_prompts(PromptSettings(network, alone=True)),
            objects_alone=True,
        )
        questions = pipeline.sender.questions
        assert questions is not None
        questions.newest_packet_format = 1
        assert alone.next_frame() is Step.HELD_BACK
        questions.newest_packet_format = 2
        questions.prompts = PromptList(1, (SourcePrompt(1, 1, 480, 360, 10**13, box=SourceBox(100, 100, 80, 80)),))
        assert [alone.next_frame() for _ in range(2)] == [Step.QUEUED] * 2
        queue = list(pipeline.sender.outbox.take(100, 0.0))
        now = pipeline.tally.snapshot()
    assert [outgoing.record.kind for outgoing in queue] == [FrameKind.OBJECTS] * 2
    assert [Envelope.parse(outgoing.packet).context is not None for outgoing in queue] == [True, False]
    assert (now.frames_taken, now.network_s < 0.001) == (2, True)


def test_while_the_link_is_behind_no_picture_is_taken(bundle: Bundle, samples: Path) -> None:
    with pipeline_of(bundle, samples, Event(), Impatient) as pipeline:
        assert pipeline.next_frame() is Step.HELD_BACK
        assert pipeline.tally.snapshot().frames_taken == 0


def test_a_stop_and_the_end_of_a_source_both_end_the_run(bundle: Bundle, still_scene: Path) -> None:
    stop = Event()
    with pipeline_of(bundle, still_scene, stop) as pipeline:
        steps = [pipeline.next_frame() for _ in range(5)]
        assert steps == [*[Step.QUEUED] * 4, Step.ENDED]
    stop.set()
    with pipeline_of(bundle, still_scene, stop) as pipeline:
        assert pipeline.next_frame() is Step.ENDED


class Plans:
    """Hears when a frame is planned, begun and coded."""

    level = 1

    def __init__(self) -> None:
        self.told: list[str] = []
        self.device_s: list[float] = []
        self.beside_s: list[float] = []
        self.levels: list[int] = []

    def plan(self, *_: object) -> Planned:
        self.told.append("planned")
        return Planned(0, self.level)

    def begins(self) -> None:
        self.told.append("begun")

    def too_large(self) -> None:
        self.told.append("too large")

    def coded(self, level: int, device_s: float, size_bytes: int, beside_s: float) -> None:
        self.told.append("coded")
        self.device_s.append(device_s)
        self.beside_s.append(beside_s)
        self.levels.append(level)
        assert size_bytes > 0


class Listening(Governor):
    """Keeps what it was told that frames took of this device."""

    took_s: list[float]

    def coded(self, level: int, size_bytes: int, encode_s: float, *, mask: bool = False) -> None:
        self.took_s = [*getattr(self, "took_s", []), encode_s]
        super().coded(level, size_bytes, encode_s, mask=mask)


def test_a_planner_hears_when_a_frame_begins_and_what_head_and_coder_took(bundle: Bundle, still_scene: Path) -> None:
    plans: Any = Plans()
    with pipeline_of(bundle, still_scene, Event(), Listening) as pipeline:
        planned = replace(pipeline, planning=plans)
        assert [planned.next_frame() for _ in range(2)] == [Step.QUEUED] * 2
        assert isinstance(planned.governor, Listening)
        assert plans.device_s == planned.governor.took_s
    assert plans.told == ["planned", "begun", "coded"] * 2
    assert plans.levels == [1, 1]
    assert plans.beside_s == [0.0, 0.0]


def test_a_planner_hears_what_prompts_took_beside_head_and_coder(
    bundle: Bundle, still_scene: Path, tmp_path: Path
) -> None:
    network, plans = write_bright_network(tmp_path / "bright.onnx"), Plans()
    with pipeline_of(bundle, still_scene, Event(), Listening) as pipeline:
        prompts = open_prompts(PromptSettings(network))
        planned = replace(pipeline, planning=cast("Any", plans), prompts=prompts)
        questions = pipeline.sender.questions
        assert questions is not None
        questions.prompts = PromptList(1, (SourcePrompt(1, 1, 480, 360, 10**13, box=SourceBox(100, 100, 80, 80)),))
        assert [planned.next_frame() for _ in range(2)] == [Step.QUEUED] * 2
        assert isinstance(planned.governor, Listening)
        both_s = [device_s + beside_s for device_s, beside_s in zip(plans.device_s, plans.beside_s, strict=True)]
        assert both_s == pytest.approx(planned.governor.took_s)
    assert min(plans.beside_s) > 0


def test_a_planner_hears_of_a_frame_that_had_no_room_and_of_the_level_that_was_coded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second picture has room at no level, the third at a coarser one than was planned."""
    made, plans, pictures = split_bundles.write(tmp_path / "bundle"), Plans(), tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(3):
        Image.fromarray(split_bundles.picture(seed)).save(pictures / f"{seed}.png")
    coder, head, planning = SplitCoder(made), SplitHead(made), cast("Any", plans)
    plans.level = 0
    sizes = [len(coder.packet(head.latent(split_bundles.picture(2)), level, FrameIdentity(1, 1), 0).sections[0].payload)
             for level in (0, 1)]  # fmt: skip
    with pipeline_of(made, pictures, Event()) as pipeline:
        planned = replace(pipeline, planning=planning, encoder=head, coder=coder, writer=PacketWriter(None, lambda: 2))
        steps = []
        for room in (1 << 20, 0, split._BESIDE_BYTES + sizes[0] - 1):
            monkeypatch.setattr(split, "MAX_PACKET_BYTES", room)
            steps.append(planned.next_frame())
        levels = [outgoing.record.level for outgoing in pipeline.sender.outbox.take(100, 0.0)]
    assert sizes[1] < sizes[0]
    assert steps == [Step.QUEUED, Step.TOO_LARGE, Step.QUEUED]
    assert plans.told == ["planned", "begun", "coded", "planned", "begun", "too large", "planned", "begun", "coded"]
    assert plans.levels == levels == [0, 1]
