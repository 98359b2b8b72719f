"""``narrows streams backup`` and ``restore``, as typed, against a real Redis: what was counted is there again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from narrows.client.registry import StreamRegistry
from narrows.contract.wire import Install, Policy, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import INSTALL_KEY
from orchestrator.servers import LocalRedis
from tests.integration.registry.test_streams_command import streams

LEDGER = {b"mask": b"41", b"lost": b"1", b"skipped:stale": b"3"}
SEEN = {b"7": bytes(range(256)), b"credit": b"1790000000000"}


def fill(client: redis.Redis) -> None:
    """Two streams that sent, and one that was registered alone."""
    registry = StreamRegistry(client, Install(4))
    registry.set("gate-1", StreamSettings(Policy.COMPLETE, group="gates"), who="a test")
    registry.set("gate-3", StreamSettings(weight=2.0), who="a test")
    for stream in ("gate-1", "gate-2"):
        keys = StreamKeys.of(stream, 4)
        client.hset(keys.ledger, mapping=LEDGER)  # type: ignore[arg-type]
        client.hset(keys.seen, mapping=SEEN)  # type: ignore[arg-type]


def hashes(client: redis.Redis, shards: int) -> dict[str, Any]:
    found = {}
    for stream in ("gate-1", "gate-2", "gate-3"):
        keys = StreamKeys.of(stream, shards)
        settings = client.hget(ShardKeys(keys.shard).streams, stream)
        found[stream] = settings, client.hgetall(keys.ledger), client.hgetall(keys.seen)
    return found


@pytest.fixture
def backup(server: LocalRedis, client: redis.Redis, tmp_path: Path) -> str:
    fill(client)
    file = tmp_path / "ledger.jsonl"
    said = streams(server, "backup", str(file))
    assert (said.returncode, said.stdout) == (0, f"{file}: 3 streams\n"), said.stderr
    return str(file)


def test_an_empty_redis_is_the_install_again(server: LocalRedis, client: redis.Redis, backup: str) -> None:
    before = hashes(client, 4)
    assert before["gate-2"] == (None, LEDGER, SEEN)
    client.flushall()
    said = streams(server, "restore", backup)
    assert (said.returncode, said.stdout) == (0, "3 streams restored; the install has 4 shards\n"), said.stderr
    assert hashes(client, 4) == before
    stored: Any = client.get(INSTALL_KEY)
    assert Install.parse(stored) == Install(4)


def test_an_install_with_other_shards_has_each_stream_where_it_belongs(
    server: LocalRedis, client: redis.Redis, backup: str
) -> None:
    before = hashes(client, 4)
    client.flushall()
    client.set(INSTALL_KEY, Install(64).to_json())
    assert "the install has 64 shards" in streams(server, "restore", backup).stdout
    assert hashes(client, 64) == before


def test_a_stream_that_has_a_ledger_by_now_is_named_and_nothing_is_changed(
    server: LocalRedis, client: redis.Redis, backup: str
) -> None:
    client.flushall()
    keys = StreamKeys.of("gate-2", 4)
    client.hset(keys.ledger, "mask", 5)
    said = streams(server, "restore", backup)
    assert said.returncode != 0
    assert "stream gate-2 has a ledger here" in said.stderr
    assert client.keys() == [keys.ledger.encode()]
    with Path(backup).open() as file:
        assert streams(server, "restore", "-", "--replace", stdin=file).returncode == 0
    assert client.hgetall(keys.ledger) == LEDGER


def test_junk_beside_the_streams_does_not_make_a_backup_that_nobody_can_restore(
    server: LocalRedis, client: redis.Redis, tmp_path: Path
) -> None:
    fill(client)
    keys, file = StreamKeys.of("gate-2", 4), tmp_path / "ledger.jsonl"
    client.hset(ShardKeys(keys.shard).streams, "gate-2", b'{"policy":"junk"}')
    client.hset(keys.ledger, "skipped:junk", 10**15)
    client.hset("narrows:{0}:ledger:../junk", "mask", 1)
    client.hset(ShardKeys(0).streams, "a name with blanks", b"{}")
    client.hset(b"narrows:{0}:ledger:\xff", "mask", 1)
    assert streams(server, "backup", str(file)).stdout == f"{file}: 3 streams\n"
    client.flushall()
    said = streams(server, "restore", str(file))
    assert said.returncode == 0, said.stderr
    assert hashes(client, 4)["gate-2"] == (None, LEDGER, SEEN)


def test_a_shard_with_an_owner_is_not_replaced(server: LocalRedis, client: redis.Redis, backup: str) -> None:
    keys = StreamKeys.of("gate-2", 4)
    client.set(ShardKeys(keys.shard).lease, "17 dispatcher-a")
    client.hset(keys.ledger, "mask", 5)
    said = streams(server, "restore", backup, "--replace")
    assert f"shard {keys.shard} belongs to dispatcher-a: stop the dispatchers" in said.stderr
    assert client.hget(keys.ledger, "mask") == b"5"


@pytest.mark.parametrize(
    ("changed", "by", "said"),
    [
        ('"narrows_backup": 1', '"narrows_backup": 2', "no backup of format 1"),
        ('"ledger":{"lost":1', '"ledger":{"lost":-1', "line 2 of the backup cannot be read"),
        ('"mask":41', '"mask":1000000000000000', "line 2 of the backup cannot be read"),
        ('"gate-3"', '"../gate-3"', "'../gate-3'"),
        ('"settings":', '"setting":', "line 2 of the backup has no 'settings'"),
        ('{"ledger"', '"ledger"', "line 2 of the backup"),
    ],
)
def test_a_file_that_is_amiss_is_named_and_changes_nothing(
    server: LocalRedis, client: redis.Redis, backup: str, changed: str, by: str, said: str
) -> None:
    text = Path(backup).read_text()
    assert changed in text
    Path(backup).write_text(text.replace(changed, by))
    client.flushall()
    done = streams(server, "restore", backup)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert client.keys() == []
