"""A camera that boots while nobody answers works at once: masks on site, a spool that goes out when Redis is there."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import redis

from edge_client.state import StateFolder
from edge_client.transport.install import RememberedInstall
from narrows.contract.bundle import Bundle
from narrows.contract.wire import Install
from narrows.contract.wire.frame_packet.header import is_frame_packet
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD
from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.integration.edge.edge_program import KEYS, SHARDS, Launch, Program

pytestmark = pytest.mark.timeout(120)
MASKS = ("--send", "masks", "--mask-scale", "8", "--fps", "20")


def newest_on_site(local: Path) -> int:
    record = local / "mask.json"
    return int(json.loads(record.read_text())["capture_ms"]) if record.exists() else 0


def sees_masks_go_on(program: Program, local: Path, masks: int) -> None:
    """Wait until so many newer masks were on site."""
    for _ in range(masks):
        before = newest_on_site(local)
        program.until(lambda before=before: newest_on_site(local) > before)  # type: ignore[misc]


def test_masks_go_to_the_spool_before_redis_has_ever_answered_and_arrive_when_it_does(
    tmp_path: Path, launch: Launch, bundle: Bundle
) -> None:
    (port,), local = free_ports(1), tmp_path / "local"
    with StateFolder(tmp_path / "state"):
        RememberedInstall(tmp_path / "state").remember(Install(SHARDS, packet_format=2))
    options = (*MASKS, "--spool-mb", "4", "--local-masks", str(local), "--frames", "30")
    program = launch(f"redis://127.0.0.1:{port}", bundle, "pattern:320x240", *options)
    sees_masks_go_on(program, local, 8)
    assert program.lines() == [], "nothing was sent, nothing was given up"
    answered_ms = time.time() * 1000
    with LocalRedis.start(tmp_path / "late", port=port) as server, redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(SHARDS, packet_format=2).to_json())
        frames, end = program.end()
        arrived = [fields[PACKET_FIELD] for _, fields in client.xrange(KEYS.features)]
    assert (end["frames_sent"], end["frames_dropped"]) == (30, {})
    assert [line["sequence"] for line in frames] == list(range(30))
    assert {line["kind"] for line in frames} == {"masks"}
    assert sum(line["capture_ms"] < answered_ms for line in frames) >= 8, "they were taken before"
    assert len(arrived) == 30
    assert all(map(is_frame_packet, arrived))


def test_without_a_spool_no_frame_is_numbered_until_it_is_known_where_to_send_and_masks_go_on_on_site(
    tmp_path: Path, launch: Launch, bundle: Bundle
) -> None:
    (port,), local = free_ports(1), tmp_path / "local"
    options = (*MASKS, "--local-masks", str(local), "--frames", "5", "--http", "127.0.0.1:0")
    program = launch(f"redis://127.0.0.1:{port}", bundle, "pattern:320x240", *options)
    sees_masks_go_on(program, local, 8)
    assert program.lines() == []
    with LocalRedis.start(tmp_path / "late", port=port) as server, redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(SHARDS).to_json())
        frames, end = program.end()
    assert end["frames_sent"] == 5
    assert frames[0]["sequence"] == 0
    assert {line["kind"] for line in frames} == {"features"}, "packet format 2 was never permitted"
    assert RememberedInstall(tmp_path / "state").install == Install(SHARDS)
    assert end["passed_over"] >= 8


def test_a_remembered_install_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "install.json").write_bytes(b"{")
    remembered = RememberedInstall(tmp_path)
    assert remembered.install is None
    remembered.remember(Install(7))
    assert RememberedInstall(tmp_path).install == Install(7)
