"""Masks made at the camera, through the real stack: switched to and back, link down, read like any other."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import redis
from PIL import Image, ImageDraw
from rich.console import Console

from narrows.client.registry import PromptRegistry, StreamRegistry
from narrows.client.registry.packet_format import let_cameras_send
from narrows.client.subscription import parse_entry
from narrows.contract.bundle import Bundle
from narrows.contract.wire import Control, MaskPacket, Policy, Sends, StreamSettings
from narrows.ops.demo.stack import Stack
from narrows.runtime.direct import open_url
from narrows.runtime.prompting import Box, Point, Prompt
from narrows.runtime.redis import read_install
from tests.bright_network import write_bright_network
from tests.integration.edge.edge_program import KEYS, Program
from tests.integration.edge.link import link_to
from tests.integration.topologies.servers import eventually

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    bundle = Bundle.open(ROOT / "bundles" / "demo")
    with Stack.start(bundle, tmp_path_factory.mktemp("stack"), Console(file=io.StringIO())) as stack:
        yield stack


@pytest.fixture
def cloud(stack: Stack) -> Iterator[Any]:
    """The stack's Redis: its stream is `complete`, cameras may send format 2."""
    with redis.Redis.from_url(stack.redis.url) as client:
        for key in client.scan_iter("narrows:*cam-1*"):
            client.delete(key)
        let_cameras_send(client, 2, who="a test")
        registry = StreamRegistry(client, read_install(client))
        registry.set(KEYS.stream, StreamSettings(policy=Policy.COMPLETE), who="a test")
        yield client


def masks_of(cloud: Any) -> list[MaskPacket]:
    entries = [parse_entry(fields) for _, fields in cloud.xrange(KEYS.outcomes)]
    masks = [each for each in entries if isinstance(each, MaskPacket)]
    assert len(masks) == len(entries), entries
    return masks


def ledger(cloud: Any) -> dict[str, int]:
    return {name.decode(): int(count) for name, count in cloud.hgetall(KEYS.ledger).items()}


def sent_as(program: Program) -> Counter[str]:
    return Counter(line["kind"] for line in program.lines() if "kind" in line)


def test_features_masks_features_with_no_frame_lost(stack: Stack, cloud: Any, tmp_path: Path) -> None:
    options = ("--send", "auto", "--mask-scale", "8", "--audit-share", "2", "--fps", "1", "--loop", "--max-age-s", "60")
    source = ROOT / "samples" / "images" / "val"  # a frame a second: a busy machine has time for masks too
    program = Program(tmp_path, stack.redis.url, stack.bundle, source, *options)
    try:
        program.until(lambda: sent_as(program)["features"] >= 2)
        cloud.set(KEYS.control, Control(send=Sends.MASKS).to_json())
        program.until(lambda: sent_as(program)["audit"] >= 2)
        before = sent_as(program)["features"]
        cloud.set(KEYS.control, Control(send=Sends.FEATURES).to_json())
        program.until(lambda: sent_as(program)["features"] >= before + 2)
        frames, end = program.stop()
    finally:
        program.process.kill()
        program.process.wait()
    assert not end["frames_dropped"]
    program_sent = end["frames_sent"]
    eventually(lambda: ledger(cloud).get("mask") == program_sent)
    masks = masks_of(cloud)
    assert [mask.identity.sequence for mask in masks] == list(range(program_sent))
    kinds = {line["sequence"]: line["kind"] for line in frames}
    shapes = {"features": (360, 480), "masks": (45, 60), "audit": (45, 60)}
    assert [mask.labels.shape for mask in masks] == [shapes[kinds[mask.identity.sequence]] for mask in masks]
    with open_url(f"http://{stack.metrics_address}/metrics", 10) as answer:
        made = [line for line in answer.read().decode().splitlines() if 'made_by="camera"' in line or "audit" in line]
    assert made


def test_the_link_goes_down_and_masks_go_on(stack: Stack, cloud: Any, tmp_path: Path) -> None:
    local = tmp_path / "local"
    options = ("--send", "masks", "--mask-scale", "4", "--spool-mb", "8", "--local-masks", str(local))
    address = urlsplit(stack.redis.url)
    assert address.port is not None
    with link_to(address.port) as link:
        url = stack.redis.url.replace(f":{address.port}", f":{link.port}")
        program = Program(tmp_path, url, stack.bundle, "pattern:320x240", *options, "--fps", "10", "--frames", "60")
        try:
            program.until(lambda: sent_as(program)["masks"] >= 5)
            link.cut()
            cut_at = newest(local)
            program.until(lambda: newest(local) >= cut_at + 20)
            acknowledged = sent_as(program)["masks"]
            assert acknowledged < newest(local)
            link.mend()
            _, end = program.end()
        finally:
            program.process.kill()
            program.process.wait()
    assert (end["frames_sent"], end["frames_dropped"]) == (60, {})
    eventually(lambda: ledger(cloud).get("mask") == 60)
    masks = masks_of(cloud)
    assert [mask.identity.sequence for mask in masks] == list(range(60))
    assert {mask.labels.shape for mask in masks} == {(90, 120)}


def test_what_is_pointed_at_is_outlined_and_followed_with_the_link_up_and_down(
    stack: Stack, cloud: Any, tmp_path: Path
) -> None:
    """A white disc on black that goes to and fro: the network outlines what is bright, so the answer is known."""
    filmed, local = tmp_path / "filmed", tmp_path / "local"
    filmed.mkdir()
    there = [40 + 8 * n for n in range(20)]
    truth = dict(enumerate(there + there[-2:0:-1]))
    for n, x in truth.items():
        picture = Image.new("RGB", (320, 240))
        ImageDraw.Draw(picture).ellipse((x - 20, 90, x + 20, 130), fill="white")
        picture.save(filmed / f"{n:03d}.png")
    registry = PromptRegistry(cloud, read_install(cloud))
    made = registry.add("cam-1", Prompt(points=(Point(40, 110),)), who="ada", source=(320, 240))
    elsewhere = registry.add("cam-1", Prompt(Box(1, 1, 30, 30)), who="ada", source=(64, 48))
    network = str(write_bright_network(tmp_path / "bright.onnx"))
    options = ("--prompts", network, "--prompt-share", "1", "--spool-mb", "8", "--local-masks", str(local))
    address = urlsplit(stack.redis.url)
    assert address.port is not None
    with link_to(address.port) as link:
        url = stack.redis.url.replace(f":{address.port}", f":{link.port}")
        program = Program(tmp_path, url, stack.bundle, filmed, *options, "--loop", "--fps", "10", "--frames", "90")
        try:
            program.until(lambda: registry.look("cam-1").state_of(made) == "tracking")
            assert registry.look("cam-1").state_of(elsewhere) == "source_changed"
            assert registry.look("cam-1").source == (320, 240)
            link.cut()
            cut_at = newest(local)
            program.until(lambda: newest(local) >= cut_at + 15)
            link.mend()
            frames, end = program.end()
        finally:
            program.process.kill()
            program.process.wait()
    assert (end["frames_sent"], end["frames_dropped"]) == (90, {})
    eventually(lambda: ledger(cloud).get("mask") == 90)
    names = {line["sequence"]: line["name"] for line in frames}
    followed = [(mask.identity.sequence, mask.objects) for mask in masks_of(cloud) if mask.objects is not None]
    sequences = [sequence for sequence, _ in followed]
    assert sequences == list(range(sequences[0], 90))  # from the first on in every frame, those of the cut link too
    assert sequences[0] <= cut_at
    for sequence, objects in followed:
        (found,) = objects.masks
        assert (found.prompt, found.version) == (made.id, made.version)
        columns = np.nonzero(objects.spread(found, 240, 320))[1]
        assert columns.mean() + 0.5 == pytest.approx(truth[int(Path(names[sequence]).stem)], abs=3)


def newest(local: Path) -> int:
    return int(json.loads((local / "mask.json").read_text())["sequence"])
