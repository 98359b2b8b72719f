"""One lot of cameras, each behind a link of its own, on the real stack."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from benchmarks.pipeline.stack import Stack
from benchmarks.uplink.link import Link, links
from benchmarks.uplink.score import Arrived, Score, score
from benchmarks.uplink.traces import Trace
from narrows.client.registry import StreamRegistry
from narrows.contract.errors import ServiceError
from narrows.contract.wire import FrameIdentity, Install, MaskPacket, Policy, StreamKeys, StreamSettings
from narrows.contract.wire.keys import KIND_FIELD, PACKET_FIELD
from narrows.contract.wire.outcome import MASK
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation import ConfusionMatrix
from narrows.ops.demo.journal import parse_line
from orchestrator.servers import Guarded

_ALONE = {"NARROWS_CONFIG": os.devnull}
_FIRST_FRAME_S = 90.0
_TAIL_S = 3.0
_SHARDS = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """How a camera is run: at a fixed level, or (``None``) by our control."""

    level: int | None

    @property
    def name(self) -> str:
        """For people."""
        return "ours" if self.level is None else f"level {self.level}"


@dataclass(frozen=True)
class Field:
    """What all runs share."""

    stack: Stack
    data: FolderDataset
    frames_per_s: float
    folder: Path

    def open_redis(self, addresses: Sequence[str]) -> None:
        """Have Redis listen at the cloud's ends of the links too: nobody but the cameras can reach them."""
        with redis.Redis.from_url(self.stack.redis.url) as client:
            client.config_set("protected-mode", "no")
            client.config_set("bind", " ".join(("127.0.0.1", *addresses)))

    def register(self, stream: str) -> None:
        """Have every frame decoded that arrives: what a busy cloud skips would blur what the link did."""
        with redis.Redis.from_url(self.stack.redis.url) as client:
            registry = StreamRegistry(client, Install(_SHARDS))
            registry.set(stream, StreamSettings(policy=Policy.COMPLETE), who="bench-uplink")

    def play(self, trace: Trace, settings: Sequence[Setting]) -> dict[Setting, Score]:
        """All settings on the same trace at the same time, each on a link of its own."""
        with links([trace] * len(settings)) as found:
            self.open_redis([link.address for link in found])
            runs = [_Run(self, link, setting) for link, setting in zip(found, settings, strict=True)]
            for run in runs:
                run.thread.start()
            for run in runs:
                run.thread.join()
            self.open_redis([])
        return {run.setting: run.result() for run in runs}


class _Run:
    def __init__(self, field: Field, link: Link, setting: Setting) -> None:
        self.field, self.link, self.setting = field, link, setting
        stamp = f"{time.time_ns():x}"
        self.stream = f"cam-{link.number}-{stamp}"
        self.keys = StreamKeys.of(self.stream, _SHARDS)
        self.folder = field.folder / self.stream
        self.thread = threading.Thread(target=self._guarded, name=self.stream)
        self._error: Exception | None = None
        self._used_bytes = 0
        self._began_ms = 0.0

    def result(self) -> Score:
        """The score, or what went wrong."""
        if self._error is not None:
            raise self._error
        data = self.field.data
        matrix = ConfusionMatrix(len(data.classes.names), data.classes.ignore_index)
        masks, skipped = self._masks()
        return score(
            masks,
            skipped,
            self.link.trace,
            self.field.frames_per_s,
            self._used_bytes,
            lambda name: data.read(name).labels,
            matrix,
        )

    def _guarded(self) -> None:
        try:
            self._play()
        except Exception as error:  # noqa: BLE001 -- a thread's outermost loop: result() raises it in the main one
            self._error = error

    def _play(self) -> None:
        self.field.register(self.stream)
        with self._camera() as camera:
            self._wait_for_first(camera)
            self._began_ms = time.time() * 1000
            before, began_s = self.link.received_bytes(), time.monotonic()
            for second in range(self.link.trace.length_s):
                time.sleep(max(0.0, began_s + second - time.monotonic()))
                self.link.follow(second)
            time.sleep(max(0.0, began_s + self.link.trace.length_s - time.monotonic()))
            self._used_bytes = self.link.received_bytes() - before
            time.sleep(_TAIL_S)

    def _camera(self) -> Guarded:
        self.folder.mkdir(parents=True)
        pictures = self.field.data.root / "images" / self.field.data.split
        port = self.field.stack.redis.port
        command = [
            *(*self.link.enter, sys.executable, "-m", "narrows.cli", "edge", "--loop", "--source", str(pictures)),
            *("--stream-id", self.stream, "--redis-url", f"redis://{self.link.address}:{port}/0"),
            *("--bundle", str(self.field.stack.bundle.folder), "--fps", f"{self.field.frames_per_s:g}"),
            *("--journal", str(self.folder / "journal.jsonl"), "--state-dir", str(self.folder / "state")),
            *(() if self.setting.level is None else ("--level", str(self.setting.level))),
        ]
        return Guarded.start(command, log=self.folder / "edge.log", environment=_ALONE)

    def _wait_for_first(self, camera: Guarded) -> None:
        journal, give_up_s = self.folder / "journal.jsonl", time.monotonic() + _FIRST_FRAME_S
        while not (journal.is_file() and journal.stat().st_size):
            if camera.poll() is not None or time.monotonic() > give_up_s:
                raise ServiceError(f"{self.stream} sends nothing; the end of {camera.log}:\\n{camera.tail()}")
            time.sleep(0.02)

    def _masks(self) -> tuple[list[Arrived], int]:
        """The masks by their entry ids, which are the server's clock: the camera's, here; and how many had none."""
        lines = [line for each in self._journal() if (line := parse_line(each)) is not None]
        names = {line.identity: (line.name, line.capture_ms) for line in lines}
        with redis.Redis.from_url(self.field.stack.redis.url) as client:
            entries: Any = client.xrange(self.keys.outcomes)
        masks = []
        for entry_id, fields in entries:
            if fields[KIND_FIELD] == MASK:
                mask = MaskPacket.parse(fields[PACKET_FIELD])
                masks.append(_arrived(mask, int(entry_id.split(b"-")[0]), self._began_ms, names))
        return masks, len(entries) - len(masks)

    def _journal(self) -> list[bytes]:
        return [line for line in (self.folder / "journal.jsonl").read_bytes().splitlines() if not _is_end(line)]


def _arrived(
    mask: MaskPacket, published_ms: int, began_ms: float, names: dict[FrameIdentity, tuple[str, int]]
) -> Arrived:
    name, capture_ms = names[mask.identity]
    return Arrived(name, (capture_ms - began_ms) / 1000, (published_ms - began_ms) / 1000, mask.level, mask.labels)


def _is_end(line: bytes) -> bool:
    return bool(json.loads(line).get("end"))
