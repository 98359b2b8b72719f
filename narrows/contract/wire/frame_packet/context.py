"""A packet's context: what need not travel with every frame.

It travels in full with the key packet that begins it, and is kept with the stream; later packets name it by a 4-byte
id and count their sequence and capture time from it. The id is a hash of its bytes: it cannot come to mean another.

::

     0  u64  bundle id            26  u8   cut
     8  u64  boot epoch           27  u8   cipher suite (0 = open)
    16  u32  first sequence       28  u8   key id (0 = open)
    20  u48  its capture time     29  u16  source width       33  u8  orientation (EXIF, 1-8)
                                  31  u16  source height      34  u8  sections
    35  ...  layout of each section
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import cached_property

from narrows.contract.errors import FieldInvalid, PacketTruncated
from narrows.contract.wire.feature import FrameIdentity
from narrows.contract.wire.frame_packet.section import SectionLayout, check_layouts, read_layouts

_HEAD = struct.Struct("<QQIIHBBBHHBB")
MAX_OFFSET = 0xFFFF
"""Frames, and milliseconds, that a context reaches: what 16 bits count."""


@dataclass(frozen=True)
class PacketContext:
    """What all packets that name it have in common.

    Attributes:
        bundle_id: the first 8 bytes of the bundle's hash, as an integer.
        epoch: the camera's boot epoch.
        sequence, capture_ms: of the key packet that it begins with.
        sections: what every packet of it holds, in this order.
        cut: where the network was split; 0 is the bundle's bottleneck.
        cipher, key_id: both 0 for open packets.
        source_width, source_height: the picture's size before it was fitted to the network; both 0: not said.
        orientation: of the picture as it was coded, as EXIF counts (1-8); 1: upright.
    """

    bundle_id: int
    epoch: int
    sequence: int
    capture_ms: int
    sections: tuple[SectionLayout, ...]
    cut: int = 0
    cipher: int = 0
    key_id: int = 0
    source_width: int = 0
    source_height: int = 0
    orientation: int = 1

    @cached_property
    def encoded(self) -> bytes:
        """The context's bytes, its one form.

        Raises:
            SectionCount, SectionOrder, SectionOverlap, ShapeBeyondLimits: what they say, of the sections.
            FieldInvalid: a field is out of its range, or contradicts another.
        """
        check_layouts(self.sections)
        self._check()
        try:
            head = _HEAD.pack(
                self.bundle_id,
                self.epoch,
                self.sequence,
                self.capture_ms & 0xFFFFFFFF,
                self.capture_ms >> 32,
                self.cut,
                self.cipher,
                self.key_id,
                self.source_width,
                self.source_height,
                self.orientation,
                len(self.sections),
            )
        except struct.error as error:
            raise FieldInvalid(f"a context's field is out of its range: {error}") from None
        return head + b"".join(section.pack() for section in self.sections)

    @cached_property
    def id(self) -> int:
        """The first 4 bytes of the SHA-256 of its bytes."""
        return int.from_bytes(hashlib.sha256(self.encoded).digest()[:4], "little")

    @property
    def identity(self) -> FrameIdentity:
        """The frame that it begins with."""
        return FrameIdentity(self.epoch, self.sequence)

    def reaches(self, sequence: int, capture_ms: int) -> bool:
        """Whether a later frame of the epoch can be told by its distance from the first."""
        return 0 < sequence - self.sequence <= MAX_OFFSET and 0 <= capture_ms - self.capture_ms <= MAX_OFFSET

    @classmethod
    def read(cls, data: bytes, at: int) -> tuple[PacketContext, int]:
        """The context that lies from ``at`` on, and where it ends; nothing is allocated by what it claims.

        Raises:
            PacketTruncated: fewer bytes than it needs.
            SectionCount, SectionKindUnknown, SectionOrder, SectionOverlap, ShapeBeyondLimits: of its sections.
            FieldInvalid: a field contradicts another.
        """
        head = data[at : at + _HEAD.size]
        if len(head) != _HEAD.size:
            raise PacketTruncated(f"{len(data)} bytes; a context's first part goes on to {at + _HEAD.size}")
        bundle_id, epoch, sequence, time_low, time_high, *rest, count = _HEAD.unpack(head)
        sections, end = read_layouts(data, at + _HEAD.size, count)
        found = cls(bundle_id, epoch, sequence, time_low | time_high << 32, sections, *rest)
        found._check()
        return found, end

    @classmethod
    def parse(cls, data: bytes) -> PacketContext:
        """Read a context that is kept by itself.

        Raises:
            PacketError: see :meth:`read`; bytes behind it are a ``FieldInvalid``.
        """
        found, end = cls.read(data, 0)
        if end != len(data):
            raise FieldInvalid(f"{len(data)} bytes; the context ends at {end}")
        return found

    def _check(self) -> None:
        if not 0 <= self.cipher <= 15:
            raise FieldInvalid(f"cipher suite {self.cipher}: there are 0 to 15")
        if (self.cipher == 0) != (self.key_id == 0):
            raise FieldInvalid(f"cipher suite {self.cipher} with key id {self.key_id}: both are 0, or neither")
        if (self.source_width == 0) != (self.source_height == 0):
            raise FieldInvalid(f"a source of {self.source_width} x {self.source_height}: both are 0, or neither")
        if not 1 <= self.orientation <= 8:
            raise FieldInvalid(f"orientation {self.orientation}: EXIF has 1 to 8")
