"""Frames of HTTP/2 as a client meets them: cut out of what comes, and held against RFC 9113 before anyone acts on them.

::

    bytes, cut anywhere ─► size, place and order allowed? ─┬─► without padding, header blocks joined ─► Frame
                                                           └─► Breach: the connection is of no use any more

What is kept is one frame that is not whole yet, or one header block, each of which is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

MOST_FRAME_BYTES = 16_384
"""The least that an endpoint may take, which every endpoint takes: we send no more and take no more."""
MOST_NUMBER = (1 << 31) - 1
"""Of a stream, and of a window."""
MOST_BLOCK_BYTES = 1 << 16
_MOST_FRAMES = 1 << 16
"""Between the ends of two calls: an answer of 16 MiB has 1,024, and an idle server says a word now and then."""
_HEAD = struct.Struct(">HBBBI")  # length (16 and 8 bits), type, flags, stream
_SETTING = struct.Struct(">HI")
_PRIORITY_BYTES = 5
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32


class FrameKind(IntEnum):
    """RFC 9113, 6."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Setting(IntEnum):
    """RFC 9113, 6.5.2."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    """RFC 9113, 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Breach(Exception):
    """The server did what HTTP/2 forbids, or more than is taken here. RFC 9113, 5.4.1: it ends the connection."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{detail} ({code.name})")
        self.code = code


class Frame(NamedTuple):
    """One frame.

    Attributes:
        body: without padding; of HEADERS the whole block, with what CONTINUATION brought.
        size_bytes: of the body as it came, which is what flow control counts.
    """

    kind: int
    flags: int
    stream: int
    body: bytes
    size_bytes: int


class _Rule(NamedTuple):
    """Where a kind of frame may come, ``None``: anywhere, and how long its body may be."""

    of_stream: bool | None
    least_bytes: int = 0
    most_bytes: int = MOST_FRAME_BYTES


_RULES: dict[int, _Rule] = {
    FrameKind.DATA: _Rule(of_stream=True),
    FrameKind.HEADERS: _Rule(of_stream=True),
    FrameKind.PRIORITY: _Rule(True, _PRIORITY_BYTES, _PRIORITY_BYTES),
    FrameKind.RST_STREAM: _Rule(True, 4, 4),
    FrameKind.SETTINGS: _Rule(of_stream=False),
    FrameKind.PUSH_PROMISE: _Rule(of_stream=True),
    FrameKind.PING: _Rule(False, 8, 8),
    FrameKind.GOAWAY: _Rule(False, 8),
    FrameKind.WINDOW_UPDATE: _Rule(None, 4, 4),
    FrameKind.CONTINUATION: _Rule(of_stream=True),
}
_ANY = _Rule(of_stream=None)  # RFC 9113, 4.1: kinds that nobody knows are ignored
_DATA, _HEADERS, _CONTINUATION = int(FrameKind.DATA), int(FrameKind.HEADERS), int(FrameKind.CONTINUATION)


class _Block(NamedTuple):
    """A header block that goes on in the next frame."""

    stream: int
    flags: int
    body: bytearray


class FrameReader:
    """Cuts frames out of what one server sends on one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False
        self._block: _Block | None = None
        self._frames = 0

    def read(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole by now.

        Raises:
            Breach: behind those that came before it.
        """
        buffer, at = self._buffer, 0
        buffer += data
        try:
            while len(buffer) - at >= _HEAD.size:
                high, low, kind, flags, stream = _HEAD.unpack_from(buffer, at)
                size, stream = high << 8 | low, stream & MOST_NUMBER
                self._check(kind, flags, stream, size)
                begin, end = at + _HEAD.size, at + _HEAD.size + size
                if end > len(buffer):
                    return
                body, at = bytes(buffer[begin:end]), end
                self._count(kind)
                frame = self._whole(kind, flags, stream, body)
                if frame is not None:
                    yield frame
        finally:
            del buffer[:at]

    def call_ended(self) -> None:
        """The server got something done: its frames are counted from here."""
        self._frames = 0

    def _check(self, kind: int, flags: int, stream: int, size: int) -> None:
        if not self._greeted and (kind != FrameKind.SETTINGS or flags & ACK):
            raise Breach(ErrorCode.PROTOCOL_ERROR, "it does not begin as HTTP/2 does")
        block = self._block
        if (block is None) is (kind == _CONTINUATION) or (block is not None and stream != block.stream):
            raise Breach(ErrorCode.PROTOCOL_ERROR, "a header block whose parts are not next to each other")
        of_stream, least_bytes, most_bytes = _RULES.get(kind, _ANY)
        if not least_bytes <= size <= most_bytes:
            raise Breach(ErrorCode.FRAME_SIZE_ERROR, f"a frame of kind {kind} of {size} bytes")
        if of_stream is not None and of_stream is not (stream != 0):
            raise Breach(ErrorCode.PROTOCOL_ERROR, f"a frame of kind {kind} of stream {stream}")

    def _count(self, kind: int) -> None:
        self._greeted = True
        self._frames += 1
        if self._frames > _MOST_FRAMES:
            raise Breach(
                ErrorCode.ENHANCE_YOUR_CALM, f"{self._frames} frames without the end of a call, kind {kind} last"
            )

    def _whole(self, kind: int, flags: int, stream: int, body: bytes) -> Frame | None:
        if self._block is not None:
            return self._continued(self._block, flags, body)
        size_bytes = len(body)
        if flags & PADDED and kind in (_DATA, _HEADERS):
            body = _unpadded(body)
        if kind == _HEADERS:
            if flags & PRIORITY:
                if len(body) < _PRIORITY_BYTES:
                    raise Breach(ErrorCode.FRAME_SIZE_ERROR, "a priority that is cut off")
                body = body[_PRIORITY_BYTES:]
            if not flags & END_HEADERS:
                self._block = _Block(stream, flags, bytearray(body))
                return None
        return Frame(kind, flags, stream, body, size_bytes)

    def _continued(self, block: _Block, flags: int, body: bytes) -> Frame | None:
        block.body.extend(body)
        if len(block.body) > MOST_BLOCK_BYTES:
            raise Breach(ErrorCode.ENHANCE_YOUR_CALM, f"a header block of over {MOST_BLOCK_BYTES} bytes")
        if not flags & END_HEADERS:
            return None
        self._block = None
        return Frame(FrameKind.HEADERS, block.flags, block.stream, bytes(block.body), 0)


def frame_bytes(kind: FrameKind, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A frame as it is sent."""
    size = len(body)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + body


def settings_bytes(settings: Mapping[Setting, int]) -> bytes:
    """The body of a frame of settings."""
    return b"".join(_SETTING.pack(*each) for each in settings.items())


def settings_of(frame: Frame) -> dict[int, int]:
    """What a server sets; nothing where it acknowledges ours.

    Raises:
        Breach: it sets what it must not.
    """
    if frame.size_bytes % _SETTING.size or (frame.flags & ACK and frame.body):
        raise Breach(ErrorCode.FRAME_SIZE_ERROR, f"settings of {frame.size_bytes} bytes")
    found = dict[int, int](_SETTING.iter_unpack(frame.body))
    if found.get(Setting.ENABLE_PUSH, 0):
        raise Breach(ErrorCode.PROTOCOL_ERROR, "a server that would be pushed to")
    if found.get(Setting.INITIAL_WINDOW_SIZE, 0) > MOST_NUMBER:
        raise Breach(ErrorCode.FLOW_CONTROL_ERROR, "a window of over 2^31 - 1 bytes")
    if not MOST_FRAME_BYTES <= found.get(Setting.MAX_FRAME_SIZE, MOST_FRAME_BYTES) < 1 << 24:
        raise Breach(ErrorCode.PROTOCOL_ERROR, f"frames of {found[Setting.MAX_FRAME_SIZE]} bytes")
    return found


def code_name(code: int) -> str:
    """An error code as it is said."""
    return ErrorCode(code).name if code in ErrorCode._value2member_map_ else f"code {code}"


def _unpadded(body: bytes) -> bytes:
    if not body or body[0] >= len(body):
        raise Breach(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    return body[1 : len(body) - body[0]]
