"""What is fuzzed, and what must hold of every input: a value or its named error, and a value means what its bytes say.

Each target is a function of bytes; whatever else it raises is a finding. ``repair`` puts checksums right, so
that mutations get past them; ``seeds`` are valid inputs to mutate.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from narrows.contract.bundle.int8_decoder import Int8Decoder
from narrows.contract.bundle.manifest import FileEntry, InputSpec, Manifest, RateLevel
from narrows.contract.errors import (
    BundleError,
    ContextLost,
    FrameRefused,
    PacketError,
    RecordError,
    SealRefused,
    SecretError,
)
from narrows.contract.json_text import decode_json
from narrows.contract.outputs import Output
from narrows.contract.records.frame_journal import JournalLine
from narrows.contract.records.readiness import Readiness
from narrows.contract.records.report import BundleReport, DispatcherReport, ServerReport, StreamRates
from narrows.contract.seal import CameraKey, Keyring, Root, open_frame, open_packet, seal_frame, seal_packet
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
    Skip,
    StreamSettings,
    Timings,
)
from narrows.contract.wire.frame_packet import (
    Envelope,
    FrameHead,
    FramePacket,
    LabelMap,
    Latent,
    PacketContext,
    Section,
    SectionLayout,
    Tensor,
)
from narrows.contract.wire.keys import parse_feature_key
from narrows.contract.wire.mask import class_areas
from narrows.contract.wire.outcome import REFUSED, SKIPPED, outcome_from_json, outcome_to_json
from narrows.contract.wire.scale_order import ScaleOrder
from narrows.models.dataset.coco import filled, parse_instances
from orchestrator.discovery.record import ServerRecord
from orchestrator.scaling.journal import JournalEntry
from orchestrator.scaling.status import ServerLine, Status
from orchestrator.servers.host_record import HostState, WantedServers

RING = Keyring({1: Root(1, 0, None, bytes(range(32))), 2: Root(2, 0, 5, bytes(32))}, frozenset({("cam-2", 1)}))
KEY = RING.derive("cam-1", 1)
_HEADER = 48


@dataclass(frozen=True)
class Target:
    """One parser, its valid inputs, and how a mutation of one gets its checksum."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    repair: Callable[[bytes], bytes] = bytes


def feature(data: bytes) -> None:
    """A packet has one form: what parses is written as the very same bytes."""
    try:
        packet = FeaturePacket.parse(data)
    except PacketError:
        return
    assert packet.to_bytes() == data


def sealed(data: bytes) -> None:
    """Nothing opens but what was sealed, and under its stream's good key alone."""
    try:
        packet = FeaturePacket.parse(data)
        for stream in ("cam-2", "cam-1"):
            try:
                RING.check(stream, packet.key_id, 10)
                opened = open_packet(packet, RING.derive(stream, packet.key_id))
            except SealRefused:
                continue
            assert stream == "cam-1"
            assert opened in OPENED
    except PacketError:
        return


def frame(data: bytes) -> None:
    """What parses, with its own context or with one that is kept, is written as the very same bytes."""
    try:
        found = _open_frame(data)
    except (PacketError, ContextLost):
        return
    assert found.to_bytes() == data
    layouts = found.head.context.sections
    assert len(layouts) == len(found.sections)
    assert all(other < index for index, layout in enumerate(layouts) for other in layout.depends_on)


def _open_frame(data: bytes) -> FramePacket:
    envelope = Envelope.parse(data)
    return FramePacket.of_open(envelope.head(CONTEXTS.get(envelope.context_id)), envelope.rest)


def sealed_frame(data: bytes) -> None:
    """Nothing opens but what was sealed, and under its stream's good key alone."""
    try:
        envelope = Envelope.parse(data)
        head = envelope.head(CONTEXTS.get(envelope.context_id))
        for stream in ("cam-2", "cam-1"):
            try:
                RING.check(stream, head.context.key_id, 10)
                opened = open_frame(head, envelope.rest, RING.derive(stream, head.context.key_id))
            except SealRefused:
                continue
            assert stream == "cam-1"
            assert opened in SEALED_FRAMES
    except (PacketError, ContextLost):
        return


def context(data: bytes) -> None:
    """A context has one form, and its sections depend on earlier ones alone."""
    try:
        found = PacketContext.parse(data)
    except PacketError:
        return
    assert found.encoded == data
    assert sum(layout.content.elements for layout in found.sections) <= 1 << 24


def mask(data: bytes) -> None:
    """Labels are of the size and below the number of classes that the header says, and survive another packing."""
    try:
        found = MaskPacket.parse(data)
    except RecordError:
        return
    assert found.labels.max() < len(found.areas)
    assert np.array_equal(MaskPacket.parse(found.to_bytes()).labels, found.labels)


def record(data: bytes) -> None:
    """The record that the first byte chooses; what is read is read again from what it writes."""
    parse, write = RECORDS[data[0] % len(RECORDS)] if data else RECORDS[0]
    try:
        found = parse(data[1:])
    except (RecordError, SecretError, BundleError, FrameRefused):
        return
    assert parse(write(found)) == found


def _outcome(data: bytes) -> Any:
    return outcome_from_json(REFUSED if data[:1] == b"r" else SKIPPED, data[1:])


def _outcome_bytes(found: Any) -> bytes:
    return (b"s" if isinstance(found, Skip) else b"r") + outcome_to_json(found)


RECORDS: tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
    (Control.parse, Control.to_json),
    (Install.parse, Install.to_json),
    (StreamSettings.parse, StreamSettings.to_json),
    (_outcome, _outcome_bytes),
    (Keyring.parse, Keyring.to_json),
    (CameraKey.parse, CameraKey.to_json),
    (parse_feature_key, lambda found: f"narrows:{{{found[0]}}}:in:{found[1]}".encode()),
    (ScaleOrder.parse, ScaleOrder.to_json),
    (DispatcherReport.parse, DispatcherReport.to_json),
    (ServerRecord.parse, ServerRecord.to_json),
    (WantedServers.parse, WantedServers.to_json),
    (HostState.parse, HostState.to_json),
    (Status.parse, Status.to_json),
    (JournalEntry.parse, JournalEntry.to_json),
    (Manifest.parse, Manifest.to_json),
    (Int8Decoder.parse, Int8Decoder.to_json),
    (Readiness.parse, Readiness.to_json),
    (JournalLine.parse, JournalLine.to_json),
)


def json_text(data: bytes) -> None:
    """What is read has numbers that every reader holds, and is read again from what is written of it."""
    try:
        found = decode_json(data, what="it", most_bytes=1 << 16)
    except RecordError:
        return
    assert decode_json(json.dumps(found, allow_nan=False).encode(), what="it", most_bytes=1 << 20) == found


def coco(data: bytes) -> None:
    """Outlines become masks of the picture's size."""
    try:
        found = parse_instances(data)
    except RecordError:
        return
    for each in found.annotations:
        try:
            assert filled(bytes(each.segmentation), (8, 10)).shape == (8, 10)
        except RecordError:
            continue


def with_packet_crc(data: bytes) -> bytes:
    """The bytes with the CRC of a feature packet."""
    if len(data) < _HEADER:
        return data
    crc = zlib.crc32(data[_HEADER:], zlib.crc32(data[: _HEADER - 4]))
    return data[: _HEADER - 4] + struct.pack("<I", crc) + data[_HEADER:]


def with_frame_crc(data: bytes) -> bytes:
    """The bytes with the context id, where they carry one, and the CRC of a packet of format 2."""
    try:
        envelope = Envelope.parse(data)
        if envelope.context is not None:
            data = data[:1] + envelope.context.id.to_bytes(4, "little") + data[5:]
        head = Envelope.parse(data).head(CONTEXTS.get(envelope.context_id))
    except (PacketError, ContextLost):
        return data
    body = envelope.rest[:-4]
    crc = zlib.crc32(body, zlib.crc32(head.full()))
    return data[: len(data) - len(envelope.rest)] + body + struct.pack("<I", crc)


def with_mask_crc(data: bytes) -> bytes:
    """The bytes with the CRC of a mask packet."""
    return data[:-4] + struct.pack("<I", zlib.crc32(data[:-4])) if len(data) > 4 else data


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
    replace(
        PLAIN, sequence=9, kind=PacketKind.PREDICTED, reference_distance=2, reference_digest=5, payload=b"\x42" * 40
    ),
)

_ONE = PacketContext(1, 1767225600123, 7, 1767225600456, (SectionLayout(Latent(LatentShape(2, 2, 2)), level=2),))
_THREE = replace(
    _ONE,
    sections=(
        *_ONE.sections,
        SectionLayout(LabelMap(60, 80, 11, 5), 1, depends_on=frozenset({0})),
        SectionLayout(Tensor((16, 45, 60), 6), 2, depends_on=frozenset({0, 1})),
    ),
    source_width=1920,
    source_height=1080,
)
_MOST = replace(_ONE, sections=tuple(replace(_ONE.sections[0], id=index) for index in range(32)))


def _frames(of: PacketContext) -> tuple[FramePacket, ...]:
    """A K packet that begins the context, and a P packet in it."""
    sections = tuple(Section(index, b"payload"[: 1 + index % 7]) for index in range(len(of.sections)))
    heads = FrameHead(of, 7, of.capture_ms), FrameHead(of, 9, of.capture_ms + 66, PacketKind.PREDICTED, 2)
    return tuple(FramePacket(head, sections) for head in heads)


FRAMES = tuple(frame for of in (_ONE, _THREE, _MOST) for frame in _frames(of))
SEALED_FRAMES = tuple(frame for of in (_ONE, _THREE) for frame in _frames(replace(of, cipher=1, key_id=1)))
CONTEXTS = {frame.head.context.id: frame.head.context for frame in FRAMES + SEALED_FRAMES}


def _masks() -> tuple[bytes, ...]:
    labels = (np.arange(40 * 30).reshape(40, 30) // 77 % 5).astype(np.uint8)
    timings, identity = Timings(1, 2, 3, 4, 5), FrameIdentity(7, 8)
    found = MaskPacket(9, identity, 1767225600456, 2, 500, labels, class_areas(labels, 5), timings)
    packed = found.to_bytes()
    raw = bytearray(packed[: 60 + 20] + labels.tobytes() + bytes(4))
    raw[1] = 0
    return packed, with_mask_crc(bytes(raw))


def _records() -> tuple[bytes, ...]:
    refusal = Refusal("crc_mismatch", "words", FrameIdentity(1, 2))
    written = (
        Control(1, 2.5, 0, 3).to_json(),
        Install(4, 2).to_json(),
        StreamSettings(Policy.COMPLETE, 2.0, "gates", "0123456789abcdef", 300).to_json(),
        _outcome_bytes(refusal),
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
        Readiness(ready=False, reasons=("Redis is away",)).to_json(),
        JournalLine(1767225600123, 7, "picture7", 1767225600456, 500, sent=False, reason="queue_full").to_json(),
    )
    seeds = tuple(bytes([index]) + data for index, data in enumerate(written))
    return (*seeds, bytes([written.index(MANIFEST.to_json())]) + DECLARING.to_json())


_COCO = (
    b'{"images":[{"id":1,"file_name":"a.jpg","width":10,"height":8}],"annotations":['
    b'{"image_id":1,"category_id":1,"iscrowd":0,"segmentation":[[1,1,4.5,1,4,5]]},'
    b'{"image_id":1,"category_id":1,"iscrowd":1,"segmentation":{"counts":[70,10],"size":[8,10]}}]}'
)
TARGETS = {
    target.name: target
    for target in (
        Target("feature", feature, tuple(packet.to_bytes() for packet in OPENED), with_packet_crc),
        Target("sealed", sealed, tuple(seal_packet(packet, KEY).to_bytes() for packet in OPENED), with_packet_crc),
        Target("frame", frame, tuple(packet.to_bytes() for packet in FRAMES), with_frame_crc),
        Target("sealed_frame", sealed_frame, tuple(seal_frame(packet, KEY) for packet in SEALED_FRAMES)),
        Target("context", context, tuple(found.encoded for found in CONTEXTS.values())),
        Target("mask", mask, _masks(), with_mask_crc),
        Target("record", record, _records()),
        Target("json", json_text, (b'[{"a":[1,-2.5e3,true,null]},"x",18446744073709551615]', b'{"a":{"b":[[]]}}')),
        Target("coco", coco, (_COCO,)),
    )
}
