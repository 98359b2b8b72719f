"""`narrows scale` against a real Redis: orders, their audit, and what is said when nobody leads."""

from __future__ import annotations

import json
import threading

import pytest
import redis
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.client.registry import ScaleRegistry, StreamRegistry, read_audit, read_scale_audit
from narrows.contract.errors import RecordError
from narrows.contract.wire import Install, StreamSettings
from narrows.contract.wire.keys import ScaleKeys
from narrows.contract.wire.scale_order import ScaleOrder
from orchestrator.scaling.journal import JournalEntry
from orchestrator.servers import LocalRedis


def run(server: LocalRedis, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["scale", *arguments, "--redis-url", server.url])
    return result.exit_code, result.stdout, result.stderr


def test_orders_are_kept_and_one_changes_only_its_own_part(client: redis.Redis) -> None:
    registry = ScaleRegistry(client)
    assert registry.order() == ScaleOrder()
    registry.set_servers(3, who="ada")
    frozen = registry.freeze(frozen=True, who="bo")
    assert (frozen.servers, frozen.frozen, frozen.who) == (3, True, "bo")
    assert frozen.at_ms > 0
    assert registry.order() == frozen
    assert registry.set_servers(None, who="cy").frozen
    assert not registry.freeze(frozen=False, who="cy").frozen


def test_each_order_is_audited_beside_the_streams(client: redis.Redis) -> None:
    registry = ScaleRegistry(client)
    registry.set_servers(3, who="ada")
    StreamRegistry(client, Install(4)).set("cam-1", StreamSettings(), who="bo")
    registry.freeze(frozen=True, who="cy")
    newest, oldest = read_scale_audit(client)
    assert (newest.who, newest.action, newest.after.frozen, newest.after.servers) == ("cy", "freeze", True, 3)
    assert (oldest.who, oldest.action, oldest.before, oldest.after.servers) == ("ada", "set", None, 3)
    assert newest.before == oldest.after
    assert [event.stream for event in read_audit(client)] == ["cam-1"]


def test_two_operators_at_once_do_not_overwrite_each_other(server: LocalRedis, client: redis.Redis) -> None:
    def order(number: int) -> None:
        with redis.Redis.from_url(server.url) as own:
            registry = ScaleRegistry(own)
            for _ in range(20):
                if number == 0:
                    registry.set_servers(7, who="a")
                else:
                    registry.freeze(frozen=True, who="b")

    threads = [threading.Thread(target=order, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    order_now = ScaleRegistry(client).order()
    assert (order_now.servers, order_now.frozen) == (7, True)


def test_a_record_that_cannot_be_read_is_named_and_left(client: redis.Redis) -> None:
    client.set(ScaleKeys.COMMAND, b'{"v":1,"servers":-1}')
    with pytest.raises(RecordError, match="servers"):
        ScaleRegistry(client).freeze(frozen=True, who="ada")
    assert client.get(ScaleKeys.COMMAND) == b'{"v":1,"servers":-1}'


def test_set_freeze_and_unfreeze_say_what_stands_and_that_nobody_leads(server: LocalRedis, client: redis.Redis) -> None:
    code, out, error = run(server, "set", "5", "--by", "ada")
    assert (code, out) == (0, "ordered: 5 servers\n")
    assert "no autoscaler leads now" in error
    assert run(server, "freeze")[1] == "ordered: 5 servers, frozen: nothing is changed\n"
    assert run(server, "set", "auto")[1] == "ordered: as many servers as the policy wants, frozen: nothing is changed\n"
    assert run(server, "unfreeze")[1] == "ordered: as many servers as the policy wants\n"
    assert [event.action for event in read_scale_audit(client)] == ["unfreeze", "set", "freeze", "set"]
    assert "@" in read_scale_audit(client)[0].who


@pytest.mark.parametrize("number", ["-1", "many", "10001", "1.5", ""])
def test_no_other_number_is_ordered(server: LocalRedis, client: redis.Redis, number: str) -> None:
    code, _, error = run(server, "set", "--", number)
    assert code != 0
    assert error
    assert not client.exists(ScaleKeys.COMMAND)


def test_status_says_that_nobody_leads_and_shows_what_was_decided(server: LocalRedis, client: redis.Redis) -> None:
    entry = JournalEntry("scale_up", 3, 1, ("load_high",), "9 streams offer 90.0 frames/s", "a-1")
    client.xadd(ScaleKeys.DECISIONS, {"d": entry.to_json()})
    client.xadd(ScaleKeys.DECISIONS, {"d": b"odd"})
    code, out, _ = run(server, "status")
    assert code == 0
    assert "No autoscaler leads" in out
    assert "scale_up" in out
    assert "load_high" in out
    record = json.loads(run(server, "status", "--json")[1])
    assert record["status"] is None
    assert [each["action"] for each in record["decisions"]] == ["scale_up"]


def test_a_redis_that_is_away_is_named() -> None:
    result = CliRunner().invoke(app, ["scale", "status", "--redis-url", "redis://127.0.0.1:1/0"])
    assert result.exit_code == 1
    assert "does not answer" in result.stderr
