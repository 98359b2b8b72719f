"""A command's key is found wherever it stands, and its slot is the one that the specification says."""

from functools import cached_property

import pytest

from narrows.contract.wire import ShardKeys, StreamKeys
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.address import Endpoint
from narrows.runtime.redis.slots import SlotMap, key_of, slot_of


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("GET", "k"), b"k"),
        (("XADD", b"k", "MAXLEN", "~", 4, "*", b"p", b"k2"), b"k"),
        (("EVALSHA", "ab", 2, "k", "k2", "a"), b"k"),
        (("EVALSHA_RO", "ab", 1, b"k"), b"k"),
        (("EVAL", "return 1", 0), None),
        (("XREADGROUP", "GROUP", "narrows", "streams-1", "COUNT", 1, "STREAMS", "k", ">"), b"k"),
        (("XREAD", "COUNT", 16, b"BLOCK", 10, b"STREAMS", "k", "0"), b"k"),
        (("XGROUP", "CREATE", "k", "g", "0"), b"k"),
        (("XGROUP CREATE", "k", "g", "0"), b"k"),
        (("XINFO STREAM", "k"), b"k"),
        (("MEMORY USAGE", "k", "SAMPLES", 0), b"k"),
        (("MEMORY", "USAGE", "k"), b"k"),
        (("TIME",), None),
        (("CLUSTER SLOTS",), None),
        (("CONFIG GET", "maxmemory"), None),
        (("SCRIPT LOAD", "return 1"), None),
        (("SCAN", 0, "MATCH", "narrows:*"), None),
    ],
)
def test_the_key_of_a_command(command: tuple[str | bytes | int, ...], key: bytes | None) -> None:
    assert key_of(command) == key


def test_the_slot_is_of_the_hash_tag_alone() -> None:
    """123456789 has CRC-16 0x31C3 by the specification."""
    assert slot_of("123456789") == 0x31C3
    assert slot_of("narrows:{3}:in:cam-1") == slot_of("narrows:{3}:lease") == slot_of(b"3")
    assert slot_of(None) == slot_of("narrows:install")


def _names_of(keys: object) -> list[str]:
    return [getattr(keys, name) for name, kind in vars(type(keys)).items() if isinstance(kind, cached_property)]


def test_every_key_that_a_script_may_touch_together_with_another_is_in_the_same_slot() -> None:
    of_a_shard = [*_names_of(ShardKeys(3)), *_names_of(StreamKeys("cam-1", 3)), *_names_of(StreamKeys("b", 3))]
    of_scaling = [key for name, key in vars(ScaleKeys).items() if name.isupper()]
    assert min(len(of_a_shard), len(of_scaling)) >= 10
    assert {slot_of(key) for key in of_a_shard} == {slot_of("narrows:{3}:lease")}
    assert {slot_of(key) for key in of_scaling} == {slot_of("narrows:{scale}:leader")}


def test_a_map_says_who_serves_a_slot_and_a_node_without_a_name_is_whom_was_asked() -> None:
    asked = Endpoint("10.0.0.1", 7000)
    found = SlotMap.parse(
        [
            [0, 99, [b"", 7000, b"id"], [b"10.0.0.9", 7001, b"id"]],
            [200, 300, [b"b.example", 7002, b"id", [b"ip", b"x"]]],
        ],
        asked,
    )
    assert found.node(99) == asked
    assert found.node(200) == Endpoint("b.example", 7002)
    assert found.members == (asked, Endpoint("b.example", 7002), Endpoint("10.0.0.9", 7001))
    with pytest.raises(Exception, match=r"no node serves slot 150 \(narrows:install\)"):
        found.node(150, "narrows:install")
