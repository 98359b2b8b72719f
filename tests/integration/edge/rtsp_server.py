"""A camera that speaks RTSP (RFC 2326) and sends H.264 (RFC 6184) between the answers on one TCP connection, or by UDP.

::

    OPTIONS ─► DESCRIBE (SDP) ─► SETUP (RTP/AVP/TCP;interleaved) ─► PLAY ─► $ channel length RTP, $ ... ─► TEARDOWN
                                 SETUP (RTP/AVP/UDP;client_port) ─► PLAY ─► datagrams of RTP
"""

from __future__ import annotations

import base64
import itertools
import re
import socket
import socketserver
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from threading import Event, Lock, Thread

import av
import numpy as np
from numpy.typing import NDArray

FPS, SIZE = 25, (64, 48)
_CLIP_FRAMES = 50
_TICKS = 90_000 // FPS
_LARGEST = 1200
_START_CODE = re.compile(rb"\x00\x00\x00?\x01")
_CLIENT_PORT = re.compile(r"client_port=(\d+)")
_PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    406: "Not Acceptable",
    461: "Unsupported Transport",
    503: "Service Unavailable",
}
_METHODS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
Unit = bytes


def h264_clip() -> list[list[Unit]]:
    """The NAL units of each frame of a still scene in which something moves; the first has the two parameter sets."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(FPS), Fraction(1, FPS)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    scene = np.random.default_rng(0).integers(0, 200, (*reversed(SIZE), 3), dtype=np.uint8)
    frames = [av.VideoFrame.from_ndarray(_with_dot(scene, index), format="rgb24") for index in range(_CLIP_FRAMES)]
    packets = itertools.chain.from_iterable(encoder.encode(frame) for frame in (*frames, None))
    return [[unit for unit in _START_CODE.split(bytes(packet)) if unit] for packet in packets]


def _with_dot(scene: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    picture = scene.copy()
    picture[8:12, index : index + 4] = 255
    return picture


class RtspCamera:
    """Serves one clip over and over to whoever asks, on a port that it keeps through :meth:`kill` and :meth:`start`.

    Attributes:
        status: what DESCRIBE is answered.
        refusal_of_tcp, refusal_of_udp: what a SETUP that asks for the transport is answered; 0: the transport is taken.
        stalled: while it is set nothing is sent any more, and no connection is closed.
        transports: what each SETUP asked for.
        plays: how many sessions came to play.
    """

    def __init__(self, clip: Sequence[Sequence[Unit]]) -> None:
        self.clip = clip
        self.status = 200
        self.refusal_of_tcp, self.refusal_of_udp = 0, 461
        self.stalled = Event()
        self.transports: list[str] = []
        self.plays = 0
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where it is, with a password that no log may show."""
        return f"rtsp://admin:hunter2@127.0.0.1:{self._port}/1"

    def start(self) -> None:
        """Listen, on the port of before if there was one."""
        self._server = _Server(("127.0.0.1", self._port), _Session)
        self._server.camera = self
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def kill(self) -> None:
        """Reset every connection and listen no more, as a process that is killed."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.shutdown(socket.SHUT_RDWR)

    def joined(self, connection: socket.socket) -> None:
        """A client connected."""
        with self._lock:
            self._connections.add(connection)

    def left(self, connection: socket.socket) -> None:
        """A client's connection is over."""
        with self._lock:
            self._connections.discard(connection)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    camera: RtspCamera


class _Session(socketserver.StreamRequestHandler):
    """One connection: answers requests, and plays in a thread of its own once asked to."""

    server: _Server

    def setup(self) -> None:
        super().setup()
        self.ended = Event()
        self.turn = Lock()
        self.datagrams: socket.socket | None = None
        self.server.camera.joined(self.request)

    def finish(self) -> None:
        self.ended.set()
        if self.datagrams is not None:
            self.datagrams.close()
        self.server.camera.left(self.request)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):
            while not self.ended.is_set() and (request := self._request()):
                self._answer(*request)

    def _request(self) -> tuple[str, dict[str, str]] | None:
        """The next request's method and headers; what the client sends between them (RTCP) is read over."""
        while (first := self.rfile.read(1)) == b"$":
            _, length = struct.unpack(">BH", self.rfile.read(3))
            self.rfile.read(length)
        line = (first + self.rfile.readline()).decode()
        headers = dict[str, str]()
        while text := self.rfile.readline().decode().strip():
            name, _, value = text.partition(":")
            headers[name.strip().lower()] = value.strip()
        return (line.split()[0], headers) if line.strip() else None

    def _answer(self, method: str, headers: dict[str, str]) -> None:
        camera, number = self.server.camera, headers.get("cseq", "0")
        if camera.stalled.is_set():
            return
        if method == "OPTIONS":
            self._say(number, 200, {"Public": _METHODS})
        elif method == "DESCRIBE":
            described = {"Content-Type": "application/sdp"}
            self._say(number, camera.status, described, _sdp(camera.clip) if camera.status == 200 else "")
        elif method == "SETUP":
            camera.transports.append(headers["transport"])
            self._set_up(number, headers["transport"])
        elif method == "PLAY":
            self._say(number, 200, {"Session": "1"})
            camera.plays += 1
            Thread(target=self._play, daemon=True).start()
        else:
            self._say(number, 200, {"Session": "1"})
            if method == "TEARDOWN":
                self.ended.set()

    def _set_up(self, number: str, transport: str) -> None:
        camera, port = self.server.camera, _CLIENT_PORT.search(transport)
        if refusal := camera.refusal_of_tcp if port is None else camera.refusal_of_udp:
            self._say(number, refusal, {})
            return
        taken = "RTP/AVP/TCP;unicast;interleaved=0-1"
        if port is not None:
            first = int(port[1])
            self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.datagrams.bind(("127.0.0.1", 0))
            self.datagrams.connect(("127.0.0.1", first))
            own = self.datagrams.getsockname()[1]
            taken = f"RTP/AVP/UDP;unicast;client_port={first}-{first + 1};server_port={own}-{own + 1}"
        self._say(number, 200, {"Transport": taken, "Session": "1"})

    def _say(self, number: str, status: int, headers: dict[str, str], body: str = "") -> None:
        told = {"CSeq": number, **headers, "Content-Length": str(len(body))}
        lines = [f"RTSP/1.0 {status} {_PHRASES[status]}", *(f"{name}: {value}" for name, value in told.items())]
        self._send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _send(self, data: bytes) -> None:
        with self.turn:
            self.request.sendall(data)

    def _play(self) -> None:
        with suppress(OSError):
            for packet, last in _rtp(self.server.camera.clip):
                while self.server.camera.stalled.is_set() and not self.ended.wait(0.02):
                    pass
                if self.datagrams is None:
                    self._send(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                else:
                    self.datagrams.send(packet)
                if last and self.ended.wait(1 / FPS):
                    return


def _sdp(clip: Sequence[Sequence[Unit]]) -> str:
    sets = ",".join(base64.b64encode(unit).decode() for unit in clip[0][:2])
    lines = ("v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "m=video 0 RTP/AVP 96")
    format_of = f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}"
    return "\r\n".join((*lines, "a=rtpmap:96 H264/90000", format_of, "a=control:track1", ""))


def _rtp(clip: Sequence[Sequence[Unit]]) -> Iterator[tuple[bytes, bool]]:
    """The clip's RTP packets for ever, and whether each ends a frame."""
    number = itertools.count()
    for index, frame in enumerate(itertools.cycle(clip)):
        payloads = [payload for unit in frame for payload in _payloads(unit)]
        for place, payload in enumerate(payloads, 1):
            last = place == len(payloads)
            header = struct.pack(">BBHII", 0x80, last << 7 | 96, next(number) & 0xFFFF, index * _TICKS, 1)
            yield header + payload, last


def _payloads(unit: Unit) -> Iterator[bytes]:
    """A NAL unit as it is, or in fragments (FU-A) if it is long."""
    if len(unit) <= _LARGEST:
        yield unit
        return
    pieces = [unit[begin : begin + _LARGEST] for begin in range(1, len(unit), _LARGEST)]
    for place, piece in enumerate(pieces):
        ends = (place == 0) << 7 | (place == len(pieces) - 1) << 6
        yield bytes((unit[0] & 0xE0 | 28, ends | unit[0] & 0x1F)) + piece
