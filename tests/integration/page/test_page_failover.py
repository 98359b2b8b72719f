"""What the page reads is the new primary's after a failover, also where the old one never says that it was demoted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from narrows.contract.errors import NarrowsError
from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redis import connection
from orchestrator.page.redis_view import RedisView
from tests.integration.moving_address import Pair, redis_pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_pair(tmp_path) as pair:
        pair.old.set(INSTALL_KEY, Install(4).to_json())
        yield pair


@pytest.fixture
def view(pair: Pair) -> Iterator[RedisView]:
    opened = RedisView(pair.url)
    pair.old.xadd(StreamKeys.of("before", 4).features, {"p": b"frame"})
    assert set(opened.settings()) == {"before"}
    yield opened
    opened.close()


def comes_to_see(view: RedisView, stream: str) -> None:
    give_up_s = time.monotonic() + 60
    while True:
        try:
            if stream in view.settings():
                return
        except NarrowsError:
            pass  # the page says it, and looks again
        assert time.monotonic() < give_up_s
        time.sleep(0.05)


def test_after_a_failover(pair: Pair, view: RedisView) -> None:
    pair.old.config_set("replica-serve-stale-data", "no")
    pair.fail_over()
    pair.new.xadd(StreamKeys.of("after", 4).features, {"p": b"frame"})
    comes_to_see(view, "after")


def test_after_its_primary_died_without_a_word(pair: Pair, view: RedisView) -> None:
    pair.lose_power()
    pair.new.xadd(StreamKeys.of("after", 4).features, {"p": b"frame"})
    comes_to_see(view, "after")


def test_after_its_primary_was_cut_off(pair: Pair, view: RedisView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LONGEST_CONNECTION_S", 0.3)
    pair.new.replicaof("NO", "ONE")
    pair.address.target = pair.second.port
    pair.new.xadd(StreamKeys.of("after", 4).features, {"p": b"frame"})
    comes_to_see(view, "after")
