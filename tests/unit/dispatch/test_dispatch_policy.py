"""The pure decisions of dispatch: shares, gaps, admission, staleness, references, the install record."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.codec import Memory, remember
from narrows.contract.errors import (
    BundleUnknown,
    ClockInFuture,
    EntryMalformed,
    PacketTooLarge,
    ReferenceLost,
    ServiceError,
    StreamIdInvalid,
)
from narrows.contract.wire import (
    FeaturePacket,
    FrameIdentity,
    LatentShape,
    PacketKind,
    Policy,
    StreamKeys,
    StreamSettings,
    shard_of,
)
from narrows.contract.wire.frame_packet import FrameHead, FramePacket
from narrows.contract.wire.frame_packet.feature import of_feature
from narrows.runtime.listening import parse_address
from narrows.runtime.redis.store import RawEntry
from orchestrator.dispatch.admission import choose_bundle, clock_ahead, clock_behind, packet_bytes, stale_at_s
from orchestrator.dispatch.gaps import GapWatch
from orchestrator.dispatch.health import DispatcherHealth
from orchestrator.dispatch.lease import Lease, fair_share
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.settings import DispatchSettings
from orchestrator.dispatch.stream import Stream
from orchestrator.dispatch.trim import byte_cap
from orchestrator.dispatch.window import SPAN, EpochWindow
from orchestrator.shards.entry_id import entry_ms
from orchestrator.shards.place import place_key

PACKET = FeaturePacket(
    bundle_id=1, epoch=2, sequence=10, capture_ms=1000, level=0, shape=LatentShape(1, 2, 2), own_digest=5, payload=b"x"
)
PLANE = np.ones((1, 2, 2), np.int8)


@given(st.integers(1, 64), st.sets(st.text(min_size=1), min_size=1, max_size=12))
def test_the_living_own_all_shards_and_differ_by_one_at_most(shards: int, living: set[str]) -> None:
    shares = [fair_share(shards, sorted(living), name) for name in living]
    assert sum(shares) == shards
    assert max(shares) - min(shares) <= 1


def test_a_dispatcher_that_does_not_count_as_living_owns_nothing() -> None:
    assert fair_share(4, ["a", "b"], "c") == 0


def _gap(sequence: int) -> FrameIdentity:
    return FrameIdentity(1, sequence)


def test_a_gap_is_lost_once_the_stream_was_read_to_its_end_after_its_time() -> None:
    watch = GapWatch(gap_s=30)
    assert watch.look([_gap(3)], now_s=100, drained_s=100, held=()) == []
    assert watch.look([_gap(3)], now_s=129, drained_s=129, held=()) == []
    assert watch.look([_gap(3)], now_s=131, drained_s=129, held=()) == []
    assert watch.look([_gap(3)], now_s=131, drained_s=130, held=()) == [_gap(3)]


def test_a_gap_whose_frame_is_held_or_may_be_held_is_not_lost() -> None:
    watch = GapWatch(gap_s=0)
    watch.look([_gap(3), _gap(4)], now_s=0, drained_s=0, held=())
    assert watch.look([_gap(3), _gap(4)], now_s=9, drained_s=9, held={_gap(3)}) == [_gap(4)]
    assert watch.look([_gap(3), _gap(4)], now_s=9, drained_s=9, held={None}) == []


def test_a_gap_that_was_filled_is_forgotten() -> None:
    watch = GapWatch(gap_s=1)
    watch.look([_gap(3)], now_s=0, drained_s=0, held=())
    watch.look([], now_s=1, drained_s=1, held=())
    assert len(watch) == 0


@given(st.integers(-1, 5000), st.integers(0, 2**SPAN - 1))
def test_the_window_reads_back_what_the_script_packs(high: int, bits: int) -> None:
    digits = 9_999_999_999 if high < 0 else high
    window = EpochWindow.parse(f"{digits:010d}{0:010d}".encode() + bits.to_bytes(SPAN // 8, "little"))
    assert window.high == high
    gaps = window.gaps()
    assert gaps == [s for s in range(max(0, high - SPAN + 1), high + 1) if not bits >> s % SPAN & 1]
    assert not any(window.has_ended(gap) for gap in gaps)
    assert not window.has_ended(high + 1)
    assert high < SPAN or window.has_ended(high - SPAN)


def test_the_packet_is_the_field_p_among_others() -> None:
    assert packet_bytes(RawEntry(b"1-1", [b"q", b"1", b"p", b"2"])) == b"2"
    for fields in ([], [b"q", b"1"], None):
        with pytest.raises(EntryMalformed):
            packet_bytes(RawEntry(b"1-1", fields))


@pytest.mark.parametrize(
    ("maxmemory_mib", "isolated", "cap_mib"),
    [
        (0, 0, 16),
        (0, 50, 16),
        (1024, 0, 16),
        (1024, 16, 16),
        (1024, 32, 8),
        (64, 0, 8),
        (64, 4, 4),
        (64, 40, 4),
        (1, 1, 4),
    ],
)
def test_streams_that_send_too_much_share_a_quarter_of_the_memory(
    maxmemory_mib: int, isolated: int, cap_mib: int
) -> None:
    assert byte_cap(16 << 20, maxmemory_mib << 20, isolated) == cap_mib << 20


@pytest.mark.parametrize("fields", [[b"p", b"2"] + [b"q", b"1"] * 8, [b"q", bytes(2 << 20), b"p", b"2"]])
def test_an_entry_with_more_in_it_than_a_packet_is_too_large_wherever_its_packet_is(fields: list[bytes]) -> None:
    with pytest.raises(PacketTooLarge, match="one field"):
        packet_bytes(RawEntry(b"1-1", fields))


def test_an_entry_that_was_left_unread_is_too_large() -> None:
    with pytest.raises(PacketTooLarge, match="was not read"):
        packet_bytes(RawEntry(b"1-1", None, too_large=True))


def test_a_bundle_that_is_not_served_is_unknown_and_the_message_says_what_is() -> None:
    with pytest.raises(BundleUnknown, match="0000000000000001 is not served"):
        choose_bundle(of_feature(PACKET), StreamSettings(), {})


@pytest.mark.parametrize(("ahead_ms", "ahead"), [(-(10**9), False), (5000, False), (5001, True)])
def test_a_clock_is_ahead_beyond_five_seconds(ahead_ms: int, ahead: bool) -> None:  # noqa: FBT001
    packet = replace(PACKET, capture_ms=10**10 + ahead_ms)
    assert clock_ahead(of_feature(packet).head, 10**10, StreamSettings(), 5000) is ahead
    if ahead:
        with pytest.raises(ClockInFuture, match="NTP"):
            clock_ahead(of_feature(packet).head, 10**10, StreamSettings(refuse_future_clock=True), 5000)


@pytest.mark.parametrize(("captured_ms", "behind"), [(0, True), (1, True), (10**10 - 60_001, True), (10**10, False)])
def test_a_capture_time_is_no_measure_of_the_uplink_beyond_a_minute(captured_ms: int, behind: bool) -> None:  # noqa: FBT001
    assert clock_behind(_head(captured_ms), 10**10, 60_000) is behind
    assert not clock_behind(_head(10**10 - 60_000), 10**10, 60_000)


def _head(capture_ms: int) -> FrameHead:
    return of_feature(replace(PACKET, capture_ms=capture_ms)).head


def test_only_realtime_frames_become_stale() -> None:
    assert stale_at_s(1.0, StreamSettings(stale_ms=500)) == 1.5
    assert stale_at_s(1.0, StreamSettings(policy=Policy.COMPLETE, stale_ms=500)) is None


def _frame(sequence: int, back: int = 0, **changes: Any) -> FramePacket:
    """A K packet of that sequence with the digest ``own_digest``; with ``back`` a P packet coded so far back."""
    if back:
        changes |= {"kind": PacketKind.PREDICTED, "reference_distance": back}
    return of_feature(replace(PACKET, sequence=sequence, **changes))


def _same(memory: Memory | None, wanted: Memory) -> bool:
    return memory is not None and np.array_equal(memory, wanted)


def test_a_reference_is_found_among_the_last_few_planes_only() -> None:
    references = ReferenceCache(keep=2)
    key, follower = _frame(10), _frame(11, 1, reference_digest=5)
    references.remember(key, PLANE)
    assert references.memory_for(key) is None
    assert _same(references.memory_for(follower), remember(PLANE))
    for wrong in ({"reference_digest": 6}, {"level": 1}, {"epoch": 3}, {"cut": 1}, {"bundle_id": 2}):
        with pytest.raises(ReferenceLost):
            references.memory_for(_frame(11, 1, **({"reference_digest": 5} | wrong)))
    for sequence in (11, 12):
        references.remember(_frame(sequence), PLANE)
    with pytest.raises(ReferenceLost):
        references.memory_for(follower)


def test_what_is_remembered_goes_on_from_the_reference_also_when_a_frame_comes_again() -> None:
    references, other = ReferenceCache(keep=4), np.roll(PLANE, 1, axis=2)
    follower = _frame(11, 1, reference_digest=5, own_digest=6)
    last = _frame(12, 1, reference_digest=6)
    for _ in range(2):
        references.remember(_frame(10), PLANE)
        references.remember(follower, other)
        assert _same(references.memory_for(last), remember(other, remember(PLANE)))


def test_what_came_too_late_is_decoded_when_a_later_frame_wants_it_and_only_then() -> None:
    references = ReferenceCache(keep=4)
    key, late = _frame(10), _frame(11, 1, reference_digest=5, own_digest=6)
    wanted = _frame(12, 1, reference_digest=6, own_digest=7)
    references.postpone(key)
    references.postpone(late)
    assert references.postponed_for(key) == []
    assert references.postponed_for(wanted) == [key, late]
    references.remember(key, PLANE)
    references.postpone(key)
    assert references.postponed_for(wanted) == [late]
    assert _same(references.memory_for(late), remember(PLANE))
    with pytest.raises(ReferenceLost):
        references.postponed_for(_frame(12, 1, reference_digest=8, own_digest=7))


def test_a_stream_floods_while_most_of_it_is_skipped() -> None:
    stream = Stream(StreamKeys("cam", 0), Lease(0, "1", 0.0), ReferenceCache(1), StreamSettings())
    for _ in range(20):
        stream.count_end(skipped=False)
    assert not stream.floods
    for _ in range(40):
        stream.count_end(skipped=True)
    assert stream.floods
    for _ in range(40):
        stream.count_end(skipped=False)
    assert not stream.floods


def test_a_key_is_placed_by_its_stream() -> None:
    shard = shard_of("cam-1", 4)
    assert place_key(f"narrows:{{{shard}}}:in:cam-1".encode(), 4) == (shard, "cam-1")
    for key in (f"narrows:{{{(shard + 1) % 4}}}:in:cam-1", "narrows:{x}:in:cam-1", f"narrows:{{{shard}}}:in:a b"):
        with pytest.raises(StreamIdInvalid):
            place_key(key.encode(), 4)


@given(st.binary())
def test_a_feature_key_is_placed_or_refused_whatever_its_bytes(key: bytes) -> None:
    try:
        shard, _ = place_key(key, 4)
    except StreamIdInvalid:
        return
    assert 0 <= shard < 4


def test_an_entry_id_begins_with_the_servers_clock() -> None:
    assert entry_ms(b"1700000000123-7") == 1_700_000_000_123


def test_settings_that_would_let_leases_lapse_are_refused() -> None:
    with pytest.raises(ServiceError, match="at most half"):
        DispatchSettings(beat_s=2.0, lease_ttl_ms=3000)
    with pytest.raises(ServiceError, match="max_batch"):
        DispatchSettings(max_batch=0)


@pytest.mark.parametrize("name", ["cached_references", "deliveries", "retention_s"])
def test_settings_with_which_no_frame_could_end_well_are_refused(name: str) -> None:
    with pytest.raises(ServiceError, match=name):
        DispatchSettings(**{name: 0})  # type: ignore[arg-type]


def test_a_room_that_no_read_fits_into_is_refused() -> None:
    DispatchSettings(room=4, read_count=4)
    with pytest.raises(ServiceError, match="no read would fit"):
        DispatchSettings(room=3, read_count=4)


@pytest.mark.parametrize("address", ["9464", "host:", ":9464", "host:port", "host:99999"])
def test_an_address_is_host_and_port(address: str) -> None:
    with pytest.raises(ServiceError, match="HOST:PORT"):
        parse_address(address)


def test_readiness_names_every_reason() -> None:
    health = DispatcherHealth(
        redis_ok=False, shards_due=4, shards_owned=1, decoders_ready={"ab": False, "cd": True}, stopping=True
    )
    assert health.reasons_not_ready() == [
        "stopping",
        "Redis does not answer",
        "owns 1 shards, should own 4",
        "Triton: bundle ab is not ready",
    ]
