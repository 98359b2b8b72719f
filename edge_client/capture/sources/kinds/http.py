"""A camera behind ``http://`` or ``https://``: a snapshot URL is asked for again and again, anything else is a stream.

::

    GET ──► one picture ──────────────────────► asked again at the frame rate, the last ETag or date with it
       └──► multipart (MJPEG), HLS, a video ──► FFmpeg, from then on
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import closing
from email.message import Message
from functools import partial
from threading import Event
from typing import IO, NamedTuple

from edge_client.capture.sources.base import Pictures, StreamBroken
from edge_client.capture.sources.decode import OPEN_S, READ_S, StreamFeed
from edge_client.capture.sources.kind import LiveKind, scheme_of
from narrows.runtime.pictures import read_picture

MOST_BYTES = 32 << 20
"""Of one snapshot: a sensor of 50 million pixels makes JPEGs of about 20 MB."""
_CHUNK, _SNIFFED = 1 << 16, 16
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")


class HttpFeed:
    """A camera behind an HTTP URL; what it gives at first decides what it is.

    It is spoken to directly, as everything is (:mod:`narrows.runtime.direct`). A name and password in the URL answer a
    Basic or Digest challenge (RFC 7617, RFC 7616) of that server and of no other.
    """

    def __init__(self, address: str, frames_per_s: float) -> None:
        self.address = address
        self._period_s = 1.0 / frames_per_s
        self._stream = StreamFeed(address)
        self._is_stream = False

    def pictures(self, ended: Event, damaged: Callable[[str], None]) -> Pictures:
        """Ask for a picture whenever one is due; or follow the stream that it turned out to be.

        Raises:
            StreamBroken: it cannot be reached, refuses, or its answer is too large or too slow.
            SourceError: it is a stream, and PyAV is not installed.
        """
        if not self._is_stream:
            yield from self._snapshots(ended)
        if self._is_stream:
            yield from self._stream.pictures(ended, damaged)

    def _snapshots(self, ended: Event) -> Pictures:
        client = _Client(self.address)
        while not ended.is_set():
            due_s = time.monotonic() + self._period_s
            answer = client.get()
            if answer.is_stream:
                self._is_stream = True
                return
            if answer.body is not None:
                yield partial(read_picture, answer.body, "the snapshot")
            ended.wait(max(0.0, due_s - time.monotonic()))


class _Answer(NamedTuple):
    """What came: a stream that was not read, a picture's bytes, or neither, for nothing is newer than before."""

    is_stream: bool = False
    body: bytes | None = None


class _Client:
    """Asks one URL, with what the last answer said of its age."""

    def __init__(self, address: str) -> None:
        parts = urllib.parse.urlsplit(address)
        host = parts.netloc.rpartition("@")[2]
        self._url = urllib.parse.urlunsplit((parts.scheme, host, parts.path or "/", parts.query, ""))
        self._opener = _opener(self._url, parts)
        self._validators: dict[str, str] = {}

    def get(self) -> _Answer:
        """One answer.

        Raises:
            StreamBroken: none that can be used.
        """
        try:
            request = urllib.request.Request(self._url, headers={"Accept": "image/*, */*;q=0.5", **self._validators})  # noqa: S310 -- http or https, as KIND matches
            with self._opener.open(request, timeout=OPEN_S) as response:
                return self._read(response)
        except urllib.error.HTTPError as error:
            with closing(error):
                if error.code == http.HTTPStatus.NOT_MODIFIED:
                    return _Answer()
                raise StreamBroken(f"HTTP {error.code} {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise StreamBroken(f"{reason.verify_message}: name the CA's file in SSL_CERT_FILE") from None
            raise StreamBroken(f"{type(error).__name__}: {reason}") from None

    def _read(self, response: http.client.HTTPResponse) -> _Answer:
        kind = response.headers.get_content_type()
        first = b"" if kind.startswith("multipart/") else response.read(_SNIFFED)
        if not (kind.startswith("image/") or first.startswith(_MAGIC)):
            return _Answer(is_stream=True)
        body = _whole(response, first)
        self._validators = {
            wanted: value
            for wanted, name in (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
            if (value := response.headers.get(name)) is not None
        }
        return _Answer(body=body)


def _whole(response: http.client.HTTPResponse, first: bytes) -> bytes:
    pieces, size, end_s = [first], len(first), time.monotonic() + READ_S
    while piece := response.read1(_CHUNK):
        pieces.append(piece)
        size += len(piece)
        if size > MOST_BYTES:
            raise StreamBroken(f"a snapshot of more than {MOST_BYTES >> 20} MiB")
        if time.monotonic() > end_s:
            raise StreamBroken(f"a snapshot that takes longer than {READ_S:.0f} s")
    return b"".join(pieces)


class _Refusals(urllib.request.BaseHandler):
    """Closes a challenge before it is answered by another request: urllib leaves that to the garbage collector."""

    handler_order = 100

    def http_error_401(
        self, _request: urllib.request.Request, response: IO[bytes], _code: int, _text: str, _headers: Message
    ) -> None:
        """Let go of the connection, and leave the answer to the handlers behind."""
        response.close()


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5


def _opener(url: str, parts: urllib.parse.SplitResult) -> urllib.request.OpenerDirector:
    """HTTP and nothing else: a redirect leads to no file and no FTP server, and to no more than a few places."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
        *_answers_to_challenges(url, parts),
    ):
        opener.add_handler(handler)
    return opener


def _answers_to_challenges(url: str, parts: urllib.parse.SplitResult) -> list[urllib.request.BaseHandler]:
    """Digest before Basic, as RFC 7616 wants it; none if the address has no name."""
    if parts.username is None:
        return []
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    name, word = urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or "")
    passwords.add_password(None, url, name, word)
    return [
        _Refusals(),
        urllib.request.HTTPDigestAuthHandler(passwords),
        urllib.request.HTTPBasicAuthHandler(passwords),
    ]


KIND = LiveKind(
    matches=lambda text: scheme_of(text) in {"http", "https"},
    feed=HttpFeed,
    example="a snapshot as http://HOST/PATH",
    documented="`http://`, `https://` of one picture (a snapshot)",
    taken="it is asked for at `--fps`, with the `ETag` or date of the last; what is not newer is not sent again",
)
