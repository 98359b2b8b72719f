"""Header blocks of HTTP/2 (HPACK, RFC 7541) without a table: what a call of gRPC's is asked with, and how it ended.

The server was given no room for a table of headers, so that each of its blocks can be read by itself. Huffman's code is
not read: gRPC's servers do not use it, and who puts it between is asked through gRPC.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

STATUS, GRPC_STATUS, GRPC_MESSAGE = b":status", b"grpc-status", b"grpc-message"
_KNOWN = frozenset({STATUS, GRPC_STATUS, GRPC_MESSAGE})
_STATUSES = {8: b"200", 9: b"204", 10: b"206", 11: b"304", 12: b"400", 13: b"404", 14: b"500"}
"""Of the static table, by place. RFC 7541, appendix A."""
_STATIC = 61


def request_block(method: str, authority: str) -> bytes:
    """POST and http by their places in the static table, all else as literals that nobody indexes."""
    named = ((":path", method), (":authority", authority), ("te", "trailers"), ("content-type", "application/grpc"))
    literals = (b"\0" + _string(name) + _string(value) for name, value in named)
    return b"\x83\x86" + b"".join(literals)


@lru_cache(maxsize=64)
def status_fields(block: bytes) -> Mapping[bytes, bytes] | None:
    """The status of HTTP, that of gRPC and its message, as far as a block has them; ``None``: it cannot be read here.

    Answers are remembered: blocks of calls that went well are the same.
    """
    found: dict[bytes, bytes] = {}
    at, fields = 0, 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0xE0 == 0x20:
                size, at = _integer(block, at, 5)
                if size or fields:
                    return None
                continue
            name, value, at = _indexed(block, at) if first & 0x80 else _literal(block, at)
            fields += 1
            if name in found:
                return None
            if name in _KNOWN:
                found[name] = value
    except (IndexError, ValueError):
        return None
    return found


def _indexed(block: bytes, at: int) -> tuple[bytes, bytes, int]:
    place, at = _integer(block, at, 7)
    return _name_at(place), _STATUSES.get(place, b""), at


def _literal(block: bytes, at: int) -> tuple[bytes, bytes, int]:
    place, at = _integer(block, at, 6 if block[at] & 0x40 else 4)
    name, at = (_name_at(place), at) if place else _spelt(block, at)
    value, at = _spelt(block, at)
    return name, value, at


def _name_at(place: int) -> bytes:
    """The name at a place of the static table, if it is one of those that are looked for."""
    if not 1 <= place <= _STATIC:
        raise ValueError("a place in a table that is not there")
    return STATUS if place in _STATUSES else b""


def _string(text: str) -> bytes:
    """Its length, as an integer of a prefix of 7 bits, and its octets, not in Huffman's code."""
    octets, prefix = text.encode(), 127
    if len(octets) < prefix:
        return bytes((len(octets),)) + octets
    low, high = (len(octets) - prefix) & 127, (len(octets) - prefix) >> 7
    return bytes((prefix, low | 128, high) if high else (prefix, low)) + octets


def _integer(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """An integer, and where it ends. RFC 7541, 5.1."""
    most = (1 << prefix) - 1
    value, at = block[at] & most, at + 1
    if value < most:
        return value, at
    for shift in (0, 7, 14):
        value += (block[at] & 127) << shift
        at += 1
        if not block[at - 1] & 128:
            return value, at
    raise ValueError("an integer of more than 21 bits")


def _spelt(block: bytes, at: int) -> tuple[bytes, int]:
    """A string that is not in Huffman's code, and where it ends. RFC 7541, 5.2."""
    if block[at] & 128:
        raise ValueError("a string in Huffman's code")
    size, at = _integer(block, at, 7)
    if at + size > len(block):
        raise ValueError("a string that is cut off")
    return block[at : at + size], at + size
