"""Cipher suite 1: ChaCha20-Poly1305 (RFC 8439) over the payload, the header as associated data.

In format 1 the digests stand in the header, and are masked; in format 2 they are sealed with the payloads.

ChaCha20 needs no AES instructions, which many ARM boards lack, to be fast and constant in time.

The nonce is epoch and sequence (header bytes 12-23; in format 2, of the full header). It never repeats under a key: a
key belongs to one stream, and its camera makes a larger epoch durable before a boot's first frame, holds a lock on it,
and counts sequences up within it.
"""

from __future__ import annotations

import hmac
import struct
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from msgspec.structs import replace

from narrows.contract.errors import FieldInvalid, SealBroken, SealUnsupported
from narrows.contract.seal.camera_key import CameraKey
from narrows.contract.wire.feature import FeaturePacket, PacketKind
from narrows.contract.wire.frame_packet import FrameHead, FramePacket
from narrows.contract.wire.frame_packet.packet import within_limit

SUITE: Final = 1
TAG_BYTES: Final = 16
_NONCE = slice(12, 24)
_IDENTITY = struct.Struct("<QI")


def seal_packet(packet: FeaturePacket, key: CameraKey) -> FeaturePacket:
    """Seal an open packet; its payload grows by 16 bytes. The same identity must never be sealed twice.

    Raises:
        FieldInvalid: a header field is out of its range.
    """
    sealed = replace(_masked(packet, key), cipher=SUITE, key_id=key.key_id)
    header = sealed.associated_data()
    payload = ChaCha20Poly1305(key.cipher_secret).encrypt(header[_NONCE], packet.payload, header)
    return replace(sealed, payload=payload)


def open_packet(packet: FeaturePacket, key: CameraKey) -> FeaturePacket:
    """The open packet that a camera sealed with ``key``; it is authentic, whole and of this stream.

    Raises:
        SealUnsupported: another suite.
        SealBroken: header or payload were altered, or sealed with another key.
    """
    if packet.cipher != SUITE:
        raise SealUnsupported(f"cipher suite {packet.cipher}; this build opens suite {SUITE}")
    header = packet.associated_data()
    try:
        payload = ChaCha20Poly1305(key.cipher_secret).decrypt(header[_NONCE], packet.payload, header)
    except InvalidTag:
        payload = b""
    if not payload:
        raise SealBroken(f"the tag does not match key {key.key_id} of {key.stream}: altered, or another's")
    return replace(_masked(packet, key), cipher=0, key_id=0, payload=payload)


def seal_frame(packet: FramePacket, key: CameraKey) -> bytes:
    """A packet of format 2, sealed: the tag stands where an open one has its CRC. No identity must be sealed twice.

    Raises:
        FieldInvalid: its context names another suite or key; or a header field is out of its range.
        PacketError: a receiver would refuse it.
    """
    head = packet.head
    if (head.context.cipher, head.context.key_id) != (SUITE, key.key_id):
        raise FieldInvalid(
            f"a context of suite {head.context.cipher}, key {head.context.key_id}; the key is {key.key_id}"
        )
    header = head.short()
    sealed = ChaCha20Poly1305(key.cipher_secret).encrypt(head.nonce(), packet.body(), head.full())
    return within_limit(header + sealed)


def open_frame(head: FrameHead, rest: bytes, key: CameraKey) -> FramePacket:
    """The packet of format 2 that a camera sealed with ``key``, from its full header and its envelope's rest.

    Raises:
        SealUnsupported: another suite.
        SealBroken: header, context or body were altered, or sealed with another key.
        PacketError: an authentic body that is malformed.
    """
    if head.context.cipher != SUITE:
        raise SealUnsupported(f"cipher suite {head.context.cipher}; this build opens suite {SUITE}")
    try:
        body = ChaCha20Poly1305(key.cipher_secret).decrypt(head.nonce(), rest, head.full())
    except InvalidTag:
        raise SealBroken(f"the tag does not match key {key.key_id} of {key.stream}: altered, or another's") from None
    return FramePacket.of_body(head, body)


def _masked(packet: FeaturePacket, key: CameraKey) -> FeaturePacket:
    """With the digests' masks put on, or taken off: open digests would tell who listens which frames are equal."""
    own = packet.own_digest ^ _mask(key, packet.epoch, packet.sequence)
    if packet.kind is PacketKind.KEY:
        return replace(packet, own_digest=own)
    reference = packet.reference_digest ^ _mask(key, packet.epoch, packet.sequence - packet.reference_distance)
    return replace(packet, own_digest=own, reference_digest=reference)


def _mask(key: CameraKey, epoch: int, sequence: int) -> int:
    return int.from_bytes(hmac.digest(key.digest_secret, _IDENTITY.pack(epoch, sequence), "sha256")[:4], "little")
