import os
import signal
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from narrows.contract.errors import ServiceError
from orchestrator.servers import LocalRedis
from tests.integration.servers.processes import alive, eventually


def test_it_speaks_redis_and_keeps_the_designs_promises(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.ping()
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_an_entry_of_100_megabytes_is_refused_by_the_server(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, Redis.from_url(server.url) as client:
        with pytest.raises(RedisError):
            client.xadd("stream", {"p": bytes(100_000_000)})
        assert client.exists("stream") == 0
        assert client.xadd("stream", {"p": bytes(10_000)})


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, Redis.from_url(server.url) as client:
        client.set("key", "value")
    with LocalRedis.start(tmp_path) as server, Redis.from_url(server.url) as client:
        assert client.get("key") == b"value"


def test_two_servers_have_two_ports_and_stopping_ends_the_process(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path / "a") as one, LocalRedis.start(tmp_path / "b") as two:
        assert one.url != two.url
    assert not alive(one.pid)
    assert not alive(two.pid)


def test_a_port_in_use_is_answered_with_the_servers_words(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path / "a") as server, pytest.raises(ServiceError, match="in use"):
        LocalRedis.start(tmp_path / "b", port=server.port)


def test_a_killed_server_can_be_stopped_and_started_again(tmp_path: Path) -> None:
    server = LocalRedis.start(tmp_path)
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: not alive(server.pid))
    server.stop()
    with LocalRedis.start(tmp_path, port=server.port) as again, Redis.from_url(again.url) as client:
        assert client.ping()
