"""A camera program that plans, on a link that gets thin: real heads, Redis and dispatcher, tails on a real Triton."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import redis
from msgspec.structs import replace
from PIL import Image

import narrows
from edge_client.encode.split import SplitCoder, SplitHead
from edge_client.encode.writing import written_alone
from edge_client.program import run
from edge_client.settings import EdgeSettings
from narrows.cli import split_plan
from narrows.client.registry import StreamRegistry, read_audit
from narrows.client.registry.plans import look_at_plan
from narrows.contract.bundle import SplitBundle
from narrows.contract.errors import DesignUnknown
from narrows.contract.wire import Control, FrameIdentity, Refusal, StreamKeys, StreamSettings
from narrows.runtime.redis import read_install
from orchestrator.servers import LocalRedis, LocalTriton
from tests import split_bundles
from tests.integration.edge.link import Link, link_to
from tests.integration.split.rig import SHARDS, dispatching, patient

LARGE, SMALL = "cut 0, level 0", "cut 1, level 0"
THIN_BYTES_PER_S = 1_500.0
PATIENCE_S = 90.0
pytestmark = pytest.mark.timeout(300)


class Watched:
    """What the camera's journal says of its designs."""

    def __init__(self, journal: Path) -> None:
        self.journal = journal

    def lines(self) -> list[dict[str, Any]]:
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def changes(self) -> list[dict[str, Any]]:
        return [line for line in self.lines() if "design" in line]

    async def until(self, design: str, reason: str) -> dict[str, Any]:
        """The line of the change to a design for a reason, once it is the last."""
        await until(lambda: [(each["design"], each["reason"]) for each in self.changes()][-1:] == [(design, reason)])
        return self.changes()[-1]


async def until(claim: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < give_up_s, "it never came to hold"
        await asyncio.sleep(0.05)


def settings_of(bundle: SplitBundle, link: Link, folder: Path) -> EdgeSettings:
    pictures = folder / "pictures"
    pictures.mkdir()
    for seed in range(4):
        Image.fromarray(split_bundles.picture(seed)).save(pictures / f"{seed}.png")
    return EdgeSettings(
        source=str(pictures),
        stream="cam-1",
        redis_url=f"redis://127.0.0.1:{link.port}/0",
        bundle=bundle.folder,
        state_folder=folder / "state",
        frames_per_s=5.0,
        loop=True,
        journal=folder / "journal.jsonl",
        max_age_s=120.0,
    )


async def test_a_camera_changes_its_design_as_its_link_gets_thin_and_as_it_is_pinned_and_loses_no_frame(
    bundle: SplitBundle, triton: LocalTriton, server: LocalRedis, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stop, watched = Event(), Watched(tmp_path / "journal.jsonl")
    with link_to(server.port) as link, redis.Redis.from_url(server.url) as client:
        async with dispatching(server, triton, bundle):
            patient(client, "cam-1")
            camera = asyncio.create_task(asyncio.to_thread(run, settings_of(bundle, link, tmp_path), stop))
            try:
                await until(lambda: sum("sent" in line for line in watched.lines()) >= 5)
                assert watched.changes()[0]["design"] == LARGE
                assert watched.changes()[0]["reason"] == "first plan"
                link.bytes_per_s = THIN_BYTES_PER_S
                change = await watched.until(SMALL, "better by the objective")
                assert change["before"] == LARGE
                assert change["goodput_bytes_per_s"] < 20 * THIN_BYTES_PER_S

                registry = StreamRegistry(client, read_install(client))
                await until(lambda: look_at_plan(registry, "cam-1").explanation is not None)
                with pytest.raises(DesignUnknown, match="it has: cut 0, level 0"):
                    split_plan.pin("cam-1", ["cut", "7"], by="ada", redis_url=server.url)
                split_plan.pin("cam-1", LARGE.split(), by="ada", redis_url=server.url)
                await watched.until(LARGE, "pinned by the operator")
                await until(lambda: _reason(registry) == "pinned by the operator")
                capsys.readouterr()
                split_plan.explain("cam-1", redis_url=server.url)
                told = capsys.readouterr().out
                assert told.startswith(f"cam-1 uses {LARGE}, for ")
                assert "pinned by the operator (objective: latency)" in told
                assert f"next best  {SMALL}: latency" in told
                assert f"operator   pinned to {LARGE}" in told

                split_plan.unpin("cam-1", by="ada", redis_url=server.url)
                last = await watched.until(SMALL, "no longer pinned")
                await until(lambda: _sent_from(watched, last["from_sequence"]) >= 2)
            finally:
                link.bytes_per_s = float("inf")
                stop.set()
                stats = await camera
            results = await _results(server, stats.frames_sent)
        audited = [(event.who, event.action) for event in read_audit(client) if event.who == "ada"]
    assert set(stats.frames_dropped) <= {"shutdown", "unconfirmed"}  # what the stop itself cut off
    assert [result.identity.sequence for result in results] == list(range(stats.frames_sent))
    assert not any(isinstance(result, Refusal) for result in results)
    changes = watched.changes()
    for sequence, result in enumerate(results):
        used = [each["design"] for each in changes if each["from_sequence"] <= sequence][-1]
        assert (sequence, f"cut {result.cut}, level {result.level}") == (sequence, used)
    assert audited == [("ada", "set"), ("ada", "set")]


def _reason(registry: StreamRegistry) -> str:
    said = look_at_plan(registry, "cam-1").explanation
    return "" if said is None else said.reason


def _sent_from(watched: Watched, sequence: int) -> int:
    return sum(line.get("sent") is True and line["sequence"] >= sequence for line in watched.lines())


async def _results(server: LocalRedis, count: int) -> list[Any]:
    with narrows.subscribe("cam-1", redis_url=server.url, from_id="0", timeout_s=60) as found:
        return [await asyncio.to_thread(next, found) for _ in range(count)]


async def test_a_frame_at_a_cut_without_a_loaded_tail_is_refused_by_name_and_its_camera_is_told_what_is_served(
    bundle: SplitBundle, triton: LocalTriton, server: LocalRedis, tmp_path: Path
) -> None:
    shutil.copytree(bundle.folder, tmp_path / "bundle")
    (tmp_path / "bundle" / "tail1.onnx").unlink()
    served, keys = SplitBundle.open(tmp_path / "bundle"), StreamKeys.of("cam-1", SHARDS)
    head, coder = SplitHead(bundle), SplitCoder(bundle)
    async with dispatching(server, triton, served):
        with redis.Redis.from_url(server.url) as client:
            patient(client, "cam-1")
            registry = StreamRegistry(client, read_install(client))
            settings = registry.get("cam-1") or StreamSettings()
            registry.set("cam-1", replace(settings, design="cut 0, level 1"), who="a test")

            def send(sequence: int, cut: int) -> None:
                head.use(cut)
                latent = head.latent(split_bundles.picture(sequence))
                frame = coder.packet(latent, 0, FrameIdentity(1, sequence), 1000 + sequence)
                client.xadd(keys.features, {"p": written_alone(frame)})

            send(0, 1)

            def told() -> bool:
                data: Any = client.get(keys.control)
                control = Control() if data is None else Control.parse(data)
                return (control.cuts, control.design) == ((0,), "cut 0, level 1") and control.cloud_load is not None

            await until(told)
            send(1, 0)
            found = await _results(server, 2)
            lives_ms: Any = client.pttl(keys.control)
            assert 5_000 < lives_ms <= 30_000
    assert [each.reason if isinstance(each, Refusal) else each.cut for each in found] == ["tail_not_loaded", 0]
