"""One HTTP/2 connection on which one method of gRPC's is called, many calls at once.

::

    client   preface, SETTINGS, WINDOW_UPDATE │ HEADERS, DATA (END_STREAM) │ SETTINGS ack, PING ack │ RST_STREAM
    server   SETTINGS                         │ HEADERS, DATA …, HEADERS (END_STREAM)

After RFC 9113 (HTTP/2) and gRPC's "gRPC over HTTP2". A request is one frame, sent only where the server has room for it
at once, so no call ever waits for a window. A breach of HTTP/2 ends the connection; all else ends a call at most.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import unquote

from narrows.contract.errors import ServiceError
from orchestrator.inference.header_blocks import GRPC_MESSAGE, GRPC_STATUS, STATUS, status_fields
from orchestrator.inference.http2_frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    MOST_BLOCK_BYTES,
    MOST_NUMBER,
    Breach,
    ErrorCode,
    Frame,
    FrameKind,
    FrameReader,
    Setting,
    code_name,
    frame_bytes,
    settings_bytes,
    settings_of,
)

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_U32, _GOAWAY = struct.Struct(">I"), struct.Struct(">II")
_DEFAULT_WINDOW, _WINDOW = 65_535, 1 << 24
_MESSAGE_HEAD = 5  # compressed or not, length u32
_DEBUG_BYTES = 100
_OURS = {
    Setting.HEADER_TABLE_SIZE: 0,
    Setting.ENABLE_PUSH: 0,
    Setting.INITIAL_WINDOW_SIZE: _WINDOW,
    Setting.MAX_HEADER_LIST_SIZE: MOST_BLOCK_BYTES,
}


class CallFailed(Exception):
    """The server ended the call with a status of gRPC's that is not OK."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Unreadable(Exception):
    """The server is done with the call, and there is no answer that can be read here; or it never took the call up."""


class CallLost(ServiceError):
    """No answer will come; what was asked may be under way at the server still."""


class _Call:
    """What is known of an answer so far.

    Attributes:
        heads: how many header blocks came before the data; ``head``: what the last one says, ``None``: unreadable.
    """

    __slots__ = ("answer", "head", "heads", "message")

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self.answer = answer
        self.message = bytearray()
        self.heads = 0
        self.head: Mapping[bytes, bytes] | None = None


class UnaryConnection(asyncio.Protocol):
    """Calls one method at one server."""

    def __init__(self, headers: bytes, lost: Callable[[UnaryConnection], None]) -> None:
        """``headers``: of each call; ``lost``: is told when the connection has ended."""
        self._headers, self._lost = headers, lost
        self._calls: dict[int, _Call] = {}
        self._reader = FrameReader()
        self._next_stream = 1
        self._window = self._stream_window = _DEFAULT_WINDOW
        self._most_calls = MOST_NUMBER
        self._unacknowledged = 0
        self._leaving = self._stuck = False
        self._transport: asyncio.Transport | None = None
        self._takes: dict[int, Callable[[Frame], None]] = {
            FrameKind.DATA: self._take_data,
            FrameKind.HEADERS: self._take_headers,
            FrameKind.RST_STREAM: self._take_reset,
            FrameKind.SETTINGS: self._take_settings,
            FrameKind.PUSH_PROMISE: self._take_promise,
            FrameKind.PING: self._take_ping,
            FrameKind.GOAWAY: self._take_leave,
            FrameKind.WINDOW_UPDATE: self._take_window,
        }

    @property
    def usable(self) -> bool:
        """Whether a call may be begun on it."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._leaving and self._next_stream < MOST_NUMBER

    def has_room(self, request: bytes) -> bool:
        """Whether the server takes one call more now, and the whole of its request."""
        room = min(self._window, self._stream_window)
        return len(request) + _MESSAGE_HEAD <= room and len(self._calls) < self._most_calls and not self._stuck

    async def call(self, request: bytes, timeout_s: float) -> bytes:
        """The message that a message is answered with. There must be room for it.

        Raises:
            CallFailed: with a status instead.
            Unreadable: in a way that is not read here, or the server did not take it up.
            CallLost: the connection ended before, or the server gave it up.
            TimeoutError: there was no answer in time. The connection takes no further calls, for it may be dead.
        """
        if self._transport is None:
            raise CallLost("the connection ended as soon as it was made")
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        loop = asyncio.get_running_loop()
        call = self._calls[stream] = _Call(loop.create_future())
        message = b"\0" + _U32.pack(len(request)) + request  # not compressed
        self._window -= len(message)
        self._transport.write(
            frame_bytes(FrameKind.HEADERS, END_HEADERS, stream, self._headers)
            + frame_bytes(FrameKind.DATA, END_STREAM, stream, message)
        )
        deadline = loop.call_later(timeout_s, self._overdue, stream)
        try:
            return await call.answer
        finally:
            deadline.cancel()
            if self._calls.pop(stream, None) is not None:
                self._cancel(stream)
            self._close_if_done()

    def leave(self) -> None:
        """End the connection once what is asked on it has ended."""
        self._leaving = True
        self._close_if_done()

    def close(self) -> None:
        """End the connection, and what is asked on it."""
        self._end(ErrorCode.NO_ERROR, "it was closed here")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server."""
        self._transport = cast("asyncio.Transport", transport)
        grown = _U32.pack(_WINDOW - _DEFAULT_WINDOW)
        settings = frame_bytes(FrameKind.SETTINGS, 0, 0, settings_bytes(_OURS))
        self._transport.write(_PREFACE + settings + frame_bytes(FrameKind.WINDOW_UPDATE, 0, 0, grown))

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing that was asked will be answered."""
        self._transport = None
        self._fail(f"the connection ended: {error or 'closed'}")
        self._lost(self)

    def eof_received(self) -> None:
        """The server says nothing any more."""
        self._end(ErrorCode.NO_ERROR, "the server ended the connection")

    def pause_writing(self) -> None:
        """The server reads nothing."""
        self._stuck = True

    def resume_writing(self) -> None:
        """It reads again."""
        self._stuck = False

    def data_received(self, data: bytes) -> None:
        """Take each whole frame up."""
        try:
            for frame in self._reader.read(data):
                take = self._takes.get(frame.kind)
                if take is not None:
                    take(frame)
        except Breach as breach:
            self._end(breach.code, f"the server breaks HTTP/2: {breach}")

    def _call_of(self, frame: Frame) -> _Call | None:
        """The call that a frame is about, if it is under way still."""
        stream = frame.stream
        if stream >= self._next_stream or not stream & 1:
            raise Breach(ErrorCode.PROTOCOL_ERROR, f"stream {stream}, which nobody began")
        return self._calls.get(stream)

    def _take_headers(self, frame: Frame) -> None:
        call = self._call_of(frame)
        if call is None:
            return
        fields = status_fields(frame.body)
        if frame.flags & END_STREAM:
            self._settle(frame.stream, _outcome(call, fields))
        elif fields is None or not fields.get(STATUS, b"").startswith(b"1"):  # what comes before it says nothing yet
            call.heads, call.head = call.heads + 1, fields

    def _take_data(self, frame: Frame) -> None:
        self._unacknowledged += frame.size_bytes
        if self._unacknowledged > _WINDOW // 2:
            self._reply(frame_bytes(FrameKind.WINDOW_UPDATE, 0, 0, _U32.pack(self._unacknowledged)))
            self._unacknowledged = 0
        call = self._call_of(frame)
        if call is None:
            return
        call.message += frame.body
        if frame.flags & END_STREAM:
            self._settle(frame.stream, Unreadable("it ended without a status"))
        elif len(call.message) >= _MESSAGE_HEAD:
            whole = _MESSAGE_HEAD + _U32.unpack_from(call.message, 1)[0]
            if len(call.message) > whole or whole > _WINDOW:  # whoever answers has computed it
                self._cancel(frame.stream)
                self._settle(frame.stream, Unreadable(f"a message of {whole} bytes, and {len(call.message)} came"))

    def _take_reset(self, frame: Frame) -> None:
        self._call_of(frame)
        code = _U32.unpack(frame.body)[0]
        if code == ErrorCode.REFUSED_STREAM:
            self._settle(frame.stream, Unreadable("the server did not take it up"))
        else:
            self._settle(frame.stream, CallLost(f"the server gave the call up ({code_name(code)})"))

    def _take_settings(self, frame: Frame) -> None:
        settings = settings_of(frame)
        if frame.flags & ACK:
            return
        self._stream_window = settings.get(Setting.INITIAL_WINDOW_SIZE, self._stream_window)
        self._most_calls = settings.get(Setting.MAX_CONCURRENT_STREAMS, self._most_calls)
        self._reply(frame_bytes(FrameKind.SETTINGS, ACK, 0))

    def _take_ping(self, frame: Frame) -> None:
        if not frame.flags & ACK:
            self._reply(frame_bytes(FrameKind.PING, ACK, 0, frame.body))

    def _take_promise(self, _: Frame) -> None:
        raise Breach(ErrorCode.PROTOCOL_ERROR, "a promise that was not asked for")

    def _take_window(self, frame: Frame) -> None:
        grown = _U32.unpack(frame.body)[0] & MOST_NUMBER
        if not grown:
            raise Breach(ErrorCode.PROTOCOL_ERROR, "a window that grows by nothing")
        if frame.stream:
            self._call_of(frame)  # its request was sent as a whole
        else:
            self._window += grown
        if self._window > MOST_NUMBER:
            raise Breach(ErrorCode.FLOW_CONTROL_ERROR, "a window of over 2^31 - 1 bytes")

    def _take_leave(self, frame: Frame) -> None:
        last, code = _GOAWAY.unpack_from(frame.body)
        said = frame.body[_GOAWAY.size : _GOAWAY.size + _DEBUG_BYTES].decode("ascii", "backslashreplace")
        why = f"the server is leaving and did not take it up ({code_name(code)}{said and ': '}{said})"
        for stream in [each for each in self._calls if each > last & MOST_NUMBER]:
            self._settle(stream, Unreadable(why))
        self.leave()

    def _settle(self, stream: int, found: bytes | Exception) -> None:
        call = self._calls.pop(stream, None)
        if call is None:
            return
        self._reader.call_ended()
        if not call.answer.done():
            if isinstance(found, Exception):
                call.answer.set_exception(found)
            else:
                call.answer.set_result(found)

    def _overdue(self, stream: int) -> None:
        self._leaving = True
        self._cancel(stream)
        self._settle(stream, TimeoutError())

    def _fail(self, why: str) -> None:
        for stream in list(self._calls):
            self._settle(stream, CallLost(why))

    def _close_if_done(self) -> None:
        if self._leaving and not self._calls:
            self.close()

    def _end(self, code: ErrorCode, why: str) -> None:
        """Say why, wait for nothing: a server that does not read would have us wait for ever."""
        transport, self._transport = self._transport, None
        if transport is not None:
            if not transport.is_closing():
                transport.write(frame_bytes(FrameKind.GOAWAY, 0, 0, _GOAWAY.pack(0, code)))
            transport.abort()
        self._fail(why)

    def _cancel(self, stream: int) -> None:
        if self._transport is not None:
            reset = frame_bytes(FrameKind.RST_STREAM, 0, stream, _U32.pack(ErrorCode.CANCEL))
            self._transport.write(reset)

    def _reply(self, frames: bytes) -> None:
        """What the server has us say: of one that asks and does not read, replies would pile up here."""
        if self._stuck:
            raise Breach(ErrorCode.ENHANCE_YOUR_CALM, "it asks and does not read")
        if self._transport is not None:
            self._transport.write(frames)


def _outcome(call: _Call, trailers: Mapping[bytes, bytes] | None) -> bytes | CallFailed | Unreadable:
    """What an answer that has ended comes to."""
    head = call.head if call.heads else trailers
    if head is None or trailers is None or call.heads > 1:
        return Unreadable("headers that are not read here")
    if head.get(STATUS) != b"200":
        return Unreadable(f"status {head.get(STATUS, b'?').decode('ascii', 'replace')} of HTTP")
    status = trailers.get(GRPC_STATUS, b"")
    if not status.isdigit() or len(status) > 2:
        return Unreadable("no status of gRPC")
    if int(status):
        return CallFailed(int(status), unquote(trailers.get(GRPC_MESSAGE, b"").decode("latin-1")))
    found = bytes(call.message[_MESSAGE_HEAD:])
    if not call.heads or call.message[:_MESSAGE_HEAD] != b"\0" + _U32.pack(len(found)):
        return Unreadable("a message that is compressed, or not whole")
    return found
