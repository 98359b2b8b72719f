"""What is fuzzed, and what must hold of every input: a value or its named error, and a value means what its bytes say.

Each target is a function of bytes; whatever else it raises is a finding. ``repair`` puts checksums right, so
that mutations get past them; ``seeds`` are valid inputs to mutate.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from narrows.contract.bundle.heads import Head, Heads
from narrows.contract.bundle.int8_decoder import Int8Decoder
from narrows.contract.bundle.manifest import Manifest
from narrows.contract.codec import LabelTables, decode_labels, encode_labels
from narrows.contract.errors import (
    BundleError,
    ContextLost,
    FrameRefused,
    PacketError,
    PayloadUndecodable,
    RecordError,
    SealRefused,
    SecretError,
)
from narrows.contract.json_text import decode_json
from narrows.contract.records.frame_journal import JournalLine
from narrows.contract.records.prompts import PromptAnswers, PromptList
from narrows.contract.records.readiness import Readiness
from narrows.contract.records.report import DispatcherReport
from narrows.contract.records.still import Still
from narrows.contract.schedule import Explanation, PlanTable
from narrows.contract.seal import CameraKey, Keyring, open_frame, open_packet, seal_frame, seal_packet
from narrows.contract.wire import (
    Control,
    FeaturePacket,
    Install,
    MaskPacket,
    StreamSettings,
)
from narrows.contract.wire.frame_packet import (
    Envelope,
    FramePacket,
    PacketContext,
)
from narrows.contract.wire.keys import parse_feature_key
from narrows.contract.wire.outcome import REFUSED, SKIPPED, outcome_from_json
from narrows.contract.wire.scale_order import ScaleOrder
from narrows.models.dataset.coco import filled, parse_instances
from orchestrator.discovery.record import ServerRecord
from orchestrator.scaling.journal import JournalEntry
from orchestrator.scaling.status import Status
from orchestrator.servers.host_record import HostState, WantedServers
from tests.fuzz.examples import (
    COCO,
    CONTEXTS,
    FRAMES,
    KEY,
    OPENED,
    RING,
    SEALED_FRAMES,
    masks,
    outcome_bytes,
    records,
    with_mask_crc,
)
from tests.fuzz.examples import label_tables as label_table_examples

_HEADER = 48
_MOST_PIXELS = 1 << 18
_PAYLOAD = bytes.fromhex("39156a04d2f8e7063c7bbb5069f7ea70723382a94b3793edd6d0")


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
    if found.labels.size > _MOST_PIXELS:  # a small mask of one label is a few dozen bytes whatever its size
        return
    assert np.array_equal(MaskPacket.parse(found.to_bytes()).labels, found.labels)


def label_tables(data: bytes) -> None:
    """Tables have one form, and whatever they are, a payload that is read with them ends as labels or by name."""
    try:
        found = LabelTables.parse(data)
    except BundleError:
        return
    assert found.to_bytes() == data
    for payload in (_PAYLOAD, data[-40:]):
        try:
            labels = decode_labels(payload, (9, 12), 7, found)
        except PayloadUndecodable:
            continue
        assert labels.max() < 7
        assert np.array_equal(decode_labels(encode_labels(labels, 7, found), (9, 12), 7, found), labels)


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


RECORDS: tuple[tuple[Callable[[bytes], Any], Callable[[Any], bytes]], ...] = (
    (Control.parse, Control.to_json),
    (Install.parse, Install.to_json),
    (StreamSettings.parse, StreamSettings.to_json),
    (_outcome, outcome_bytes),
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
    (Head.parse, Head.to_json),
    (Heads.parse, Heads.to_json),
    (Readiness.parse, Readiness.to_json),
    (JournalLine.parse, JournalLine.to_json),
    (PromptList.parse, PromptList.to_json),
    (PromptAnswers.parse, PromptAnswers.to_json),
    (Still.parse, Still.to_json),
    (PlanTable.parse, PlanTable.to_json),
    (Explanation.parse, Explanation.to_json),
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


TARGETS = {
    target.name: target
    for target in (
        Target("feature", feature, tuple(packet.to_bytes() for packet in OPENED), with_packet_crc),
        Target("sealed", sealed, tuple(seal_packet(packet, KEY).to_bytes() for packet in OPENED), with_packet_crc),
        Target("frame", frame, tuple(packet.to_bytes() for packet in FRAMES), with_frame_crc),
        Target("sealed_frame", sealed_frame, tuple(seal_frame(packet, KEY) for packet in SEALED_FRAMES)),
        Target("context", context, tuple(found.encoded for found in CONTEXTS.values())),
        Target("mask", mask, masks(), with_mask_crc),
        Target("label_tables", label_tables, label_table_examples()),
        Target("record", record, records()),
        Target("json", json_text, (b'[{"a":[1,-2.5e3,true,null]},"x",18446744073709551615]', b'{"a":{"b":[[]]}}')),
        Target("coco", coco, (COCO,)),
    )
}
