"""What the references of all streams take is bounded, and what goes is what came first."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from narrows.contract.errors import ReferenceLost
from narrows.contract.wire import FeaturePacket, LatentShape, PacketKind
from narrows.contract.wire.frame_packet import FramePacket
from narrows.contract.wire.frame_packet.feature import of_feature
from orchestrator.dispatch.reference_cache import ReferenceCache
from orchestrator.dispatch.reference_memory import ReferenceMemory

PLANE = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
KEY = FeaturePacket(
    bundle_id=1,
    epoch=1,
    sequence=0,
    capture_ms=0,
    level=0,
    shape=LatentShape(2, 3, 4),
    own_digest=5,
    payload=b"p" * 100,
)


def _frame(sequence: int, *, predicted: bool = False) -> FramePacket:
    changes = {"kind": PacketKind.PREDICTED, "reference_distance": 1, "reference_digest": 5} if predicted else {}
    return of_feature(replace(KEY, sequence=sequence, **changes))


def _size() -> int:
    memory = ReferenceMemory(math.inf)
    cache = ReferenceCache(1, memory)
    cache.remember(_frame(0), PLANE)
    return memory.used_bytes if cache else 0


SIZE = _size()


def test_a_reference_counts_as_what_it_takes_once_a_frame_is_coded_against_it() -> None:
    memory = ReferenceMemory(math.inf)
    cache = ReferenceCache(4, memory)
    cache.postpone(_frame(0))
    undecoded = memory.used_bytes
    cache.remember(_frame(0), PLANE)  # decoded later, in its place
    assert len(memory) == 1
    assert memory.used_bytes - undecoded == PLANE.astype(np.int16).nbytes
    cache.memory_for(_frame(1, predicted=True))
    cache.remember(_frame(1), PLANE)
    assert memory.used_bytes == 2 * SIZE


def test_beyond_the_bound_the_references_that_came_first_go_whichever_stream_has_them() -> None:
    gone: list[bool] = []
    memory = ReferenceMemory(3 * SIZE, lambda: gone.append(True))
    silent, busy = ReferenceCache(8, memory), ReferenceCache(8, memory)
    silent.remember(_frame(0), PLANE)
    for sequence in range(3):
        busy.remember(_frame(sequence), PLANE)
    assert gone == [True]
    assert (silent.forgot, busy.forgot) == (True, False)
    assert all(busy.has_reference(_frame(sequence + 1, predicted=True)) for sequence in range(3))
    with pytest.raises(ReferenceLost):
        silent.memory_for(_frame(1, predicted=True))


def test_the_newest_reference_stays_however_little_there_is_room_for() -> None:
    cache = ReferenceCache(8, ReferenceMemory(1))
    for sequence in range(3):
        cache.remember(_frame(sequence), PLANE)
        assert cache.has_reference(_frame(sequence + 1, predicted=True))


def test_what_a_stream_had_is_free_once_it_is_gone() -> None:
    memory = ReferenceMemory(math.inf)
    caches = [ReferenceCache(8, memory) for _ in range(3)]
    for cache in caches:
        cache.remember(_frame(0), PLANE)
    del cache
    caches.pop()
    assert (len(memory), memory.used_bytes) == (2, 2 * SIZE)
    caches.clear()
    assert (len(memory), memory.used_bytes) == (0, 0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12), st.booleans()), max_size=80), st.integers(1, 12))
def test_whatever_streams_send_the_bound_holds_and_what_is_counted_is_what_is_kept(
    sent: list[tuple[int, int, bool]], room: int
) -> None:
    memory = ReferenceMemory(room * SIZE)
    caches = [ReferenceCache(3, memory) for _ in range(5)]
    for stream, sequence, late in sent:
        if late:
            caches[stream].postpone(_frame(sequence))
        else:
            caches[stream].remember(_frame(sequence), PLANE)
        planes = [plane for cache in caches for plane in cache._references.values()]
        assert memory.used_bytes == sum(plane.size_bytes for plane in planes) <= room * SIZE
        assert len(memory) == len(planes)
        assert all(len(cache._references) <= 3 for cache in caches)
