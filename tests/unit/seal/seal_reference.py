"""Cipher suite 1 once more, from the page and the RFCs: HKDF by hand, ChaCha20 and Poly1305 put together by hand."""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.poly1305 import Poly1305


def camera_key(root: bytes, key_id: int, stream: str) -> bytes:
    """RFC 5869 with SHA-256, no salt, 64 bytes."""
    pseudorandom = hmac.digest(bytes(32), root, hashlib.sha256)
    info = b"narrows seal 1\0" + bytes([key_id]) + stream.encode()
    first = hmac.digest(pseudorandom, info + b"\1", hashlib.sha256)
    return first + hmac.digest(pseudorandom, first + info + b"\2", hashlib.sha256)


def seal(opened: bytes, key: bytes, key_id: int) -> bytes:
    """A sealed packet's bytes from an open packet's."""
    header = bytearray(opened[:44])
    header[1] |= 1 << 4
    header[2] = key_id
    epoch, sequence = struct.unpack_from("<QI", header, 12)
    _xor(header, 40, key[32:], epoch, sequence)
    if header[1] & 1:
        _xor(header, 36, key[32:], epoch, sequence - header[3])
    payload = _aead(key[:32], bytes(header[12:24]), opened[48:], bytes(header))
    return bytes(header) + struct.pack("<I", zlib.crc32(bytes(header) + payload)) + payload


def _xor(header: bytearray, offset: int, key: bytes, epoch: int, sequence: int) -> None:
    mask = hmac.digest(key, struct.pack("<QI", epoch, sequence), hashlib.sha256)[:4]
    header[offset : offset + 4] = bytes(a ^ b for a, b in zip(header[offset : offset + 4], mask, strict=True))


def _aead(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """RFC 8439, section 2.8."""
    one_time = _chacha(key, nonce, 0, bytes(32))
    secret = _chacha(key, nonce, 1, plain)
    covered = _padded(associated) + _padded(secret) + struct.pack("<QQ", len(associated), len(secret))
    return secret + Poly1305.generate_tag(one_time, covered)


def _chacha(key: bytes, nonce: bytes, counter: int, data: bytes) -> bytes:
    return Cipher(ChaCha20(key, struct.pack("<I", counter) + nonce), None).encryptor().update(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def seal_frame(short: bytes, context: bytes, body: bytes, key: bytes) -> bytes:
    """A sealed packet of format 2, of its 9 header bytes, its context's bytes and its body."""
    epoch, first = struct.unpack_from("<QI", context, 8)
    offset, late_ms = struct.unpack_from("<HH", short, 5)
    sequence = struct.pack("<I", first + offset)
    capture = (int.from_bytes(context[20:26], "little") + late_ms).to_bytes(6, "little")
    sealed = _aead(key[:32], struct.pack("<Q", epoch) + sequence, body, short[:5] + sequence + capture + context)
    return short + (context if short[0] & 0x20 else b"") + sealed
