"""The one door to PyAV, an extra: decoding video into frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from edge_client.capture.sources.base import Pictures, StreamBroken
from narrows.contract.errors import SourceError
from narrows.runtime.pictures import frame_picture

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

OPEN_S, READ_S = 10.0, 10.0
"""How long a stream may take to open, and to give the next piece."""
_DAMAGED_IN_A_ROW = 100


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
        raise StreamBroken(_cause(error)) from error
    if not opened.streams.video:
        opened.close()
        raise StreamBroken("it has no video stream")
    return opened


def video_frames(container: InputContainer, damaged: Callable[[str], None]) -> Iterator[VideoFrame]:
    """Every frame of the first video stream, as it was decoded; ``damaged`` hears of each packet that was skipped.

    Raises:
        StreamBroken: the stream broke off before its end, or gives nothing but damaged packets.
    """
    import av  # noqa: PLC0415 -- an extra: pictures need no video library

    packets, in_a_row = container.demux(video=0), 0
    while True:
        try:
            packet = next(packets, None)
            decoded = [] if packet is None else packet.decode()
        except av.InvalidDataError as error:
            in_a_row += 1
            damaged(_cause(error))
            if in_a_row == _DAMAGED_IN_A_ROW:
                raise StreamBroken(f"{in_a_row} damaged packets in a row") from None
            continue
        except (av.FFmpegError, OSError, ValueError) as error:
            raise StreamBroken(_cause(error)) from None
        if packet is None:
            return
        for frame in decoded:
            in_a_row = 0
            yield frame


class StreamFeed:
    """Whatever FFmpeg opens by an address: the feed of most network streams."""

    def __init__(self, address: str, container: str | None = None, options: dict[str, str] | None = None) -> None:
        self.address = address
        self._container = container
        self._options = options

    def pictures(self, ended: Event, damaged: Callable[[str], None]) -> Pictures:  # noqa: ARG002 -- a read ends by its own time
        """Connect, and give each frame as it is decoded.

        Raises:
            SourceError: PyAV is not installed.
            StreamBroken: it cannot be reached, or broke off.
        """
        with open_container(self.address, self._container, self._options) as container:
            for frame in video_frames(container, damaged):
                yield partial(frame_picture, frame)


def _cause(error: Exception) -> str:
    if type(error).__name__ in {"ExitError", "TimeoutError"}:
        return f"{type(error).__name__}: nothing came in time"
    text = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {text}"
