"""A subscription whose server is demoted, dies without a word, or loses what it had written last."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import redis

import narrows
from narrows.client.subscription import Subscription
from narrows.client.subscription import subscription as module
from narrows.contract.errors import ServiceError
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redis import connection
from tests.integration.moving_address import Pair, redis_pair
from tests.integration.subscription.test_subscribe import KEY, mask, publish, sequences


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_pair(tmp_path) as pair:
        pair.old.set(INSTALL_KEY, Install(4).to_json())
        yield pair


@pytest.fixture
def outcomes(pair: Pair) -> Iterator[Subscription]:
    with narrows.subscribe("cam-1", redis_url=pair.url, timeout_s=30) as outcomes:
        publish(pair.old, mask(0))
        assert sequences([next(outcomes)]) == [0]
        yield outcomes


def in_a_while(do: Callable[[], None]) -> threading.Timer:
    """While the subscription is blocked."""
    timer = threading.Timer(0.3, do)
    timer.start()
    return timer


def test_a_blocked_subscription_goes_on_at_the_new_primary(pair: Pair, outcomes: Subscription) -> None:
    def fail_over() -> None:
        pair.wait_for_a_blocked_client()
        pair.fail_over()
        publish(pair.new, mask(1), mask(2))

    moved = in_a_while(fail_over)
    assert sequences(list(islice(outcomes, 2))) == [1, 2]
    moved.join()
    assert outcomes.reconnects > 0


def test_a_server_that_dies_without_a_word_is_left(pair: Pair, outcomes: Subscription) -> None:
    for made in outcomes._client.connection_pool._available_connections:
        made._sock.settimeout(1.5)  # five seconds are the program's
        made.socket_timeout = 1.5
    pair.lose_power()
    publish(pair.new, mask(1))
    assert sequences([next(outcomes)]) == [1]


def test_what_only_reads_leaves_a_server_that_never_says_anything(
    pair: Pair, outcomes: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody demoted the server before: it is cut off, and answers reads for ever."""
    monkeypatch.setattr(connection, "LONGEST_CONNECTION_S", 0.5)
    pair.new.replicaof("NO", "ONE")
    pair.address.target = pair.second.port
    publish(pair.new, mask(1))
    assert sequences([next(outcomes)]) == [1]


def test_a_stream_that_lost_its_end_is_read_on_from_there(
    pair: Pair, outcomes: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_AT_END_S", 0.0)
    ahead = f"{int(outcomes.last_id.partition('-')[0]) + 3_600_000}-0"
    pair.new.replicaof("NO", "ONE")  # the replica has not heard of what comes now
    pair.old.xadd(KEY, {"k": "mask", "p": mask(1).to_bytes()}, id=ahead)
    assert sequences([next(outcomes)]) == [1]
    assert outcomes.last_id == ahead

    def fail_over() -> None:
        pair.wait_for_a_blocked_client()
        pair.fail_over(behind=True)
        publish(pair.new, mask(2))

    moved = in_a_while(fail_over)
    assert sequences([next(outcomes)]) == [2]
    moved.join()


def test_another_number_of_shards_ends_it_by_name(
    pair: Pair, outcomes: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_AT_END_S", 0.0)
    pair.old.set(INSTALL_KEY, Install(7).to_json())
    with pytest.raises(ServiceError, match="another number of shards"):
        next(outcomes)


@pytest.mark.parametrize("record", [b"junk", None])
def test_an_install_record_that_is_junk_or_lost_is_not_the_subscribers_matter(
    pair: Pair, outcomes: Subscription, monkeypatch: pytest.MonkeyPatch, record: bytes | None
) -> None:
    monkeypatch.setattr(module, "_LOOK_AT_END_S", -1.0)
    if record is None:
        pair.old.flushall()
    else:
        pair.old.set(INSTALL_KEY, record)
    publish(pair.old, mask(1))
    assert sequences([next(outcomes)]) == [1]


def test_a_user_without_the_right_is_told_at_once(pair: Pair) -> None:
    pair.old.execute_command("ACL", "SETUSER", "viewer", "on", ">pw", "~*", "+get", "+exists", "+xinfo")  # type: ignore[no-untyped-call]
    url = pair.url.replace("//", "//viewer:pw@")
    with (
        narrows.subscribe("cam-1", redis_url=url, timeout_s=30) as refused,
        pytest.raises(ServiceError, match="NOPERM"),
    ):
        next(refused)
    assert refused.reconnects == 0


def test_masks_tail_says_that_it_reconnects_and_goes_on(pair: Pair) -> None:
    publish(pair.old, mask(0))
    command = [sys.executable, "-m", "narrows.cli", "masks", "tail", "cam-1", "--redis-url", pair.url]
    with subprocess.Popen(
        [*command, "--from", "0", "--count", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tail:
        assert tail.stdout is not None
        first = json.loads(tail.stdout.readline())
        pair.wait_for_a_blocked_client()
        pair.fail_over()
        publish(pair.new, mask(1))
        rest, said = tail.communicate(timeout=60)
    assert (first["sequence"], json.loads(rest)["sequence"], tail.returncode) == (0, 1, 0)
    assert "reconnecting" in said
    assert "UNBLOCKED" in said


def test_the_client_keeps_no_connection_to_a_server_that_became_a_replica(pair: Pair) -> None:
    client = connection.connect(pair.url)
    with client:
        client.set("a", 1)
        pair.fail_over()
        with pytest.raises(redis.ReadOnlyError):
            client.set("a", 2)
        assert client.set("a", 3)
    assert pair.new.get("a") == b"3"
