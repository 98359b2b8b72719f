"""``docs/wire-format.md`` and the code say the same of packet format 2: all is read from the page."""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from typing import Any

import numpy as np
import pytest

from narrows.contract.outputs.objects import Objects
from narrows.contract.wire import LatentShape, PacketKind
from narrows.contract.wire.frame_packet import (
    KINDS,
    Content,
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
from narrows.contract.wire.frame_packet.header import LEAST_PACKET_BYTES
from tests.unit.wire.test_wire_document import PAGE, hex_vector, json_vector, table_fields

NAMES = ["frame-context", "frame-context-three"]


def described_content(fields: dict[str, Any]) -> Content:
    if fields["kind"] == 1:
        return Latent(LatentShape(*fields["shape"]))
    if fields["kind"] == 2:
        return LabelMap(fields["height"], fields["width"], fields["labels"], int(fields["table_id"], 16))
    return Tensor(tuple(fields["shape"]), fields["precision_bits"])


def described_context(name: str) -> PacketContext:
    fields = json_vector(name)
    sections = tuple(
        SectionLayout(described_content(each), each["id"], each["level"], frozenset(each["depends_on"]))
        for each in fields["sections"]
    )
    return PacketContext(**{**fields, "bundle_id": int(fields["bundle_id"], 16), "sections": sections})


ONE, THREE = map(described_context, NAMES)
DIGEST = zlib.crc32(hex_vector("symbols")) & 0xFFFFFF
KEY = FramePacket(FrameHead(ONE, 7, ONE.capture_ms), (Section(DIGEST, bytes.fromhex("a1b2c3d4e5")),))
PREDICTED = FramePacket(FrameHead(ONE, 8, ONE.capture_ms + 200, PacketKind.PREDICTED, 1), (Section(0xADCAFE, b"\x42"),))
AGAIN = FramePacket(FrameHead(ONE, 9, ONE.capture_ms + 400), (Section(0xADCAFE, b"\x42\x43"),))
FAR = FramePacket(
    FrameHead(THREE, THREE.sequence + 0xFFFF, THREE.capture_ms + 0xFFFF, PacketKind.PREDICTED, 4),
    (Section(1, b"aa"), Section(2, b"b" * 130), Section(0xFFFFFF, b"c")),
)
FRAMES = {"frame-key": KEY, "frame-predicted": PREDICTED, "frame-key-again": AGAIN, "frame-three": FAR}


@pytest.mark.parametrize("name", NAMES)
def test_a_context_is_written_and_read_as_the_page_says(name: str) -> None:
    assert PacketContext.parse(hex_vector(name)) == described_context(name)
    assert described_context(name).encoded == hex_vector(name)


def test_a_context_is_named_by_the_hash_of_its_bytes() -> None:
    assert hashlib.sha256(hex_vector("frame-context")).digest()[:4] == ONE.id.to_bytes(4, "little")
    assert f"Its id is `{ONE.id:08x}`" in PAGE


@pytest.mark.parametrize("name", FRAMES)
def test_a_packet_is_written_and_read_as_the_page_says(name: str) -> None:
    envelope = Envelope.parse(hex_vector(name))
    assert FramePacket.of_open(envelope.head(FRAMES[name].head.context), envelope.rest) == FRAMES[name]
    assert FRAMES[name].to_bytes() == hex_vector(name)


def test_the_full_header_is_what_the_page_says_and_what_the_crc_covers() -> None:
    full, packet = hex_vector("frame-predicted-full"), hex_vector("frame-predicted")
    assert PREDICTED.head.full() == full
    assert full[:5] == packet[:5]
    assert full[5:15] == struct.pack("<I", 8) + (ONE.capture_ms + 200).to_bytes(6, "little")
    assert full[15:] == hex_vector("frame-context")
    assert zlib.crc32(full + packet[9:-4]) == int.from_bytes(packet[-4:], "little")


@pytest.mark.parametrize("name", FRAMES)
def test_the_header_table_alone_reads_the_vectors(name: str) -> None:
    fields, head = table_fields("### Header", hex_vector(name)), FRAMES[name].head
    distance = max(0, head.reference_distance - 1)
    assert fields == {
        "format and flags": 2 | head.kind << 4 | (name == "frame-key") << 5 | distance << 6,
        "context id": head.context.id,
        "sequence offset": head.sequence - head.context.sequence,
        "capture offset": head.capture_ms - head.context.capture_ms,
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_context_table_alone_reads_the_vectors(name: str) -> None:
    fields, context = table_fields("### Context", hex_vector(name)), described_context(name)
    assert fields == {
        "bundle id": context.bundle_id,
        "epoch": context.epoch,
        "first sequence": context.sequence,
        "first capture time": context.capture_ms,
        "cut": context.cut,
        "cipher suite": context.cipher,
        "key id": context.key_id,
        "source width": context.source_width,
        "source height": context.source_height,
        "orientation": context.orientation,
        "sections": len(context.sections),
    }


def test_every_kind_is_in_the_table() -> None:
    documented = dict(re.findall(r"^\| (\d) \| (latent|label map|tensor|objects) \|", PAGE, re.MULTILINE))
    named = {kind: re.sub(r"(?<!^)(?=[A-Z])", " ", content.__name__).lower() for kind, content in KINDS.items()}
    assert {int(kind): name for kind, name in documented.items()} == named


def test_the_sizes_on_the_page_are_those_of_the_code() -> None:
    assert f"fewer than {LEAST_PACKET_BYTES}: `truncated`; another format" in PAGE
    assert "one section: 16 bytes" in PAGE
    assert len(hex_vector("frame-predicted")) == 16 + len(PREDICTED.sections[0].payload)


def test_the_objects_on_the_page_are_read_and_written_as_it_says() -> None:
    found = Objects.parse(hex_vector("objects"))
    assert found.to_bytes() == hex_vector("objects")
    assert (found.width, found.height, found.side) == (1920, 1080, 16)
    outlined, lost = found.masks
    assert (outlined.prompt, outlined.version, outlined.x, outlined.y, outlined.side) == (1, 1767225598, 612, -20, 240)
    assert outlined.mask is not None
    rows, columns = np.mgrid[:16, :16]
    np.testing.assert_array_equal(outlined.mask, (rows - 8) ** 2 + (columns - 7) ** 2 < 20)
    assert (lost.prompt, lost.mask) == (3, None)
