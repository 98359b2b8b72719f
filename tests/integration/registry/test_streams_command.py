"""``narrows streams`` as a person types it, against a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import redis

from narrows.client.registry import StreamRegistry, read_audit
from narrows.contract.records.report import DispatcherReport, StreamRates
from narrows.contract.wire import Install, Policy, StreamSettings
from narrows.contract.wire.keys import ScaleKeys
from orchestrator.servers import LocalRedis


def streams(server: LocalRedis, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "narrows.cli", "streams", *arguments],
        env=os.environ | {"NARROWS_REDIS_URL": server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_set_changes_what_is_asked_for_and_leaves_the_rest(server: LocalRedis, client: redis.Redis) -> None:
    assert streams(server, "set", "cam-1", "--policy", "complete", "--weight", "3").returncode == 0
    shown = streams(server, "set", "cam-1", "--group", "gates", "--bundle", "0123456789ABCDEF", "--by", "ada")
    assert "policy complete, weight 3, group gates, bundle 0123456789abcdef" in shown.stdout
    registry = StreamRegistry(client, Install(4))
    assert registry.get("cam-1") == StreamSettings(Policy.COMPLETE, 3.0, "gates", "0123456789abcdef")
    assert read_audit(client)[0].who == "ada"
    assert "@" in read_audit(client)[1].who


def test_a_bundle_is_lifted_with_any(server: LocalRedis, client: redis.Redis) -> None:
    registry = StreamRegistry(client, Install(4))
    registry.set("cam-1", StreamSettings(bundle="0123456789abcdef"), who="a test")
    assert streams(server, "set", "cam-1", "--bundle", "any", "--refuse-future-clock").returncode == 0
    assert registry.get("cam-1") == StreamSettings(refuse_future_clock=True)


def test_list_shows_every_stream_in_a_table_and_as_json(server: LocalRedis, client: redis.Redis) -> None:
    StreamRegistry(client, Install(4)).set("gate-3", StreamSettings(weight=4.0, group="gates"), who="a test")
    shown = streams(server, "list")
    assert all(word in shown.stdout for word in ("gate-3", "gates", "realtime", "never"))
    record = json.loads(streams(server, "list", "--json").stdout)
    assert (record["stream"], record["settings"]["weight"], record["backlog"]) == ("gate-3", 4.0, 0)


def report(server: LocalRedis, name: str, *rates: StreamRates, ago_ms: int = -4000) -> None:
    """Have a dispatcher say this."""
    with redis.Redis.from_url(server.url) as said:
        seconds, micros = said.time()
        at_ms = seconds * 1000 + micros // 1000 - ago_ms
        said.hset(ScaleKeys.REPORTS, name, DispatcherReport(name, at_ms, top_streams=rates).to_json())


def test_list_names_who_offers_most_who_loses_most_and_whose_clock_is_ahead(
    server: LocalRedis, client: redis.Redis
) -> None:
    client.hset(ScaleKeys.REPORTS, "odd", b"no report")

    def listed(*words: str) -> str:
        report(server, "d1", StreamRates("flood", 512.0, 480.0), StreamRates("quiet", 5.0))
        report(server, "d2", StreamRates("late", 10.0, 2.5), StreamRates("ahead", 9.0, 0.0, 9.0))
        report(server, "dead", StreamRates("gone", 900.0, 900.0), ago_ms=60_000)
        return streams(server, "list", "--sort", *words).stdout

    def sorted_by(rate: str) -> list[str]:
        return [json.loads(line)["stream"] for line in listed(rate, "--json").splitlines()]

    assert sorted_by("offered") == ["flood", "late", "ahead", "quiet"]
    assert sorted_by("skipped") == ["flood", "late"]
    assert sorted_by("clock-ahead") == ["ahead"]
    shown = listed("offered")
    assert all(word in shown for word in ("offered/s", "512.0", "480.0", "9.0"))
    assert "gone" not in shown


def test_remove_says_whether_there_was_something(server: LocalRedis, client: redis.Redis) -> None:
    StreamRegistry(client, Install(4)).set("cam-1", StreamSettings(), who="a test")
    assert streams(server, "remove", "cam-1").stdout == "cam-1: removed\n"
    assert streams(server, "remove", "cam-1").stdout == "cam-1: was not registered\n"


def test_a_value_out_of_range_is_one_line_and_exit_code_1(server: LocalRedis, client: redis.Redis) -> None:
    shown = streams(server, "set", "cam-1", "--weight", "0")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == "narrows: stream settings: weight is 0.0: Expected `float` > 0.0\n"
    assert StreamRegistry(client, Install(4)).registered() == {}
