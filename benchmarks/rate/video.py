"""Video as a rival: H.264 and HEVC through PyAV, a key frame every two seconds, raw packets, no container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from benchmarks.rate.codecs import Coded, Picture, Setting, scaled_down, scaled_up
from benchmarks.rate.plan import SCALES

FRAMES_PER_S = 15
KEY_EVERY = 2 * FRAMES_PER_S


@dataclass(frozen=True)
class VideoCodec:
    """A codec that predicts from frame to frame.

    Attributes:
        qualities: its CRF: less is better, and larger.
        encoder, decoder: as FFmpeg names them.
        remark: the first byte of its NAL units that no decoder needs (SEI): the encoder names itself and its options.
        options: beside CRF and preset.
    """

    name: str
    label: str
    qualities: tuple[int, ...]
    encoder: str
    decoder: str
    remark: int
    options: Mapping[str, str]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Every scale with every quality."""
        return tuple(Setting(scale, quality) for scale in SCALES for quality in self.qualities)

    def code(self, pictures: Sequence[Picture], setting: Setting, preset: str = "slow") -> Iterator[Coded]:
        """Consecutive pictures ``(H, W, 3)`` through one encoder.

        There are no B frames: a camera waits for no later picture.
        """
        encoder = self._encoder(scaled_down(pictures[0], setting.scale).size, setting.quality, preset)
        decoder = av.CodecContext.create(self.decoder, "r")
        assert isinstance(decoder, av.VideoCodecContext)
        sizes: list[int] = []
        decoded = 0
        for packet in _packets(encoder, pictures, setting.scale):
            if packet is not None:
                sizes.append(needed_bytes(bytes(packet), self.remark))
            for frame in decoder.decode(packet):
                decompressed = Image.fromarray(frame.to_ndarray(format="rgb24"))
                yield Coded(sizes[decoded], scaled_up(decompressed, pictures[0].shape))
                decoded += 1

    def _encoder(self, size: tuple[int, int], quality: int, preset: str) -> av.VideoCodecContext:
        encoder = av.CodecContext.create(self.encoder, "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height = size
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = Fraction(1, FRAMES_PER_S)
        encoder.framerate = Fraction(FRAMES_PER_S)
        encoder.gop_size = KEY_EVERY
        encoder.max_b_frames = 0
        encoder.options = {"crf": str(quality), "preset": preset, "tune": "zerolatency", **self.options}
        return encoder


H264 = VideoCodec("h264", "H.264 video", (26, 34, 42), "libx264", "h264", 0x06, {"threads": "1"})
HEVC = VideoCodec(
    "hevc",
    "HEVC video",
    (26, 34, 42),
    "libx265",
    "hevc",
    0x4E,
    {"x265-params": "pools=none:frame-threads=1:log-level=error"},
)
VIDEOS = (H264, HEVC)
_START = b"\x00\x00\x01"


def needed_bytes(packet: bytes, remark: int) -> int:
    """The bytes of a packet of NAL units with start codes, but for the units that begin with ``remark``.

    x265 puts more than two thousand bytes of its options before every key frame.
    """
    first, *units = packet.split(_START)
    return len(first) + sum(len(_START) + len(unit) for unit in units if unit[:1] != bytes([remark]))


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
