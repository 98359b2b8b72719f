"""Any other URL: whatever FFmpeg opens."""

from __future__ import annotations

from edge_client.capture.sources.decode import StreamFeed
from edge_client.capture.sources.kind import LiveKind, scheme_of

KIND = LiveKind(
    matches=lambda text: scheme_of(text) not in {None, "file"},
    feed=lambda text, _: StreamFeed(text),
    example="another stream as srt://HOST:PORT",
    documented="any other URL, and `http://` of no picture (MJPEG, HLS, RTMP, SRT, ...)",
    taken="the newest frame, by FFmpeg",
    is_fallback=True,
)
