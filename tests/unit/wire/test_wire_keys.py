"""Keys: ids that cannot be misread, and every key of a stream under its shard's hash tag."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import StreamIdInvalid
from narrows.contract.wire import ShardKeys, StreamKeys, shard_of
from narrows.contract.wire.keys import check_stream_id, parse_feature_key

stream_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


@given(stream_ids, st.integers(1, 1024))
def test_a_feature_key_names_its_shard_and_stream(stream: str, shards: int) -> None:
    key = StreamKeys.of(stream, shards).features.encode()
    assert parse_feature_key(key) == (shard_of(stream, shards), stream)


@given(stream_ids, st.integers(1, 1024))
def test_everything_of_a_stream_lies_in_its_shards_slot(stream: str, shards: int) -> None:
    keys = StreamKeys.of(stream, shards)
    prefix = ShardKeys(keys.shard).prefix + ":"
    own = [keys.features, keys.outcomes, keys.control, keys.seen, keys.ledger]
    assert len(set(own)) == 5
    assert all(key.startswith(prefix) and key.endswith(f":{stream}") for key in own)


@given(stream_ids, st.integers(1, 1024))
def test_a_shard_exists(stream: str, shards: int) -> None:
    assert 0 <= shard_of(stream, shards) < shards


@pytest.mark.parametrize(
    "stream",
    [
        "",
        ".cam",
        "-cam",
        "a" * 65,
        "cam 1",
        "cam:1",
        "cam/1",
        "cam{1}",
        "cam*",
        "cäm",
        "cam\n",
        "٣",
        "cam\0",
        "cam\ud800",
    ],
)
def test_an_id_with_odd_characters_is_refused_by_name(stream: str) -> None:
    with pytest.raises(StreamIdInvalid, match="A-Z a-z 0-9"):
        check_stream_id(stream)
    with pytest.raises(StreamIdInvalid):
        StreamKeys.of(stream, 4)


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda tail: b"narrows:{1}:in:" + tail))
def test_whatever_a_scan_finds_is_a_stream_or_refused(key: bytes) -> None:
    try:
        shard, stream = parse_feature_key(key)
    except StreamIdInvalid:
        return
    assert key == StreamKeys(stream, shard).features.encode()


@pytest.mark.parametrize("key", [b"narrows:{01}:in:cam", b"narrows:{1}:out:cam", b"narrows:{1}:in:", b"x:{1}:in:cam"])
def test_what_only_looks_like_a_feature_key_is_refused(key: bytes) -> None:
    with pytest.raises(StreamIdInvalid):
        parse_feature_key(key)
