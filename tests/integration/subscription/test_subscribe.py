"""Following a stream on a real Redis: in order, nothing twice, nothing passed over, whatever the connection does."""

from __future__ import annotations

import threading
from itertools import chain, islice, repeat
from pathlib import Path

import numpy as np
import pytest
import redis

import narrows
from narrows.client.subscription import Outcome, Subscription
from narrows.contract.errors import RecordError, ServiceError, StreamIdInvalid
from narrows.contract.wire import FrameIdentity, Install, MaskPacket, Refusal, ResultPacket, Skip, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.contract.wire.outcome import outcome_to_json
from orchestrator.servers import LocalRedis

KEY = StreamKeys.of("cam-1", 4).outcomes
LABELS = np.array([[0, 1], [1, 1]], np.uint8)


def mask(sequence: int) -> MaskPacket:
    return MaskPacket(7, FrameIdentity(1, sequence), 5, 0, 9, LABELS, np.array([1, 3], np.uint32))


def publish(client: redis.Redis, *outcomes: Outcome) -> None:
    """As the finishing script does."""
    for outcome in outcomes:
        if isinstance(outcome, MaskPacket | ResultPacket):
            client.xadd(KEY, {"k": "mask", "p": outcome.to_bytes()})
        else:
            client.xadd(
                KEY, {"k": "skipped" if isinstance(outcome, Skip) else "refused", "p": outcome_to_json(outcome)}
            )


def sequences(outcomes: list[Outcome]) -> list[int]:
    return [outcome.identity.sequence for outcome in outcomes if outcome.identity is not None]


def test_masks_skips_and_refusals_come_in_order(server: LocalRedis, client: redis.Redis) -> None:
    with narrows.subscribe("cam-1", redis_url=server.url, timeout_s=0.3) as outcomes:
        publish(client, mask(0), Skip(FrameIdentity(1, 1), "stale"), Refusal("truncated", "3 bytes"))
        first, *others = outcomes
    assert isinstance(first, MaskPacket)
    assert np.array_equal(first.labels, LABELS)
    assert others == [Skip(FrameIdentity(1, 1), "stale"), Refusal("truncated", "3 bytes")]


def test_by_default_only_what_ends_after_the_call_comes(server: LocalRedis, client: redis.Redis) -> None:
    publish(client, mask(0))
    with narrows.subscribe("cam-1", redis_url=server.url, timeout_s=0.3) as outcomes:
        publish(client, mask(1))
        assert sequences(list(outcomes)) == [1]


def test_from_zero_comes_all_that_is_kept(server: LocalRedis, client: redis.Redis) -> None:
    publish(client, *map(mask, range(50)))
    with narrows.subscribe("cam-1", redis_url=server.url, from_id="0", timeout_s=0.3) as outcomes:
        assert sequences(list(outcomes)) == list(range(50))


def test_a_subscription_resumes_behind_the_last_outcome_that_was_taken(server: LocalRedis, client: redis.Redis) -> None:
    publish(client, *map(mask, range(20)))
    with narrows.subscribe("cam-1", redis_url=server.url, from_id="0") as outcomes:
        taken = sequences(list(islice(outcomes, 7)))
    with narrows.subscribe("cam-1", redis_url=server.url, from_id=outcomes.last_id, timeout_s=0.3) as others:
        assert taken + sequences(list(others)) == list(range(20))


def test_an_outcome_that_comes_while_waiting_wakes_the_subscriber(server: LocalRedis, client: redis.Redis) -> None:
    with narrows.subscribe("cam-1", redis_url=server.url, timeout_s=20) as outcomes:
        publisher = threading.Timer(0.3, publish, (client, mask(3)))
        publisher.start()
        assert sequences([next(outcomes)]) == [3]
        publisher.join()


def test_an_entry_that_cannot_be_read_is_named_and_passed(server: LocalRedis, client: redis.Redis) -> None:
    client.xadd(KEY, {"k": "mask", "p": "no mask"})
    publish(client, mask(1))
    with narrows.subscribe("cam-1", redis_url=server.url, from_id="0", timeout_s=0.3) as outcomes:
        with pytest.raises(RecordError, match="mask packet"):
            next(outcomes)
        assert sequences(list(outcomes)) == [1]


def test_a_broken_connection_is_made_again_without_loss(server: LocalRedis, client: redis.Redis) -> None:
    with narrows.subscribe("cam-1", redis_url=server.url, timeout_s=10) as outcomes:
        publish(client, mask(0))
        assert sequences([next(outcomes)]) == [0]
        client.client_kill_filter(_type="normal", skipme=True)
        publish(client, mask(1), mask(2))
        assert sequences(list(islice(outcomes, 2))) == [1, 2]


def test_a_restart_of_redis_is_sat_out(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(4).to_json())
        publish(client, mask(0))
        outcomes = narrows.subscribe("cam-1", redis_url=server.url, from_id="0", timeout_s=30)
        assert sequences([next(outcomes)]) == [0]
        server.stop()
        restarted: list[LocalRedis] = []

        def restart_and_publish() -> None:
            restarted.append(LocalRedis.start(tmp_path, port=server.port))
            with redis.Redis.from_url(server.url) as other:
                publish(other, mask(1))

        starter = threading.Timer(0.5, restart_and_publish)
        starter.start()
        with outcomes:
            assert sequences([next(outcomes)]) == [1]
        assert outcomes.reconnects > 0
        starter.join()
        restarted[0].stop()


def test_a_redis_that_stays_away_is_named_after_the_timeout(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(4).to_json())
        outcomes = narrows.subscribe("cam-1", redis_url=server.url, timeout_s=0.5)
        server.stop()
        with outcomes, pytest.raises(ServiceError, match="does not answer"):
            next(outcomes)


def test_an_absence_that_outlasts_the_timeout_while_it_is_sat_out_is_no_silence(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server:
        client = redis.Redis.from_url(server.url)
        moments = chain([0.0, 0.0], repeat(9.0))
        keys = StreamKeys.of("cam-1", 4)
        outcomes = Subscription(client, keys, "0-0", server.url, 0.5, clock=lambda: next(moments))
        server.stop()
        with outcomes, pytest.raises(ServiceError, match="does not answer"):
            next(outcomes)


def test_silence_ends_the_iteration_and_it_can_go_on(server: LocalRedis, client: redis.Redis) -> None:
    with narrows.subscribe("cam-1", redis_url=server.url, timeout_s=0.1) as outcomes:
        assert list(outcomes) == []
        publish(client, mask(4))
        assert sequences(list(outcomes)) == [4]


@pytest.mark.usefixtures("client")
def test_bad_arguments_are_named(server: LocalRedis) -> None:
    with pytest.raises(StreamIdInvalid):
        narrows.subscribe("cam 1", redis_url=server.url)
    with pytest.raises(ServiceError, match="from_id"):
        narrows.subscribe("cam-1", redis_url=server.url, from_id="yesterday")


def test_a_key_of_another_type_is_a_named_refusal(server: LocalRedis, client: redis.Redis) -> None:
    client.set(KEY, "text")
    with (
        narrows.subscribe("cam-1", redis_url=server.url, from_id="0") as outcomes,
        pytest.raises(ServiceError, match="refuses"),
    ):
        next(outcomes)
