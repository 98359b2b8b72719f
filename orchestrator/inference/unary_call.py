"""A small gRPC call over one HTTP/2 connection, for what is asked hundreds of times a second.

gRPC's own client takes 200 to 300 µs of processor time a call, in three threads; this takes 80, in the event loop. It
knows one thing: a small message, answered with a whole message, or with a status and why. What else a server may do it
calls :class:`Unreadable`, and who asked asks again through gRPC.

::

    client   preface, SETTINGS, WINDOW_UPDATE │ HEADERS, DATA (END_STREAM) │ SETTINGS ack, PING ack │ RST_STREAM
    server   SETTINGS                         │ HEADERS, DATA …, HEADERS (END_STREAM)

After RFC 9113 (HTTP/2), RFC 7541 (HPACK) and gRPC's "gRPC over HTTP2". In the clear, as Triton serves it. The server
is given no room for a table of headers, so that each of its blocks can be read by itself.
"""

from __future__ import annotations

import asyncio
import struct
from enum import IntEnum
from typing import cast
from urllib.parse import unquote

from narrows.contract.errors import ServiceError

MOST_MESSAGE_BYTES = 8192
"""Of a request: less than the least window of a stream, and than the least frame that every server takes."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEAD = struct.Struct(">HBBBI")  # length (16 and 8 bits), type, flags, stream
_SETTING, _U32 = struct.Struct(">HI"), struct.Struct(">I")
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE = 1, 2, 4
_DEFAULT_WINDOW, _WINDOW = 65_535, 1 << 24
_LAST_STREAM = (1 << 31) - 1
_CANCEL, _OK = 8, 0
_CONNECT_S = 5.0
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_ALONE = _END_HEADERS | _PADDED | _PRIORITY
"""Flags of a frame of headers; with the first alone its body is a whole block and nothing else."""
_MOST_FRAME_BYTES = 16_384
_MESSAGE_HEAD = 5  # compressed or not, length u32


class _Frame(IntEnum):
    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8


class CallFailed(Exception):
    """The server ended the call with a status of gRPC's that is not OK."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Unreadable(Exception):
    """The server ended the call in a way that is not known here: it is done with it."""


class ConnectionLost(ServiceError):
    """The connection ended, or could not be made; what was asked may be under way at the server still."""


class UnaryMethod:
    """A method of a service at one address. It connects when it is called, and anew where the connection ended."""

    def __init__(self, address: str, method: str) -> None:
        """``address``: ``host:port``; ``method``: as ``/package.Service/Method``."""
        self._address, self._method = address, method
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def call(self, request: bytes, timeout_s: float) -> bytes:
        """The message that a message is answered with.

        Raises:
            CallFailed: with a status instead.
            Unreadable: in a way that is not known here, or not asked: the request is too large for that.
            ConnectionLost: the connection ended before.
            TimeoutError: there was no answer in time.
        """
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._connected()
        if not connection.has_room(request):
            raise Unreadable
        return await connection.call(request, timeout_s)

    def close(self) -> None:
        """End the connection, and what is asked on it."""
        if self._connection is not None:
            self._connection.close()

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is None or not self._connection.usable:
                if self._connection is not None:
                    self._connection.leave()
                host, _, port = self._address.rpartition(":")
                try:
                    async with asyncio.timeout(_CONNECT_S):
                        _, self._connection = await asyncio.get_running_loop().create_connection(
                            lambda: _Connection(self._method, self._address), host.strip("[]"), int(port)
                        )
                except (OSError, ValueError) as error:
                    raise ConnectionLost(str(error) or "it does not answer") from None
            return self._connection


class _Connection(asyncio.Protocol):
    """Calls a method over one connection."""

    def __init__(self, method: str, authority: str) -> None:
        self._headers = _header_block(method, authority)
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._messages: dict[int, bytearray] = {}
        self._buffer = bytearray()
        self._next_stream = 1
        self._window, self._unacknowledged = _DEFAULT_WINDOW, 0
        self._leaving = False
        self._transport: asyncio.Transport | None = None

    @property
    def usable(self) -> bool:
        """Whether a call may be begun on it."""
        open_ = self._transport is not None and not self._transport.is_closing()
        return open_ and not self._leaving and self._next_stream < _LAST_STREAM

    def has_room(self, request: bytes) -> bool:
        """Whether a request can be sent now: one that is larger, or would wait for room at the server, is gRPC's."""
        return len(request) <= MOST_MESSAGE_BYTES and len(request) + _MESSAGE_HEAD <= self._window

    async def call(self, request: bytes, timeout_s: float) -> bytes:
        """As :meth:`UnaryMethod.call`."""
        if self._transport is None:
            raise ConnectionLost("it ended as soon as it was made")
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        answer = self._calls[stream] = asyncio.get_running_loop().create_future()
        self._messages[stream] = bytearray()
        message = b"\0" + _U32.pack(len(request)) + request  # not compressed
        self._window -= len(message)
        self._transport.write(
            _frame(_Frame.HEADERS, _END_HEADERS, stream, self._headers)
            + _frame(_Frame.DATA, _END_STREAM, stream, message)
        )
        try:
            async with asyncio.timeout(timeout_s):
                found: bytes = await answer
                return found
        finally:
            if self._calls.pop(stream, None) is not None:
                self._send(_frame(_Frame.RST_STREAM, 0, stream, _U32.pack(_CANCEL)))
            self._messages.pop(stream, None)

    def leave(self) -> None:
        """End the connection once what is asked on it has ended."""
        self._leaving = True
        if not self._calls:
            self.close()

    def close(self) -> None:
        """End the connection, and what is asked on it."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server."""
        self._transport = cast("asyncio.Transport", transport)
        ours = ((_HEADER_TABLE_SIZE, 0), (_ENABLE_PUSH, 0), (_INITIAL_WINDOW_SIZE, _WINDOW))
        settings = b"".join(_SETTING.pack(*each) for each in ours)
        grown = _U32.pack(_WINDOW - _DEFAULT_WINDOW)
        self._send(_PREFACE + _frame(_Frame.SETTINGS, 0, 0, settings) + _frame(_Frame.WINDOW_UPDATE, 0, 0, grown))

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing that was asked will be answered."""
        self._transport = None
        self._fail(0, ConnectionLost(f"the connection ended: {error or 'closed'}"))

    def data_received(self, data: bytes) -> None:
        """Take each whole frame up."""
        buffer, at = self._buffer, 0
        buffer += data
        while len(buffer) - at >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(buffer, at)
            begin, end = at + _HEAD.size, at + _HEAD.size + (high << 8 | low)
            if end - begin > _MOST_FRAME_BYTES:
                self.close()
                return
            if end > len(buffer):
                break
            try:
                self._take(kind, flags, stream & _LAST_STREAM, bytes(buffer[begin:end]))
            except (struct.error, IndexError):  # a frame that is shorter than its kind
                self.close()
                return
            at = end
        del buffer[:at]

    def _take(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        if kind == _Frame.DATA:
            self._take_data(flags, stream, body)
        elif kind == _Frame.HEADERS and flags & _END_STREAM:
            self._end(stream, body if flags & _ALONE == _END_HEADERS else None)
        elif kind == _Frame.RST_STREAM:
            self._settle(stream, ConnectionLost("the server gave the call up"))
        elif kind == _Frame.SETTINGS and not flags & _ACK:
            self._send(_frame(_Frame.SETTINGS, _ACK, 0))
        elif kind == _Frame.PING and not flags & _ACK:
            self._send(_frame(_Frame.PING, _ACK, 0, body))
        elif kind == _Frame.WINDOW_UPDATE and stream == 0:
            self._window += _U32.unpack_from(body)[0] & _LAST_STREAM
        elif kind == _Frame.GOAWAY:
            self._fail(_U32.unpack_from(body)[0] & _LAST_STREAM, ConnectionLost("the server is leaving"))
            self.leave()

    def _take_data(self, flags: int, stream: int, body: bytes) -> None:
        self._unacknowledged += len(body)
        if self._unacknowledged > _WINDOW // 2:
            self._send(_frame(_Frame.WINDOW_UPDATE, 0, 0, _U32.pack(self._unacknowledged)))
            self._unacknowledged = 0
        if flags & _PADDED:
            body = body[1 : len(body) - body[0]]
        if stream in self._messages:
            self._messages[stream] += body
        if flags & _END_STREAM:
            self._end(stream, None)

    def _end(self, stream: int, trailers: bytes | None) -> None:
        """The server is done with a call: its message is whole, or there is none and the trailers say why."""
        message = bytes(self._messages.get(stream, b""))
        found = message[_MESSAGE_HEAD:]
        if message[:_MESSAGE_HEAD] == b"\0" + _U32.pack(len(found)):
            self._settle(stream, found)
        else:
            self._settle(stream, _failure(trailers))

    def _fail(self, beyond: int, error: Exception) -> None:
        for stream in [each for each in self._calls if each > beyond]:
            self._settle(stream, error)

    def _settle(self, stream: int, found: bytes | Exception) -> None:
        answer = self._calls.pop(stream, None)
        if answer is not None and not answer.done():
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)
        if self._leaving and not self._calls:
            self.close()

    def _send(self, frames: bytes) -> None:
        if self._transport is not None:
            self._transport.write(frames)


def _frame(kind: _Frame, flags: int, stream: int, body: bytes = b"") -> bytes:
    size = len(body)
    return _HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream) + body


def _header_block(method: str, authority: str) -> bytes:
    """HPACK (RFC 7541): POST and http by their places in the static table, all else as literals that nobody indexes."""
    named = ((":path", method), (":authority", authority), ("te", "trailers"), ("content-type", "application/grpc"))
    literals = (b"\0" + _string(name) + _string(value) for name, value in named)
    return b"\x83\x86" + b"".join(literals)


def _string(text: str) -> bytes:
    """Its length, as an integer of a prefix of 7 bits, and its octets, not in Huffman's code."""
    octets, prefix = text.encode(), 127
    if len(octets) < prefix:
        return bytes((len(octets),)) + octets
    low, high = (len(octets) - prefix) & 127, (len(octets) - prefix) >> 7
    return bytes((prefix, low | 128, high) if high else (prefix, low)) + octets


def _failure(trailers: bytes | None) -> CallFailed | Unreadable:
    """What the trailers of a call without a message say."""
    found = None if trailers is None else _literals(trailers)
    status = None if found is None else found.get(b"grpc-status")
    if found is None or status is None or not status.isdigit() or int(status) == _OK:
        return Unreadable()
    return CallFailed(int(status), unquote(found.get(b"grpc-message", b"").decode("latin-1")))


def _literals(block: bytes) -> dict[bytes, bytes] | None:
    """The fields of a header block that are spelt out; ``None`` where one of them cannot be read here.

    Huffman's code, and tables beyond the static one, are what gRPC's servers do not use towards us.
    """
    found: dict[bytes, bytes] = {}
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80 or first & 0xE0 == 0x20:  # a field by its place in the table; the size of the table
                _, at = _integer(block, at, 7 if first & 0x80 else 5)
                continue
            place, at = _integer(block, at, 6 if first & 0x40 else 4)
            name, at = (b"", at) if place else _spelt(block, at)
            value, at = _spelt(block, at)
            if not place:
                found[name] = value
    except (IndexError, ValueError):
        return None
    return found


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
