"""Every program goes on by itself when its Redis moves behind its address, dies without a word, or is emptied.

What shows that a program works is what it writes, at the server that is the primary then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire import Install, ShardKeys
from narrows.contract.wire.keys import DISPATCHERS_KEY, INSTALL_KEY, ScaleKeys
from orchestrator.servers.host_record import HostState
from orchestrator.servers.ports import free_ports
from tests.integration.moving_address import Pair, redis_pair
from tests.integration.scaling.scale_rig import program

_PATIENCE_S = 60.0


def _supervise(folder: Path, bundle: Bundle) -> tuple[str, ...]:
    """With no server wanted: its records are what it is about here."""
    return (
        *("supervise", "--name", "host", "--run-folder", str(folder), "--max-servers-per-host", "1", "--initial", "0"),
        *("--bundle", str(bundle.folder)),
    )


def _autoscale(folder: Path, bundle: Bundle) -> tuple[str, ...]:
    return (*("autoscale", "--engine", "local", "--interval", "0.3", "--http", f"127.0.0.1:{free_ports(1)[0]}"),)


def _orchestrate(folder: Path, bundle: Bundle) -> tuple[str, ...]:
    """Its Triton is away: leases and heartbeats are what it is about here."""
    return (
        *("orchestrate", "--triton", "127.0.0.1:1", "--bundle", str(bundle.folder)),
        *("--http", f"127.0.0.1:{free_ports(1)[0]}"),
    )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_pair(tmp_path) as pair:
        yield pair


@pytest.fixture
def programs(pair: Pair, demo_bundle: Bundle, tmp_path: Path) -> Iterator[Path]:
    """All of the cloud that writes, behind the address that moves; answers their log."""
    log = tmp_path / "log"
    with ExitStack() as running:
        for command in (_supervise, _autoscale, _orchestrate):
            running.enter_context(program(log, *command(tmp_path, demo_bundle), "--redis-url", pair.url))
        eventually(lambda: works(pair.old), log)
        yield log


def works(client: redis.Redis) -> bool:
    """Whether each of the three wrote within the last two seconds of the server's clock, and the record stands."""
    seconds, micros = client.time()
    since_ms = seconds * 1000 + micros // 1000 - 2000
    living: Any = client.zrange(DISPATCHERS_KEY, 0, -1, withscores=True)
    host: Any = client.hget(ScaleKeys.SUPERVISORS, "host")
    leases = client.exists(ScaleKeys.LEADER, *(ShardKeys(shard).lease for shard in range(4)))
    return (
        any(at_ms > since_ms for _, at_ms in living)
        and host is not None
        and HostState.parse(host).at_ms > since_ms
        and leases == 5
        and client.get(INSTALL_KEY) == Install(4).to_json()
    )


def forget_what_the_old_primary_was_told(client: redis.Redis) -> None:
    client.delete(DISPATCHERS_KEY, ScaleKeys.SUPERVISORS, ScaleKeys.LEADER, INSTALL_KEY)
    assert not works(client)


def eventually(there: Callable[[], bool], log: Path) -> None:
    give_up_s = time.monotonic() + _PATIENCE_S
    while not there():
        assert time.monotonic() < give_up_s, log.read_text()[-6000:]
        time.sleep(0.1)


def test_after_a_failover_they_work_at_the_new_primary(pair: Pair, programs: Path) -> None:
    pair.fail_over()
    forget_what_the_old_primary_was_told(pair.new)
    eventually(lambda: works(pair.new), programs)


def test_after_the_primary_died_without_a_word_they_work_at_the_new_one(pair: Pair, programs: Path) -> None:
    pair.lose_power()
    forget_what_the_old_primary_was_told(pair.new)
    eventually(lambda: works(pair.new), programs)


def test_after_redis_was_emptied_all_that_they_own_is_back(pair: Pair, programs: Path) -> None:
    pair.old.flushall()
    eventually(lambda: works(pair.old), programs)
