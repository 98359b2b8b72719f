"""Who is asked for the map of slots: anybody, and nobody who is silent for long."""

from typing import Any

import pytest
import redis

from narrows.runtime.redis.address import Address, Endpoint
from narrows.runtime.redis.cluster_client import QUICK_CONNECT_S, SlotReader

ADDRESS = Address.parse("redis+cluster://h:1,h:2,h:3,h:4,h:5,h:6")
MAP = [[0, 16383, [b"h", 1, b"id"]]]


class Asked:
    """In the place of redis-py's client: notes who is asked, and with how much time to connect."""

    def __init__(self, errors: dict[int, redis.RedisError] | None = None) -> None:
        self.errors = errors or {}
        self.tries: list[tuple[int, float]] = []

    def from_url(self, url: str, **options: Any) -> Any:
        port = int(url.rpartition(":")[2].partition("/")[0])
        self.tries.append((port, options["socket_connect_timeout"]))
        error = self.errors.get(port)

        class Client:
            def __init__(self) -> None:
                self.response_callbacks: dict[str, Any] = {}

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                pass

            def execute_command(self, *_: str) -> Any:
                if error is not None:
                    raise error
                return MAP

        return Client()


def reader(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> SlotReader:
    monkeypatch.setattr(redis.Redis, "from_url", asked.from_url)
    return SlotReader(ADDRESS, {"socket_connect_timeout": 3.0})


def test_a_fleet_does_not_ask_the_same_node(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    for _ in range(200):
        reader(asked, monkeypatch).read()
    counts = [sum(port == each for port, _ in asked.tries) for each in range(1, 7)]
    assert sum(counts) == 200
    assert min(counts) > 5


def test_who_was_named_by_moved_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    reader(asked, monkeypatch).read(Endpoint("h", 9))
    assert asked.tries == [(9, QUICK_CONNECT_S)]


def test_silent_nodes_are_passed_over_quickly_and_waited_for_only_where_nobody_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silent = dict.fromkeys(range(1, 6), redis.TimeoutError("Timeout connecting to server"))
    asked = Asked({**silent, 6: redis.ConnectionError("refused")})
    with pytest.raises(redis.ConnectionError, match=r"no node of the cluster says who serves what: h:.*refused"):
        reader(asked, monkeypatch).read()
    assert sorted(asked.tries[:6]) == [(port, QUICK_CONNECT_S) for port in range(1, 7)]
    assert sorted(asked.tries[6:]) == [(port, 3.0) for port in range(1, 6)]
