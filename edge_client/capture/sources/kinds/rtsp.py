"""A camera that speaks RTSP (RFC 2326): its pictures over TCP if it gives them so, else over UDP."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

import structlog

from edge_client.capture.sources.base import Pictures, StreamBroken
from edge_client.capture.sources.decode import READ_S, open_container, video_frames
from edge_client.capture.sources.kind import LiveKind, scheme_of
from narrows.runtime.pictures import frame_picture
from narrows.runtime.redact import redact

if TYPE_CHECKING:
    from av.container import InputContainer

_LOG = structlog.get_logger("edge.camera")
_SILENCE_S = READ_S - 1.0
_OPTIONS = {
    "fflags": "nobuffer",
    "flags": "low_delay",
    "timeout": str(round(_SILENCE_S * 1e6)),  # the socket's, in microseconds
}
_TCP, _UDP = "tcp", "udp+udp_multicast"
_REFUSED = {"HTTPBadRequestError", "HTTPOtherClientError", "ArgumentError", "InvalidDataError"}
"""How PyAV names a SETUP that was refused, if the camera says less than 461, "Unsupported Transport" (RFC 2326,
11.3.14). 401, 403, 404 and 5xx have causes of their own, which UDP would not mend."""


class RtspFeed:
    """An RTSP camera. Interleaved TCP loses nothing and passes firewalls, so UDP is asked for only where it is refused.

    The transport that a camera took last is asked for first when it is connected anew.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._transport = _TCP

    def pictures(self, ended: Event, damaged: Callable[[str], None]) -> Pictures:  # noqa: ARG002 -- a read ends by its own time
        """Connect, and give each frame as it is decoded.

        Raises:
            SourceError: PyAV is not installed.
            StreamBroken: it cannot be reached, or broke off, or is silent.
        """
        with self._open() as container:
            heard_s = time.monotonic()
            for frame in video_frames(container, damaged):
                before_s, heard_s = heard_s, time.monotonic()
                if heard_s - before_s >= _SILENCE_S:
                    # the socket's time ran out, and the parser let go of a frame that is as old as the silence
                    raise StreamBroken("TimeoutError: nothing came in time")
                yield partial(frame_picture, frame)

    def _open(self) -> InputContainer:
        try:
            return self._open_over(self._transport)
        except StreamBroken as refusal:
            if not _refuses_transport(refusal):
                raise
            other = _UDP if self._transport == _TCP else _TCP
            try:
                container = self._open_over(other)
            except StreamBroken as also:
                raise StreamBroken(f"over {self._transport}: {refusal}; over {other}: {also}") from None
        _LOG.info("camera_transport", camera=redact(self.address), refused=self._transport, taken=other)
        self._transport = other
        return container

    def _open_over(self, transport: str) -> InputContainer:
        return open_container(self.address, None, {**_OPTIONS, "rtsp_transport": transport})


def _refuses_transport(refusal: StreamBroken) -> bool:
    cause = refusal.__cause__
    return getattr(cause, "errno", None) == errno.EPROTONOSUPPORT or type(cause).__name__ in _REFUSED


KIND = LiveKind(
    matches=lambda text: scheme_of(text) in {"rtsp", "rtsps"},
    feed=lambda text, _: RtspFeed(text),
    example="a camera as rtsp://HOST/PATH",
    documented="`rtsp://`, `rtsps://`",
    taken="the newest frame, over TCP, or over UDP from a camera that refuses TCP",
)
