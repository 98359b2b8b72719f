"""``narrows streams`` as a person types it, against a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import IO

import redis

from narrows.client.registry import StreamRegistry, read_audit
from narrows.contract.records.report import CameraMasks, DispatcherReport, StreamRates
from narrows.contract.wire import Install, Policy, StreamKeys, StreamSettings
from narrows.contract.wire.keys import AUDIT_KEY, DISPATCHERS_KEY, INSTALL_KEY, ScaleKeys
from narrows.contract.wire.streams import MaskPacking
from orchestrator.servers import LocalRedis

NO_MASKS = CameraMasks()


def streams(server: LocalRedis, *arguments: str, stdin: IO[str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "narrows.cli", "streams", *arguments],
        env=os.environ | {"NARROWS_REDIS_URL": server.url},
        stdin=stdin,
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


def test_a_pin_is_shown_among_the_settings_and_stays_when_another_is_changed(
    server: LocalRedis, client: redis.Redis
) -> None:
    registry = StreamRegistry(client, Install(4))
    registry.set("cam-1", StreamSettings(design="cut 1, level 0"), who="a test")
    assert "design cut 1, level 0" in streams(server, "set", "cam-1", "--weight", "2").stdout
    assert registry.get("cam-1") == StreamSettings(weight=2.0, design="cut 1, level 0")


def test_a_bundle_is_lifted_with_any(server: LocalRedis, client: redis.Redis) -> None:
    registry = StreamRegistry(client, Install(4))
    registry.set("cam-1", StreamSettings(bundle="0123456789abcdef"), who="a test")
    assert streams(server, "set", "cam-1", "--bundle", "any", "--refuse-future-clock").returncode == 0
    assert registry.get("cam-1") == StreamSettings(refuse_future_clock=True)


def test_how_masks_are_kept_is_set_and_set_back(server: LocalRedis, client: redis.Redis) -> None:
    registry = StreamRegistry(client, Install(4))
    assert "masks small" in streams(server, "set", "cam-1", "--masks", "small").stdout
    assert registry.get("cam-1") == StreamSettings(masks=MaskPacking.SMALL)
    assert "masks small" in streams(server, "set", "cam-1", "--weight", "2").stdout
    assert "masks fast" in streams(server, "set", "cam-1", "--masks", "fast").stdout
    assert registry.get("cam-1") == StreamSettings(weight=2.0)


def test_list_shows_every_stream_in_a_table_and_as_json(server: LocalRedis, client: redis.Redis) -> None:
    StreamRegistry(client, Install(4)).set("gate-3", StreamSettings(weight=4.0, group="gates"), who="a test")
    shown = streams(server, "list")
    assert all(word in shown.stdout for word in ("gate-3", "gates", "realtime", "never"))
    record = json.loads(streams(server, "list", "--json").stdout)
    assert (record["stream"], record["settings"]["weight"], record["backlog"]) == ("gate-3", 4.0, 0)


def report(
    server: LocalRedis, name: str, *rates: StreamRates, ago_ms: int = -4000, masks: CameraMasks = NO_MASKS
) -> None:
    """Have a dispatcher say this."""
    with redis.Redis.from_url(server.url) as said:
        seconds, micros = said.time()
        at_ms = seconds * 1000 + micros // 1000 - ago_ms
        said.hset(
            ScaleKeys.REPORTS, name, DispatcherReport(name, at_ms, top_streams=rates, camera_masks=masks).to_json()
        )


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


def test_list_says_what_each_stream_sends_and_whether_the_cloud_asks_for_masks(
    server: LocalRedis, client: redis.Redis
) -> None:
    for stream in ("plain", "own"):
        client.xadd(StreamKeys.of(stream, 4).features, {"p": b"frame"})
        client.hset(StreamKeys.of(stream, 4).ledger, "mask", 1)
    StreamRegistry(client, Install(4)).set("silent", StreamSettings(), who="a test")
    report(server, "d1", masks=CameraMasks(made=("own", "silent"), asked=("own",)))
    rows = [json.loads(line) for line in streams(server, "list", "--json").stdout.splitlines()]
    assert [(row["stream"], row["sends"], row["asked_for_masks"]) for row in rows] == [
        ("own", "masks", True),
        ("plain", "features", False),
        ("silent", "", False),
    ]
    assert "masks asked for" in " ".join(streams(server, "list").stdout.split())


def test_remove_says_whether_there_was_something(server: LocalRedis, client: redis.Redis) -> None:
    StreamRegistry(client, Install(4)).set("cam-1", StreamSettings(), who="a test")
    assert streams(server, "remove", "cam-1").stdout == "cam-1: removed\n"
    assert streams(server, "remove", "cam-1").stdout == "cam-1: was not registered\n"


def test_a_value_out_of_range_is_one_line_and_exit_code_1(server: LocalRedis, client: redis.Redis) -> None:
    shown = streams(server, "set", "cam-1", "--weight", "0")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert shown.stderr == "narrows: stream settings: weight is 0.0: Expected `float` > 0.0\n"
    assert StreamRegistry(client, Install(4)).registered() == {}


def dispatcher(client: redis.Redis, name: str, *, packet_format: int | None, ago_ms: int = 0) -> None:
    """Have a dispatcher live, and say what it reads; ``None``: it is of a build that does not say."""
    seconds, micros = client.time()
    now_ms = seconds * 1000 + micros // 1000
    client.zadd(DISPATCHERS_KEY, {name: now_ms})
    said = json.loads(DispatcherReport(name, now_ms - ago_ms, packet_format=packet_format or 1).to_json())
    if packet_format is None:
        del said["packet_format"]
    client.hset(ScaleKeys.REPORTS, name, json.dumps(said).encode())


def test_packet_format_2_is_allowed_once_every_dispatcher_reads_it(server: LocalRedis, client: redis.Redis) -> None:
    dispatcher(client, "new", packet_format=2)
    dispatcher(client, "old", packet_format=None)
    refused = streams(server, "packet-format", "2")
    assert refused.returncode == 1
    assert "old does not say that it reads packet format 2" in refused.stderr
    assert client.get(INSTALL_KEY) == Install(4).to_json()
    dispatcher(client, "old", packet_format=2)
    dispatcher(client, "new", packet_format=2)
    allowed = streams(server, "packet-format", "2", "--by", "ada")
    assert "cameras may send packet format 2" in allowed.stdout
    assert client.get(INSTALL_KEY) == Install(4, 2).to_json()
    assert streams(server, "packet-format").stdout.endswith("cameras may send packet format 2\n")
    assert client.xrevrange(AUDIT_KEY, count=1)[0][1] == {  # type: ignore[index]
        b"who": b"ada",
        b"action": b"packet-format",
        b"format_before": b"1",
        b"format": b"2",
    }
    assert read_audit(client) == []


def test_packet_format_1_is_set_whoever_lives_and_leaves_the_record_as_ever(
    server: LocalRedis, client: redis.Redis
) -> None:
    client.set(INSTALL_KEY, Install(4, 2).to_json())
    assert streams(server, "packet-format", "1").returncode == 0
    assert client.get(INSTALL_KEY) == Install(4).to_json()


def test_packet_format_2_needs_dispatchers_that_were_heard_of(server: LocalRedis, client: redis.Redis) -> None:
    assert "no dispatcher lives" in streams(server, "packet-format", "2").stderr
    dispatcher(client, "silent", packet_format=2, ago_ms=60_000)
    assert "silent does not say" in streams(server, "packet-format", "2").stderr
