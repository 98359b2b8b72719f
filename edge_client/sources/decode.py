"""The one door to PyAV, an extra: decoding video into pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from narrows.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import VideoFrame
    from av.container import InputContainer

OPEN_S, READ_S = 10.0, 10.0
"""How long a stream may take to open, and to give the next piece."""


class StreamBroken(SourceError):
    """A video cannot be opened, or broke off; ``str`` says why."""


def open_container(address: str, container: str | None = None, options: dict[str, str] | None = None) -> InputContainer:
    """Open a file, device or URL that holds a video stream.

    Raises:
        SourceError: PyAV is not installed.
        StreamBroken: it cannot be opened, or has no video.
    """
    try:
        import av  # noqa: PLC0415 -- an extra: pictures need no video library
    except ImportError:
        raise SourceError("video and cameras need PyAV: pip install 'narrows[video]'") from None
    try:
        opened = av.open(address, format=container, options=options or {}, timeout=(OPEN_S, READ_S))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise StreamBroken(_cause(error)) from None
    if not opened.streams.video:
        opened.close()
        raise StreamBroken("it has no video stream")
    return opened


def video_frames(container: InputContainer) -> Iterator[VideoFrame]:
    """Every frame of the first video stream, as it was decoded.

    Raises:
        StreamBroken: the stream broke off before its end.
    """
    import av  # noqa: PLC0415 -- an extra: pictures need no video library

    frames = container.decode(video=0)
    while True:
        try:
            frame = next(frames, None)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise StreamBroken(_cause(error)) from None
        if frame is None:
            return
        yield frame


def to_picture(frame: VideoFrame) -> NDArray[np.uint8]:
    """The picture ``(H, W, 3)`` uint8 RGB of a decoded frame."""
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _cause(error: Exception) -> str:
    if type(error).__name__ in {"ExitError", "TimeoutError"}:
        return f"{type(error).__name__}: nothing came in time"
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}"
