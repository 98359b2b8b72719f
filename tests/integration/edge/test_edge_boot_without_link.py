"""A camera that boots while nobody answers works at once: masks on site, a spool that goes out when Redis is there."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import redis
from PIL import Image, ImageDraw

from edge_client.state import StateFolder
from edge_client.transport.remembered import Remembered
from narrows.client.registry import PromptRegistry
from narrows.contract.bundle import Bundle
from narrows.contract.errors import PromptInvalid
from narrows.contract.records.prompts import PromptList, SourceBox, SourcePrompt
from narrows.contract.wire import Install
from narrows.contract.wire.frame_packet.header import is_frame_packet
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD
from narrows.runtime.prompting import Box, Prompt
from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.bright_network import write_bright_network
from tests.integration.edge.edge_program import KEYS, SHARDS, Launch, Program, metrics

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
        Remembered(tmp_path / "state" / "install.json", Install).remember(Install(SHARDS, packet_format=2))
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
    assert Remembered(tmp_path / "state" / "install.json", Install).record == Install(SHARDS)
    assert end["passed_over"] >= 8


def test_a_remembered_record_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    path = tmp_path / "install.json"
    path.write_bytes(b"{")
    remembered = Remembered(path, Install)
    assert remembered.record is None
    remembered.remember(Install(7))
    assert Remembered(path, Install).record == Install(7)


def test_what_the_cloud_pointed_at_is_outlined_after_a_reboot_without_a_link(
    tmp_path: Path, launch: Launch, bundle: Bundle
) -> None:
    port, http = free_ports(2)
    filmed, state = tmp_path / "filmed", tmp_path / "state"
    filmed.mkdir()
    picture = Image.new("RGB", (320, 240))
    ImageDraw.Draw(picture).ellipse((210, 30, 270, 90), fill="white")
    picture.save(filmed / "scene.png")
    prompt = SourcePrompt(1, 7, 320, 240, 10**13, box=SourceBox(200.0, 20.0, 80.0, 80.0))
    with StateFolder(state):
        Remembered(state / "install.json", Install).remember(Install(SHARDS, packet_format=2))
        Remembered(state / "prompts.json", PromptList).remember(PromptList(7, (prompt,)))
    options = ["--send", "objects", "--prompts", str(write_bright_network(tmp_path / "bright.onnx")), "--loop"]
    options += ["--spool-mb", "4", "--http", f"127.0.0.1:{http}"]
    program = launch(f"redis://127.0.0.1:{port}", bundle, filmed, *options)
    program.until(lambda: "metrics_served" in program.log.read_text())
    program.until(lambda: metrics(f"127.0.0.1:{http}")['narrows_edge_prompts{state="tracking"}'] == 1)
    program.until(lambda: metrics(f"127.0.0.1:{http}")["narrows_edge_frames_waiting"] >= 2)
    with LocalRedis.start(tmp_path / "late", port=port) as server, redis.Redis.from_url(server.url) as client:
        client.set(INSTALL_KEY, Install(SHARDS, packet_format=2).to_json())
        client.set(KEYS.prompts, PromptList(8, (prompt,)).to_json())
        program.until(lambda: client.xlen(KEYS.features) >= 2)
        program.until(lambda: Remembered(state / "prompts.json", PromptList).record == PromptList(8, (prompt,)))
        program.stop()


def test_a_camera_of_objects_alone_says_why_it_sends_nothing_until_format_2_is_permitted(
    tmp_path: Path, launch: Launch, bundle: Bundle, client: redis.Redis
) -> None:
    client.set(INSTALL_KEY, Install(SHARDS).to_json())
    registry = PromptRegistry(client, Install(SHARDS))
    options = ["--send", "objects", "--prompts", str(write_bright_network(tmp_path / "bright.onnx"))]
    address = "redis://127.0.0.1:{port}".format(**client.get_connection_kwargs())
    program = launch(address, bundle, "pattern:320x240", *options)
    program.until(lambda: (seen := registry.look("cam-1")).answers is not None and seen.answers.unable != "")
    with pytest.raises(PromptInvalid, match="`narrows streams packet-format 2` first"):
        registry.add("cam-1", Prompt(Box(10, 10, 40, 40)), who="ada")
    made = registry.add("cam-1", Prompt(Box(10, 10, 40, 40)), who="ada", source=(320, 240))
    assert registry.look("cam-1").state_of(made) == "packet_format"
