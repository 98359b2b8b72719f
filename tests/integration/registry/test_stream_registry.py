"""Settings of streams in a real Redis: kept, changed, removed, and every change on record."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from narrows.client.registry import StreamRegistry, overviews, read_audit
from narrows.contract.errors import RecordError, ServiceError, StreamIdInvalid
from narrows.contract.wire import Install, Policy, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import AUDIT_KEY, INSTALL_KEY
from narrows.runtime.redis import named_errors, read_install

SETTINGS = StreamSettings(Policy.COMPLETE, weight=2.0, group="gates")


@pytest.fixture
def registry(client: redis.Redis) -> StreamRegistry:
    return StreamRegistry(client, read_install(client))


def test_settings_are_kept_under_the_streams_shard(registry: StreamRegistry, client: redis.Redis) -> None:
    registry.set("cam-1", SETTINGS, who="a test")
    assert registry.get("cam-1") == SETTINGS
    key = ShardKeys(StreamKeys.of("cam-1", 4).shard).streams
    stored: Any = client.hget(key, "cam-1")
    assert StreamSettings.parse(stored) == SETTINGS


def test_streams_of_all_shards_are_listed(registry: StreamRegistry) -> None:
    for number in range(12):
        registry.set(f"cam-{number}", SETTINGS, who="a test")
    assert registry.registered() == {f"cam-{number}": SETTINGS for number in range(12)}


def test_a_removed_stream_has_no_settings(registry: StreamRegistry) -> None:
    registry.set("cam-1", SETTINGS, who="a test")
    assert registry.remove("cam-1", who="a test")
    assert registry.get("cam-1") is None
    assert not registry.remove("cam-1", who="a test")


def test_every_change_is_on_record_with_who_when_and_what(registry: StreamRegistry) -> None:
    before_ms = time.time() * 1000
    registry.set("cam-1", SETTINGS, who="ada")
    registry.set("cam-1", StreamSettings(), who="grace")
    registry.remove("cam-1", who="edsger")
    events = list(reversed(read_audit(registry.client)))
    assert [(event.who, event.action, event.before, event.after) for event in events] == [
        ("ada", "set", None, SETTINGS),
        ("grace", "set", SETTINGS, StreamSettings()),
        ("edsger", "remove", StreamSettings(), None),
    ]
    assert all(event.stream == "cam-1" and event.at_ms >= before_ms - 1000 for event in events)


@pytest.mark.parametrize("settings", [StreamSettings(weight=0.0), StreamSettings(bundle="x"), StreamSettings(group="")])
def test_settings_out_of_range_change_nothing(registry: StreamRegistry, settings: StreamSettings) -> None:
    with pytest.raises(RecordError):
        registry.set("cam-1", settings, who="a test")
    assert registry.registered() == {}
    assert read_audit(registry.client) == []


def test_an_odd_stream_id_is_refused(registry: StreamRegistry) -> None:
    with pytest.raises(StreamIdInvalid):
        registry.set("cam 1", SETTINGS, who="a test")


def test_stored_settings_that_cannot_be_read_are_a_named_error(registry: StreamRegistry) -> None:
    registry.client.hset(ShardKeys(StreamKeys.of("cam-1", 4).shard).streams, "cam-1", "{")
    with pytest.raises(RecordError, match="settings"):
        registry.get("cam-1")


def test_settings_that_cannot_be_read_hide_no_other_stream_and_can_be_set_or_removed(registry: StreamRegistry) -> None:
    for stream in ("cam-1", "cam-2"):
        registry.client.hset(ShardKeys(StreamKeys.of(stream, 4).shard).streams, stream, '{"weight": 1e999}')
    registry.client.hset(ShardKeys(0).streams, "no stream's name", "{}")
    registry.client.hset(ShardKeys(0).prefix + ":ledger:nor this", "mask", 1)
    registry.set("cam-3", SETTINGS, who="a test")
    found = {each.stream: each for each in overviews(registry)}
    assert set(found) == {"cam-1", "cam-2", "cam-3"}
    assert "weight" in found["cam-1"].unreadable
    assert (found["cam-3"].settings, found["cam-3"].unreadable) == (SETTINGS, "")
    registry.set("cam-1", SETTINGS, who="a test")
    assert registry.remove("cam-2", who="a test")
    assert {each.stream: each.unreadable for each in overviews(registry)} == {"cam-1": "", "cam-3": ""}


def test_an_overview_has_backlog_ledger_and_when_a_stream_was_last_heard_of(registry: StreamRegistry) -> None:
    registry.set("quiet", SETTINGS, who="a test")
    keys = StreamKeys.of("busy", 4)
    for _ in range(3):
        registry.client.xadd(keys.features, {"p": "x"})
    registry.client.hset(keys.ledger, mapping={"mask": 7, "skipped:stale": 2})
    busy, quiet = overviews(registry)
    assert (busy.stream, busy.backlog, busy.ledger, busy.registered) == (
        "busy",
        3,
        {"mask": 7, "skipped:stale": 2},
        False,
    )
    assert abs(busy.seen_ms - time.time() * 1000) < 60_000
    assert (quiet.stream, quiet.settings, quiet.backlog, quiet.seen_ms) == ("quiet", SETTINGS, 0, 0)


def test_a_stream_that_was_emptied_was_still_heard_of(registry: StreamRegistry) -> None:
    keys = StreamKeys.of("cam-1", 4)
    entry: Any = registry.client.xadd(keys.features, {"p": "x"})
    registry.client.xdel(keys.features, entry)
    registry.client.hset(keys.ledger, "mask", 1)
    (overview,) = overviews(registry)
    assert (overview.backlog, overview.seen_ms) == (0, int(entry.partition(b"-")[0]))


def test_a_redis_without_an_install_says_what_to_start(client: redis.Redis) -> None:
    client.delete(INSTALL_KEY)
    with pytest.raises(ServiceError, match="narrows orchestrate"):
        read_install(client)
    client.set(INSTALL_KEY, Install(9).to_json())
    assert read_install(client).shards == 9


def test_a_key_of_another_type_is_a_named_refusal(registry: StreamRegistry) -> None:
    registry.client.set(AUDIT_KEY, "text")
    with pytest.raises(ServiceError, match="refuses"), named_errors("redis://h/0"):
        registry.set("cam-1", SETTINGS, who="a test")


def test_a_ledger_field_that_counts_nothing_is_left_out_and_the_others_are_read(registry: StreamRegistry) -> None:
    keys = StreamKeys.of("odd", registry.install.shards)
    for name, count in (("mask", "7"), ("lost", "junk"), ("refused", "1e999")):
        registry.client.hset(keys.ledger, name, count)
    (overview,) = [each for each in overviews(registry) if each.stream == "odd"]
    assert overview.ledger == {"mask": 7}
