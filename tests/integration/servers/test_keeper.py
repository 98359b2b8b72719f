"""Servers that end by themselves are started again, where they were and with what they knew."""

import os
import signal
import time
from pathlib import Path

import redis

from narrows.contract.errors import ServiceError
from orchestrator.servers import Keeper, LocalRedis
from tests.integration.servers.processes import eventually


class Reluctant:
    """A server that fails to start a few times; the keeper's half of the bargain without a process."""

    def __init__(self, failures: int) -> None:
        self.failures, self.up = failures, False

    def running(self) -> bool:
        return self.up

    def restart(self) -> None:
        self.failures -= 1
        if self.failures >= 0:
            raise ServiceError("no space left")
        self.up = True


def test_a_killed_server_is_back_at_its_address_with_its_data(tmp_path: Path) -> None:
    told: list[str] = []
    with LocalRedis.start(tmp_path) as server, Keeper("redis", server, told.append) as keeper:
        with redis.Redis.from_url(server.url) as client:
            client.set("kept", "yes")
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: keeper.restarts == 1)
        assert server.pid != killed
        with redis.Redis.from_url(server.url) as client:
            assert client.get("kept") == b"yes"
    assert told == ["redis ended by itself and was started again (1)"]


def test_a_server_that_does_not_start_is_tried_until_it_does_and_each_failure_is_told() -> None:
    told: list[str] = []
    with Keeper("triton", Reluctant(2), told.append) as keeper:
        assert eventually(lambda: keeper.restarts == 1)
    assert ["no space left" in line for line in told] == [True, True, False]


def test_leaving_ends_the_keeping(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server:
        with Keeper("redis", server) as keeper:
            pass
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.running())
        time.sleep(0.3)
        assert not server.running()
        assert keeper.restarts == 0
