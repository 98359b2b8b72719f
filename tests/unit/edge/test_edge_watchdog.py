"""systemd hears of the program while all of its loops go round, and then no more."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from edge_client.sd_notify import READY, WATCHDOG, notify, watchdog_s
from edge_client.watchdog import Watchdog


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_over_its_socket(tmp_path: Path, *, abstract: bool) -> None:
    address = f"@narrows-{tmp_path.name}-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0", 1))
        systemd.settimeout(10)
        assert notify(READY, {"NOTIFY_SOCKET": address})
        assert systemd.recv(100) == READY.encode()


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    assert not notify(WATCHDOG, {})
    assert not notify(WATCHDOG, {"NOTIFY_SOCKET": str(tmp_path / "absent")})


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdogs_period_is_the_environments(environment: dict[str, str], seconds: float | None) -> None:
    assert watchdog_s(environment) == seconds


def test_it_is_kicked_once_a_period_while_all_loops_beat() -> None:
    clock, kicks = Clock(), []
    watchdog = Watchdog(lambda: kicks.append(clock.now_s), 10.0, clock)
    for _ in range(60):
        watchdog.beat("main", 5.0)
        watchdog.beat("uplink", 20.0)
        clock.now_s += 1.0
    assert kicks == [100.0 + 10 * n for n in range(6)]


@pytest.mark.parametrize(("dead", "alive"), [("main", "uplink"), ("uplink", "main")])
def test_one_loop_that_stands_still_is_enough_to_end_it(dead: str, alive: str) -> None:
    clock, kicks = Clock(), []
    watchdog = Watchdog(lambda: kicks.append(clock.now_s), 10.0, clock)
    watchdog.beat(dead, 15.0)
    for _ in range(60):
        watchdog.beat(alive, 15.0)
        clock.now_s += 1.0
    assert kicks == [100.0, 110.0]
    watchdog.leave(dead)
    watchdog.beat(alive, 15.0)
    assert kicks[-1] == clock.now_s
