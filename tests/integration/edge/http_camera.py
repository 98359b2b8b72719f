"""A camera behind HTTP: a snapshot URL and an MJPEG stream, with whatever such servers do to their clients."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from PIL import Image

NAME, WORD, REALM, NONCE = "admin", "hunter2", "camera", "abc123"
_FIELD = re.compile(r'(\w+)="?([^",]*)"?')


def jpeg(brightness: int) -> bytes:
    """A grey picture of 64x48."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (brightness,) * 3).save(buffer, "JPEG")
    return buffer.getvalue()


class HttpCamera(ThreadingHTTPServer):
    """Serves ``/snap`` and ``/mjpeg``; ``asked`` has the path and headers of each request.

    Attributes:
        body: the snapshot.
        kind: its Content-Type; ``None``: not said.
        etag: its version; ``None``: not said.
        challenge: ``Basic`` or ``Digest`` asks for a password.
        location: where ``/moved`` leads.
        drip_s: between the bytes of ``/drip``.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.body = jpeg(100)
        self.kind: str | None = "image/jpeg"
        self.etag: str | None = None
        self.challenge = self.location = ""
        self.drip_s = 0.0

    def url(self, path: str, user: str = "") -> str:
        """The address of a path, with a name and password before it or not."""
        return f"http://{user}127.0.0.1:{self.server_port}{path}"


class _Request(BaseHTTPRequestHandler):
    server: HttpCamera

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        camera = self.server
        camera.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        with suppress(OSError):
            if camera.challenge and not self._knows():
                extra = f', nonce="{NONCE}", qop="auth"' if camera.challenge == "Digest" else ""
                self._head(
                    401, {"WWW-Authenticate": f'{camera.challenge} realm="{REALM}"{extra}', "Content-Length": "0"}
                )
            elif self.path.startswith("/moved"):
                self._head(302, {"Location": camera.location, "Content-Length": "0"})
            elif self.path == "/mjpeg":
                self._stream()
            elif self.path == "/drip":
                self._drip()
            elif self.path != "/snap":
                self._head(404, {"Content-Length": "0"})
            elif camera.etag is not None and self.headers.get("If-None-Match") == camera.etag:
                self._head(304, {})
            else:
                self._snap()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _snap(self) -> None:
        said = {
            "Content-Type": self.server.kind,
            "ETag": self.server.etag,
            "Content-Length": str(len(self.server.body)),
        }
        self._head(200, {name: value for name, value in said.items() if value is not None})
        self.wfile.write(self.server.body)

    def _drip(self) -> None:
        self._head(200, {"Content-Type": "image/jpeg"})
        for byte in self.server.body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(self.server.drip_s)

    def _stream(self) -> None:
        self._head(200, {"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        for index in range(10_000):
            part = jpeg(60 + index % 100)
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
            self.wfile.write(head.encode() + part + b"\r\n")
            time.sleep(0.02)

    def _knows(self) -> bool:
        scheme, _, said = self.headers.get("Authorization", "").partition(" ")
        if scheme != self.server.challenge:
            return False
        if scheme == "Basic":
            return base64.b64decode(said).decode() == f"{NAME}:{WORD}"
        found = dict(_FIELD.findall(said))
        one = hashlib.md5(f"{NAME}:{REALM}:{WORD}".encode()).hexdigest()
        two = hashlib.md5(f"GET:{self.path}".encode()).hexdigest()
        middle = f"{NONCE}:{found['nc']}:{found['cnonce']}:auth"
        return str(found["response"]) == hashlib.md5(f"{one}:{middle}:{two}".encode()).hexdigest()


@contextmanager
def serving() -> Iterator[HttpCamera]:
    """A camera that listens."""
    with HttpCamera() as camera:
        Thread(target=camera.serve_forever, args=(0.02,), daemon=True).start()
        yield camera
        camera.shutdown()
