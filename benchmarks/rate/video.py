"""H.264 as a rival for video: x264 through PyAV, a key frame every two seconds, Annex B bytes, no container."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from benchmarks.rate.codecs import Coded, Picture, Setting, scaled_down, scaled_up
from benchmarks.rate.plan import SCALES

NAME, LABEL = "h264", "H.264 video"
QUALITIES = (26, 34, 42)
SETTINGS = tuple(Setting(scale, quality) for scale in SCALES for quality in QUALITIES)
FRAMES_PER_S = 15
KEY_EVERY = 2 * FRAMES_PER_S


def code_video(pictures: Sequence[Picture], setting: Setting, preset: str = "slow") -> Iterator[Coded]:
    """Consecutive pictures ``(H, W, 3)`` through one encoder; ``quality`` is x264's CRF.

    There are no B frames: a camera waits for no later picture.
    """
    first = scaled_down(pictures[0], setting.scale)
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = first.size
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, FRAMES_PER_S)
    encoder.framerate = Fraction(FRAMES_PER_S)
    encoder.gop_size = KEY_EVERY
    encoder.max_b_frames = 0
    encoder.options = {"crf": str(setting.quality), "preset": preset, "tune": "zerolatency", "threads": "1"}
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    sizes: list[int] = []
    decoded = 0
    for packet in _packets(encoder, pictures, setting.scale):
        if packet is not None:
            sizes.append(packet.size)
        for frame in decoder.decode(packet):
            decompressed = Image.fromarray(frame.to_ndarray(format="rgb24"))
            yield Coded(sizes[decoded], scaled_up(decompressed, pictures[0].shape))
            decoded += 1


def _packets(
    encoder: av.VideoCodecContext, pictures: Sequence[Picture], scale: float
) -> Iterator[av.Packet[av.VideoStream] | None]:
    """Every packet, then ``None``: the end."""
    for index, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(np.asarray(scaled_down(picture, scale)), format="rgb24")
        frame.pts = index
        yield from encoder.encode(frame)
    yield from encoder.encode(None)
    yield None
