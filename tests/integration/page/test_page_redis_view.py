"""What the page reads from a real Redis: that it only reads, and that it is not led astray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from narrows.client.painting import Legend, paint_outlines
from narrows.contract.errors import ServiceError
from narrows.contract.outputs.objects import ObjectMask, Objects, objects_value
from narrows.contract.records.report import CameraMasks, DispatcherReport
from narrows.contract.schedule import Objective, Planner, explain
from narrows.contract.wire import (
    FrameIdentity,
    Install,
    MaskPacket,
    ResultPacket,
    ShardKeys,
    StreamKeys,
    StreamSettings,
    Timings,
)
from narrows.contract.wire.keys import INSTALL_KEY, ScaleKeys
from narrows.contract.wire.output_packet import OutputPacket
from orchestrator.page.directory import Directory
from orchestrator.page.latest_masks import LatestMasks
from orchestrator.page.redis_view import RedisView
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamState
from orchestrator.servers import LocalRedis
from tests.unit.schedule.scenes import FAST, table

SHARDS = 4


@pytest.fixture
def admin(server: LocalRedis) -> Iterator[Any]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        client.set(INSTALL_KEY, Install(SHARDS).to_json().decode())
        yield client


@pytest.fixture
def view(server: LocalRedis, admin: Any) -> Iterator[RedisView]:
    opened = RedisView(server.url)
    yield opened
    opened.close()


def keys(stream: str) -> StreamKeys:
    return StreamKeys.of(stream, SHARDS)


def mask(sequence: int, *, size: int = 100) -> MaskPacket:
    labels = np.full((6, 8), sequence % 3, np.uint8)
    areas = np.bincount(labels.ravel(), minlength=3).astype(np.uint32)
    return MaskPacket(
        0xFEED, FrameIdentity(7, sequence), 0, 0, size, labels, areas, Timings(1000, 2000, 3000, 4000, 5000)
    )


def publish(admin: Any, stream: str, packet: MaskPacket) -> str:
    return str(admin.xadd(keys(stream).outcomes, {"k": b"mask", "p": packet.to_bytes()}).decode())


def rows(directory: Directory) -> dict[str, Row]:
    directory.look_for_streams()
    return {row.stream: row for row in directory.feel_pulses().rows}


def test_streams_are_those_registered_and_those_that_sent(admin: Any, view: RedisView) -> None:
    admin.hset(ShardKeys(keys("gate").shard).streams, "gate", StreamSettings(group="gates").to_json())
    admin.hset(ShardKeys(keys("odd").shard).streams, "odd", b"{not json")
    admin.hset(ShardKeys(0).streams, "../etc", b"{}")
    admin.xadd(keys("cam-1").features, {"p": b"frame"})
    admin.xadd(f"{ShardKeys((keys('cam-2').shard + 1) % SHARDS).prefix}:in:cam-2", {"p": b"in a shard not its own"})
    found = rows(Directory(view))
    assert set(found) == {"gate", "odd", "cam-1"}
    assert (found["gate"].settings.group, found["gate"].registered, found["gate"].state) == (
        "gates",
        True,
        StreamState.NEW,
    )
    assert (found["cam-1"].registered, found["cam-1"].state, found["cam-1"].pulse.waiting) == (
        False,
        StreamState.LIVE,
        1,
    )


def test_frames_are_counted_though_finishing_deletes_them(admin: Any, view: RedisView) -> None:
    for _ in range(5):
        admin.xdel(keys("cam-1").features, admin.xadd(keys("cam-1").features, {"p": b"frame"}))
    ledger = {"mask": 3, "skipped": 1, "refused": 1, "refused:inference": 1, "lost": 4, "outside": 2, "key_requests": 9}
    admin.hset(keys("cam-1").ledger, mapping=ledger)
    pulse = rows(Directory(view))["cam-1"].pulse
    assert (pulse.waiting, pulse.arrived, pulse.masks, pulse.ended) == (0, 5, 3, 7)
    assert (pulse.skipped, pulse.refused, pulse.lost) == (1, 3, 4)


def test_a_stream_that_is_removed_is_forgotten(admin: Any, view: RedisView) -> None:
    directory = Directory(view)
    admin.xadd(keys("cam-1").features, {"p": b"frame"})
    assert set(rows(directory)) == {"cam-1"}
    admin.delete(keys("cam-1").features)
    assert rows(directory) == {}


def test_the_last_refusal_is_its_streams_error_and_each_letter_is_read_once(admin: Any, view: RedisView) -> None:
    def refuse(stream: str, reason: str) -> None:
        letter = {"stream": stream, "reason": reason, "detail": f"because of {reason}", "head": b"\xff\x00"}
        admin.xadd(ShardKeys(keys(stream).shard).dead, letter)

    admin.xadd(keys("cam-1").features, {"p": b"frame"})
    refuse("cam-1", "crc_mismatch")
    refuse("cam-1", "truncated")
    refuse("stranger", "stream_id")
    directory = Directory(view)
    error = rows(directory)["cam-1"].error
    assert error is not None
    assert (error.reason, error.detail) == ("truncated", "because of truncated")
    assert view.letters() == []
    refuse("cam-1", "inference")
    error = rows(directory)["cam-1"].error
    assert error is not None
    assert error.reason == "inference"


def test_a_refusal_that_is_read_before_its_stream_is_found_is_kept(admin: Any, view: RedisView) -> None:
    directory = Directory(view)
    directory.look_for_streams()
    admin.xadd(keys("cam-1").features, {"p": b"frame"})
    admin.xadd(ShardKeys(keys("cam-1").shard).dead, {"stream": "cam-1", "reason": "truncated", "detail": ""})
    assert directory.feel_pulses().rows == ()
    assert rows(directory)["cam-1"].error is not None


def test_the_newest_mask_is_found_behind_other_outcomes_and_asked_for_once(admin: Any, view: RedisView) -> None:
    publish(admin, "cam-1", mask(0))
    entry = publish(admin, "cam-1", mask(1))
    for _ in range(3):
        admin.xadd(keys("cam-1").outcomes, {"k": b"skipped", "p": b'{"reason":"stale","epoch":7,"sequence":2}'})
    found = view.newest_masks({"cam-1": "", "cam-2": ""})
    assert {stream: (at, packet.identity.sequence) for stream, (at, packet) in found.items()} == {"cam-1": (entry, 1)}
    assert view.newest_masks({"cam-1": entry}) == {}


@pytest.mark.parametrize(("newer", "found", "looks"), [(0, True, 1), (3, True, 4), (7, True, 8), (8, False, 8)])
def test_outcomes_are_looked_at_one_by_one_and_no_further_than_the_mask(
    admin: Any, view: RedisView, newer: int, looks: int, *, found: bool
) -> None:
    """Results may have a megabyte each: eight at once of each stream on a screen held the server up for 200 ms."""
    publish(admin, "cam-1", mask(0))
    for _ in range(newer):
        admin.xadd(keys("cam-1").outcomes, {"k": b"skipped", "p": b"{}"})
    admin.config_resetstat()
    assert bool(view.newest_masks({"cam-1": ""})) is found
    assert admin.info("commandstats")["cmdstat_xrevrange"]["calls"] == looks


def test_what_a_camera_outlined_and_sent_alone_is_drawn_and_has_no_mask(admin: Any, view: RedisView) -> None:
    outlined = Objects(64, 48, 12, (ObjectMask(3, 7, 0, 0, 24, np.ones((12, 12), bool)),))
    objects = OutputPacket(objects_value(outlined.to_bytes()), "00000000000000ab")
    packet = ResultPacket(0xFEED, FrameIdentity(7, 1), 0, 0, 0, 50)
    fields = {"k": b"mask", "p": packet.to_bytes(), objects.field: objects.to_bytes()}
    entry = admin.xadd(keys("cam-1").outcomes, fields).decode()
    latest_masks = LatestMasks(view, [Legend()])
    found = latest_masks.look(["cam-1"])["cam-1"]
    assert found.mask is not None
    assert (found.entry, found.mask.objects and found.mask.objects.to_bytes()) == (entry, outlined.to_bytes())
    assert latest_masks.png("cam-1", entry) == (entry, b"")
    assert latest_masks.objects("cam-1", entry) == (entry, paint_outlines(outlined))
    publish(admin, "cam-1", mask(2))
    moved_on = LatestMasks(view, [Legend()])
    assert moved_on.objects("cam-1", entry) == (entry, paint_outlines(outlined))
    assert moved_on.png("cam-1", entry) == ("", b"")


def test_what_a_camera_said_last_of_its_design_is_read_once_and_nonsense_costs_itself_alone(
    admin: Any, view: RedisView
) -> None:
    planner = Planner(table(), Objective.LATENCY)
    said = explain(planner, planner.plan(FAST, 0.0), 0.0, 0)
    entry = admin.xadd(keys("cam-1").plan, {"p": said.to_json()}, maxlen=1, approximate=False).decode()
    admin.xadd(keys("cam-2").plan, {"p": b"nonsense"})
    admin.set(keys("cam-3").plan, b"no stream")
    admin.xadd(keys("cam-4").plan, {"p": said.to_json(), "more": bytes(1 << 18)})
    latest = LatestMasks(view, [Legend()]).look([f"cam-{number}" for number in range(1, 5)])
    assert {stream: (each.plan_entry, each.plan) for stream, each in latest.items()} == {
        "cam-1": (entry, said), "cam-2": ("", None), "cam-3": ("", None), "cam-4": ("", None)
    }  # fmt: skip
    assert view.newest_plans({"cam-1": entry}) == {}


def test_a_mask_that_cannot_be_read_is_no_mask(admin: Any, view: RedisView) -> None:
    admin.xadd(keys("cam-1").outcomes, {"k": b"mask", "p": b"nonsense"})
    assert view.newest_masks({"cam-1": ""}) == {}


def test_a_visitor_gets_the_mask_that_was_named_though_a_newer_one_came(admin: Any, view: RedisView) -> None:
    clock = iter(range(100))
    latest_masks = LatestMasks(view, [Legend()], lambda: float(next(clock)))
    first = publish(admin, "cam-1", mask(1))
    assert latest_masks.look(["cam-1"])["cam-1"].entry == first
    newer = publish(admin, "cam-1", mask(2, size=300))
    latest_mask = latest_masks.look(["cam-1"])["cam-1"]
    assert latest_mask.entry == newer
    assert latest_mask.latency_ms == 15.0
    assert latest_mask.kbit_per_s(5.0) == 8.0  # 200 bytes on average
    assert latest_masks.png("cam-1", first)[0] == first
    assert latest_masks.png("cam-1", first)[1] != latest_masks.png("cam-1", newer)[1]
    assert latest_masks.png("cam-1", "1-1") == ("", b"")


def test_rows_say_what_their_streams_send_once_a_dispatcher_does(admin: Any, view: RedisView) -> None:
    for stream in ("plain", "own", "held"):
        admin.xadd(keys(stream).features, {"p": b"frame"})
    admin.hset(ShardKeys(keys("never").shard).streams, "never", StreamSettings().to_json())
    directory = Directory(view)
    assert {row.sends for row in rows(directory).values()} == {None}
    seconds, _ = admin.time()
    said = CameraMasks(made=("own", "held"), audited=("held",), asked=("own",))
    admin.hset(ScaleKeys.REPORTS, "odd", b"no report")
    admin.hset(ScaleKeys.REPORTS, "one", DispatcherReport("one", seconds * 1000, camera_masks=said).to_json())
    found = rows(directory)
    assert {name: row.sends for name, row in found.items()} == {
        "plain": "features",
        "own": "masks",
        "held": "audited",
        "never": None,
    }
    assert [name for name, row in found.items() if row.asked_for_masks] == ["own"]


def test_reading_changes_nothing(admin: Any, view: RedisView) -> None:
    admin.xadd(keys("cam-1").features, {"p": b"frame"})
    publish(admin, "cam-1", mask(0))
    admin.config_resetstat()
    directory = Directory(view)
    rows(directory)
    view.newest_masks({"cam-1": ""})
    allowed = {
        "get",
        "time",
        "scan",
        "hgetall",
        "hmget",
        "xinfo|stream",
        "xinfo|groups",
        "xlen",
        "memory|usage",
        "client|no-evict",
        "xrevrange",
        "type",
        "evalsha",
        "script|load",
    }
    called = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
    assert called - {"config|resetstat", "info", "eval", "client|setinfo", "hello"} <= allowed


def test_two_thousand_streams_are_felt_in_a_round(admin: Any, view: RedisView) -> None:
    with admin.pipeline(transaction=False) as pipeline:
        for number in range(2000):
            pipeline.xadd(keys(f"cam-{number}").features, {"p": b"frame"})
        pipeline.execute()
    found = rows(Directory(view))
    assert len(found) == 2000
    assert {row.pulse.waiting for row in found.values()} == {1}


def test_a_redis_without_an_install_says_what_to_start(admin: Any, view: RedisView) -> None:
    admin.delete(INSTALL_KEY)
    with pytest.raises(ServiceError, match="narrows orchestrate"):
        view.settings()


def test_a_redis_that_is_away_is_named(tmp_path: Path) -> None:
    view = RedisView("redis://127.0.0.1:1/0")
    with pytest.raises(ServiceError, match="does not answer"):
        view.settings()
    view.close()
