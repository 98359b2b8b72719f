"""Example values that the fuzzers begin with, and which parsers must take."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from msgspec import structs

from narrows.contract.bundle.heads import Head, Heads
from narrows.contract.bundle.int8_decoder import Int8Decoder
from narrows.contract.bundle.manifest import FileEntry, InputSpec, Manifest, RateLevel
from narrows.contract.codec import count_label_tables, general_label_tables
from narrows.contract.outputs import Output
from narrows.contract.outputs.labels.small import pack_small
from narrows.contract.records.frame_journal import JournalLine
from narrows.contract.records.prompts import (
    PromptAnswer,
    PromptAnswers,
    PromptList,
    PromptRef,
    SourceBox,
    SourcePoint,
    SourcePrompt,
)
from narrows.contract.records.readiness import Readiness
from narrows.contract.records.report import BundleReport, CameraMasks, DispatcherReport, ServerReport, StreamRates
from narrows.contract.records.still import Still, StillAnswer, StillRequest
from narrows.contract.schedule import Conditions, Constraints, Design, Kind, Objective, Planner, PlanTable, explain
from narrows.contract.seal import Keyring, Root
from narrows.contract.wire import (
    Control,
    FeaturePacket,
    FrameIdentity,
    Install,
    LatentShape,
    MaskPacket,
    PacketKind,
    Policy,
    Refusal,
    Sends,
    Skip,
    StreamSettings,
    Timings,
)
from narrows.contract.wire.frame_packet import (
    FrameHead,
    FramePacket,
    LabelMap,
    Latent,
    PacketContext,
    Section,
    SectionLayout,
    Tensor,
)
from narrows.contract.wire.mask import SMALL, class_areas, seal_mask
from narrows.contract.wire.outcome import outcome_to_json
from narrows.contract.wire.scale_order import ScaleOrder
from orchestrator.discovery.record import ServerRecord
from orchestrator.scaling.journal import JournalEntry
from orchestrator.scaling.status import ServerLine, Status
from orchestrator.servers.host_record import HostState, WantedServers

RING = Keyring({1: Root(1, 0, None, bytes(range(32))), 2: Root(2, 0, 5, bytes(32))}, frozenset({("cam-2", 1)}))
KEY = RING.derive("cam-1", 1)
REPORT = DispatcherReport(
    "one",
    1767225600123,
    streams=3,
    backlog_frames=2,
    backlog_age_s=0.5,
    saturation=0.25,
    bundles={"0123456789abcdef": BundleReport({"0": 8.0, "12": 4.5}, {"0": 0.002})},
    servers={"10.0.0.1:8001": ServerReport(ready=True, outstanding=2)},
    top_streams=(StreamRates("gate-3", 12.5, 2.0, 0.5),),
    camera_masks=CameraMasks(made=("gate-1", "gate-3"), audited=("gate-3",), asked=("gate-1",)),
)
STATUS = Status(
    at_ms=1767225600123,
    interval_s=2.0,
    leader="one",
    token=3,
    engine="local",
    dry_run=False,
    frozen=False,
    ordered=None,
    wanted=2,
    ready=1,
    starting=1,
    draining=0,
    slots=4,
    min_servers=1,
    max_servers=4,
    instances=1,
    instances_wanted=2,
    streams=3,
    frames_per_s=30.0,
    server_frames_per_s=90.5,
    load=0.4,
    target_load=0.7,
    streams_left=5,
    streams_left_at_most=None,
    load_a_stream=0.1,
    load_a_stream_error=0.01,
    backlog_frames=0,
    backlog_age_s=0.0,
    late_ratio=0.0,
    dispatchers=1,
    dispatcher_saturation=0.2,
    capacity_exhausted=False,
    reasons=("load_high",),
    detail="words",
    servers=(ServerLine("10.0.0.1:8001", 1, 0.5),),
)
PLANS = PlanTable(
    "ab" * 32,
    "mIoU",
    (
        Design("device only", Kind.DEVICE_ONLY, 2_000_000_000, 0.5, 100, 0.0, 1.0, 9_000_000, 1.5),
        Design(
            "cut 2, 3 bits, rANS", Kind.SPLIT, 500_000_000, None, 20_534.5, 0.08, 0.995, 5_000_000, 0.2, 2, 3, "rANS"
        ),
    ),
)
PLANNER = Planner(PLANS, Objective.LATENCY, Constraints(most_latency_s=0.1))
SEEN = Conditions(20_000.0, 0.04, 0.25, 71.5, 0.5)
HEAD = Head(Output("wet", "scores", "float32", (1,), "raw"), FileEntry("ab" * 32, 5), "cd" * 32, "ef" * 32)
MANIFEST = Manifest(
    name="demo",
    version="1",
    classes=("road", "car"),
    palette=((1, 2, 3), (4, 5, 6)),
    input=InputSpec(64, 48, 0.5, 0.25),
    latent=LatentShape(2, 3, 4),
    levels=(RateLevel((1.0, 0.5), 0.02),),
    coding_order="channel",
    licence="MIT",
    provenance="made",
    files={name: FileEntry("ab", 3) for name in ("encoder.int8.onnx", "decoder.onnx", "tables.bin")},
)
DECLARING = replace(
    MANIFEST, schema=2, outputs=(*MANIFEST.outputs, Output("scene", "scores", "float32", (2,), "raw", ("day", "night")))
)
PLAIN = FeaturePacket(0x0123456789ABCDEF, 1767225600123, 7, 1767225600456, 2, LatentShape(2, 2, 2), 5, b"\xa1\xb2\xc3")
OPENED = (
    PLAIN,
    structs.replace(
        PLAIN, sequence=9, kind=PacketKind.PREDICTED, reference_distance=2, reference_digest=5, payload=b"\x42" * 40
    ),
)

_ONE = PacketContext(1, 1767225600123, 7, 1767225600456, (SectionLayout(Latent(LatentShape(2, 2, 2)), level=2),))
_THREE = dataclasses.replace(
    _ONE,
    sections=(
        *_ONE.sections,
        SectionLayout(LabelMap(60, 80, 11, 5), 1, depends_on=frozenset({0})),
        SectionLayout(Tensor((16, 45, 60), 6), 2, depends_on=frozenset({0, 1})),
    ),
    source_width=1920,
    source_height=1080,
)
_MOST = dataclasses.replace(_ONE, sections=tuple(structs.replace(_ONE.sections[0], id=index) for index in range(32)))


PROMPTS = PromptList(
    1767225600,
    (
        SourcePrompt(1, 1767225598, 1920, 1080, 1767254400123, "ada@desk", SourceBox(120.5, 80.0, 200.0, 150.0)),
        SourcePrompt(
            3,
            1767225600,
            1920,
            1080,
            1767254400456,
            points=(SourcePoint(40.0, 30.0), SourcePoint(9.0, 8.0, positive=False)),
        ),
    ),
    (PromptRef(17, 1767225500),),
    StillRequest(1767225600789, "ada@desk"),
)
STILL = Still(1767225600789, 1920, 1080, 1767225601234)
PROMPT_ANSWERS = PromptAnswers(
    width=1920,
    height=1080,
    version=1767225600,
    prompts=(PromptAnswer(1, 1767225598, "tracking", 2.5),),
    site=(SourcePrompt(18, 1767225600, 1920, 1080, 1767254400456, points=(SourcePoint(40.0, 30.0),)),),
    removed=(PromptRef(3, 1767225600),),
    stills_per_hour=12,
    still=StillAnswer(1767225600789, "too_many", 61),
)


def _frames(of: PacketContext) -> tuple[FramePacket, ...]:
    """A K packet that begins the context, and a P packet in it."""
    sections = tuple(Section(index, b"payload"[: 1 + index % 7]) for index in range(len(of.sections)))
    heads = FrameHead(of, 7, of.capture_ms), FrameHead(of, 9, of.capture_ms + 66, PacketKind.PREDICTED, 2)
    return tuple(FramePacket(head, sections) for head in heads)


FRAMES = tuple(frame for of in (_ONE, _THREE, _MOST) for frame in _frames(of))
SEALED_FRAMES = tuple(frame for of in (_ONE, _THREE) for frame in _frames(dataclasses.replace(of, cipher=1, key_id=1)))
CONTEXTS = {frame.head.context.id: frame.head.context for frame in FRAMES + SEALED_FRAMES}


def with_mask_crc(data: bytes) -> bytes:
    """The bytes with the CRC of a mask packet."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4])) if len(data) > 4 else data


def outcome_bytes(found: Any) -> bytes:
    return (b"s" if isinstance(found, Skip) else b"r") + outcome_to_json(found)


def masks() -> tuple[bytes, ...]:
    labels = (np.arange(40 * 30).reshape(40, 30) // 77 % 5).astype(np.uint8)
    timings, identity = Timings(1, 2, 3, 4, 5), FrameIdentity(7, 8)
    found = MaskPacket(9, identity, 1767225600456, 2, 500, labels, class_areas(labels, 5), timings)
    packed = found.to_bytes()
    raw = bytearray(packed[: 60 + 20] + labels.tobytes() + bytes(4))
    raw[1] = 0
    small = seal_mask(found, pack_small(labels, 5, general_label_tables()), SMALL)
    return packed, with_mask_crc(bytes(raw)), small


def label_tables() -> tuple[bytes, ...]:
    """Tables of few leaves: those of real masks are larger than an input."""
    labels = (np.arange(24 * 20).reshape(24, 20) // 37 % 5).astype(np.uint8)
    return count_label_tables([[labels]], 5).to_bytes(), count_label_tables([[labels], [labels.T]], 5).to_bytes()


def records() -> tuple[bytes, ...]:
    refusal = Refusal("crc_mismatch", "words", FrameIdentity(1, 2))
    written = (
        Control(1, 2.5, 3, Sends.MASKS, "device only", 0.25, (0, 1)).to_json(),
        Install(4, 2).to_json(),
        StreamSettings(Policy.COMPLETE, 2.0, "gates", "0123456789abcdef", 300, design="device only").to_json(),
        outcome_bytes(refusal),
        RING.to_json(),
        KEY.to_json(),
        b"narrows:{3}:in:cam-1",
        ScaleOrder(3, frozen=True, who="one@host", at_ms=1767225600123).to_json(),
        REPORT.to_json(),
        ServerRecord("10.0.0.1:8001", "gpu-0", "10.0.0.1:8002", 2.0, 10.5).to_json(),
        WantedServers(2, 7).to_json(),
        HostState(1767225600123, "one", 4, 2, 1, 1, 0, ("10.0.0.1:8001",), "no port").to_json(),
        STATUS.to_json(),
        JournalEntry("scale_up", 3, 1, ("load_high",), "9 streams", "one").to_json(),
        MANIFEST.to_json(),
        Int8Decoder("ab", "cd", 5, 10, 10, (0.1, -0.2), (0.99, 0.98)).to_json(),
        HEAD.to_json(),
        Heads((HEAD,), merged=FileEntry("ee" * 32, 9)).to_json(),
        Readiness(ready=False, reasons=("Redis is away",)).to_json(),
        JournalLine(
            1767225600123, 7, "picture7", 1767225600456, 500, sent=False, reason="queue_full", kind="audit"
        ).to_json(),
        PROMPTS.to_json(),
        PROMPT_ANSWERS.to_json(),
        STILL.to_json(),
        PLANS.to_json(),
        explain(PLANNER, PLANNER.plan(SEEN, 2.0), 3.5, 1767225600123).to_json(),
    )
    seeds = tuple(bytes([index]) + data for index, data in enumerate(written))
    return (*seeds, bytes([written.index(MANIFEST.to_json())]) + DECLARING.to_json())


COCO = (
    b'{"images":[{"id":1,"file_name":"a.jpg","width":10,"height":8}],"annotations":['
    b'{"image_id":1,"category_id":1,"iscrowd":0,"segmentation":[[1,1,4.5,1,4,5]]},'
    b'{"image_id":1,"category_id":1,"iscrowd":1,"segmentation":{"counts":[70,10],"size":[8,10]}}]}'
)
