"""Commands on their way together: answered in order, refusals among them, none waited for without end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from edge_client.transport.line import CommandReply, Line
from edge_client.transport.link import AWAY_S, connect
from orchestrator.servers.local_redis import LocalRedis


@pytest.fixture
def line(server: LocalRedis) -> Iterator[Line[int]]:
    with connect(server.url) as client:
        line = Line[int](client, 0.5, time.monotonic)
        yield line
        line.drop()


def until_it_breaks(line: Line[int], found: list[CommandReply[int]]) -> None:
    while line.waits:
        found += line.answers(0.1)


def all_answers(line: Line[int]) -> list[CommandReply[int]]:
    found: list[CommandReply[int]] = []
    until_it_breaks(line, found)
    return found


def ask_three_times(line: Line[int]) -> None:
    for _ in range(3):
        line.send(1, "PING")
        line.answers(0.1)


def test_answers_come_in_the_order_of_the_commands(line: Line[int]) -> None:
    for number in range(100):
        line.send(number, "ECHO", str(number))
    answers = all_answers(line)
    assert [(each.about, int(each.answer)) for each in answers] == [(number, number) for number in range(100)]
    assert all(each.sent_s <= each.at_s for each in answers)


def test_a_refusal_is_an_answer_and_costs_no_other(line: Line[int]) -> None:
    line.send(0, "SET", "key", "text")
    line.send(1, "XADD", "key", "*", "p", "x")
    line.send(2, "GET", "key")
    answers = all_answers(line)
    assert [each.refusal is None for each in answers] == [True, False, True]
    assert answers[2].answer == b"text"


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(line: Line[int], admin: redis.Redis) -> None:
    line.send(0, "PING")
    assert all_answers(line)[0].answer == b"PONG"
    admin.client_pause(3000)
    line.send(1, "PING")
    with pytest.raises(redis.TimeoutError, match=r"no answer for 0\.5 s"):
        all_answers(line)
    line.drop()
    assert not line.waits


def test_a_connection_that_is_gone_is_an_error_and_a_new_one_is_made(line: Line[int], admin: redis.Redis) -> None:
    line.send(0, "CLIENT", "ID")
    admin.client_kill_filter(_id=str(all_answers(line)[0].answer))
    with pytest.raises(redis.ConnectionError):
        ask_three_times(line)
    line.drop()
    line.send(2, "PING")
    assert [each.about for each in all_answers(line)] == [2]


def test_what_was_answered_before_the_connection_broke_is_not_lost(line: Line[int]) -> None:
    line.send(0, "PING")
    line.send(1, "QUIT")
    line.send(2, "PING")
    found: list[CommandReply[int]] = []
    with pytest.raises(redis.ConnectionError):
        until_it_breaks(line, found)
    assert [each.about for each in found] == [0, 1]


def test_nothing_is_sent_after_a_connection_broke_until_it_is_dropped(line: Line[int], server: LocalRedis) -> None:
    line.send(0, "QUIT")
    line.send(1, "PING")
    with redis.Redis.from_url(server.url) as other:
        while len(other.client_list()) > 1:  # its answer and its end are both there
            time.sleep(0.01)
        assert [each.about for each in line.answers(5)] == [0]
        with pytest.raises(redis.ConnectionError):
            line.send(2, "SET", "sent", 1)
        assert other.get("sent") is None
        line.drop()
        line.send(3, "SET", "sent", 1)
        assert [each.about for each in all_answers(line)] == [3]


def test_a_realtime_cameras_connection_ends_when_the_link_is_away() -> None:
    kept, ended = (connect("redis://nowhere", away_s=away_s) for away_s in (None, AWAY_S))
    kept_options = kept.connection_pool.connection_kwargs["socket_keepalive_options"]
    ended_options = ended.connection_pool.connection_kwargs["socket_keepalive_options"]
    assert set(ended_options.values()) - set(kept_options.values()) == {2000}
