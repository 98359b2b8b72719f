"""Which entries become frames: everything that can be refused before a symbol is decoded. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from narrows.contract.bundle import AnyBundle, format_id, parse_id
from narrows.contract.errors import BundleUnknown, ClockInFuture, EntryMalformed, PacketTooLarge
from narrows.contract.wire.feature import MAX_PACKET_BYTES
from narrows.contract.wire.frame_packet import FrameHead, FramePacket
from narrows.contract.wire.keys import ABLE_FIELD, ABLE_TO_MAKE_MASKS, PACKET_FIELD
from narrows.contract.wire.streams import Policy, StreamSettings
from narrows.runtime.redis.store import RawEntry

MOST_ENTRY_BYTES = 2 * MAX_PACKET_BYTES
"""An entry whose reply has more is ended unread: the largest packet leaves as much again for the frame around it."""
TOO_LARGE = f"an entry of more than {MOST_ENTRY_BYTES} bytes was not read; a packet has at most {MAX_PACKET_BYTES}"
_FIELDS = 8
_ONE_FIELD = f"a camera's has one field, of {MAX_PACKET_BYTES} bytes at most"


def packet_bytes(entry: RawEntry) -> bytes:
    """The packet of a stream entry: its field ``p``.

    Raises:
        PacketTooLarge: the entry is so large that it was not read, or has more in it than any camera of ours sends: no
            script shall look at it.
        EntryMalformed: the entry has no field ``p``, or was deleted while it was pending.
    """
    if entry.too_large:
        raise PacketTooLarge(TOO_LARGE)
    if entry.fields is None:
        raise EntryMalformed("the entry was deleted while it was pending")
    fields = entry.fields
    if len(fields) == 2 and fields[0] == PACKET_FIELD and len(fields[1]) <= MAX_PACKET_BYTES:
        return fields[1]  # as most are
    if beyond_a_packet(entry):
        raise PacketTooLarge(f"an entry of {len(fields) // 2} fields, {sum(map(len, fields))} bytes: {_ONE_FIELD}")
    for name, value in zip(fields[::2], fields[1::2], strict=False):
        if name == PACKET_FIELD:
            return value
    names = b", ".join(name[:80] for name in fields[::2])[:80]
    raise EntryMalformed(f"an entry without the field {PACKET_FIELD.decode()!r}; it has {names!r}")


def makes_masks_if_asked(entry: RawEntry) -> bool:
    """Whether a camera says, beside its packet, that it makes masks if it is asked."""
    fields = entry.fields or ()
    return (ABLE_FIELD, ABLE_TO_MAKE_MASKS) in zip(fields[::2], fields[1::2], strict=False)


def beyond_a_packet(entry: RawEntry) -> bool:
    """Whether an entry that was read has more fields, or more bytes, than any camera of ours sends."""
    fields = entry.fields or ()
    return len(fields) > 2 * _FIELDS or sum(map(len, fields)) > MOST_ENTRY_BYTES


def choose_bundle(packet: FramePacket, settings: StreamSettings, served: Mapping[int, AnyBundle]) -> AnyBundle:
    """The bundle that a packet was made with.

    Raises:
        BundleUnknown: the packet names one that is not served, or not the one that its stream is held to.
    """
    named = packet.head.context.bundle_id
    if settings.bundle is not None and parse_id(settings.bundle) != named:
        raise BundleUnknown(f"bundle {format_id(named)}; this stream is held to {settings.bundle}")
    bundle = served.get(named)
    if bundle is None:
        raise BundleUnknown(
            f"bundle {format_id(named)} is not served here; these are: {', '.join(map(format_id, served))}"
        )
    return bundle


def clock_ahead(head: FrameHead, arrived_ms: float, settings: StreamSettings, future_ms: int) -> bool:
    """Whether a capture time lies ahead of the server's clock by more than ``future_ms``.

    Raises:
        ClockInFuture: it does, and the stream's settings refuse such frames.
    """
    ahead_ms = head.capture_ms - arrived_ms
    if ahead_ms <= future_ms:
        return False
    if settings.refuse_future_clock:
        raise ClockInFuture(f"captured {ahead_ms:.0f} ms after the server took it; set the camera's clock (NTP)")
    return True


def clock_behind(head: FrameHead, arrived_ms: float, past_ms: int) -> bool:
    """Whether a capture time lies too far back to measure the uplink: spooled, or by a clock behind."""
    return arrived_ms - head.capture_ms > past_ms


def stale_at_s(arrived_s: float, settings: StreamSettings) -> float | None:
    """When a frame is too old for the network, on the clock of its arrival; ``None`` for never."""
    return arrived_s + settings.stale_ms / 1000 if settings.policy is Policy.REALTIME else None
