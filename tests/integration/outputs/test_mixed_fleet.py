"""A fleet of both packet formats, features and masks, and two dispatchers, all processes: nothing is refused.

The install goes up to packet format 2 and back to 1, a head comes and goes, and each dispatcher is replaced while
frames flow. ``make test-fleet``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from narrows.client.registry.packet_format import let_cameras_send, newest_read
from narrows.client.subscription import parse_entry
from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import RECORD
from narrows.contract.wire import MaskPacket, StreamKeys
from narrows.contract.wire.keys import ShardKeys
from narrows.contract.wire.streams import Policy, StreamSettings
from orchestrator.servers import LocalRedis, LocalTriton
from orchestrator.servers.ports import free_ports
from tests.integration.edge.edge_program import ROOT, Program
from tests.integration.outputs.test_live_heads import HEAD, SHARDS, folder, put, triton  # noqa: F401 - two are fixtures

pytestmark = [pytest.mark.slow_fleet, pytest.mark.timeout(900)]
PATIENCE_S = 180.0
FORMAT_1, FEATURES, MASKS, AUDITED = "format-1", "features", "masks", "audited"
OPTIONS = {
    FORMAT_1: ("--packet-format", "1"),
    FEATURES: (),
    MASKS: ("--send", "masks", "--mask-scale", "4"),
    AUDITED: ("--send", "masks", "--audit-share", "2"),
}


def until(holds: Callable[[], object]) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up_s, "it never came true"
        time.sleep(0.1)


class Fleet:
    """The cameras, and what Redis has of each."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client
        self.keys = {name: StreamKeys.of(name, SHARDS) for name in OPTIONS}

    def outcomes(self, name: str) -> list[Any]:
        return [parse_entry(fields) for _, fields in self.client.xrange(self.keys[name].outcomes)]

    def newest(self, name: str) -> MaskPacket | None:
        entries = self.client.xrevrange(self.keys[name].outcomes, count=1)
        found = parse_entry(entries[0][1]) if entries else None
        return found if isinstance(found, MaskPacket) else None

    def go_on(self) -> None:
        """Wait until each camera has three more masks."""
        before = {name: self.ended(name) for name in OPTIONS}
        until(lambda: all(self.ended(name) >= before[name] + 3 for name in OPTIONS))

    def ended(self, name: str) -> int:
        return int(self.client.xlen(self.keys[name].outcomes))

    def made_at_the_camera(self, name: str) -> bool | None:
        mask = self.newest(name)
        return None if mask is None else mask.timings.infer_us == 0

    def has_head(self, name: str) -> bool:
        mask = self.newest(name)
        return mask is not None and mask.output(HEAD) is not None


@contextmanager
def dispatcher(server: LocalRedis, triton: LocalTriton, bundle: Bundle, log: Path) -> Iterator[Callable[[], None]]:  # noqa: F811
    """``narrows orchestrate`` as a process; what is given ends it in order."""
    command = ["orchestrate", "--redis-url", server.url, "--triton", triton.grpc_address, "--shards", str(SHARDS)]
    command += ["--bundle", str(bundle.folder), "--max-batch", "4", "--retention", "5000"]
    command += ["--http", f"127.0.0.1:{free_ports(1)[0]}"]
    with log.open("ab") as out:
        env = {**os.environ, "PYTHONPATH": str(ROOT), "NARROWS_CONFIG": os.devnull}
        process = subprocess.Popen(
            [sys.executable, "-m", "narrows.cli", *command], cwd=log.parent, stdout=out, stderr=out, env=env
        )

    def end() -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, log.read_text()

    try:
        yield end
    finally:
        process.kill()
        process.wait()


def test_formats_heads_and_dispatchers_change_and_every_frame_ends_in_its_mask(
    server: LocalRedis,
    client: redis.Redis,
    triton: LocalTriton,  # noqa: F811
    folder: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    bundle, fleet = Bundle.open(folder), Fleet(client)
    record = (tmp_path / RECORD).read_bytes()
    for keys in fleet.keys.values():
        complete = StreamSettings(policy=Policy.COMPLETE).to_json()
        client.hset(ShardKeys(keys.shard).streams, keys.stream, complete)
    with ExitStack() as held:

        def start(name: str) -> Callable[[], None]:
            return held.enter_context(dispatcher(server, triton, bundle, tmp_path / f"{name}.log"))

        end_first, end_second = start("first"), start("second")
        until(lambda: len(newest_read(client)) == 2)
        cameras = {}
        for name, options in OPTIONS.items():
            home = tmp_path / name
            home.mkdir()
            options = (*options, "--fps", "2", "--level", "2", "--max-age-s", "0", "--maxlen", "5000")  # noqa: PLW2901
            cameras[name] = Program(home, server.url, bundle, "pattern:320x240", *options, stream=name)
            held.callback(cameras[name].process.kill)
        fleet.go_on()
        assert [fleet.made_at_the_camera(name) for name in OPTIONS] == [False] * 4, "format 1 carries no mask"

        let_cameras_send(client, 2, who="a test")
        until(lambda: [fleet.made_at_the_camera(name) for name in OPTIONS] == [False, False, True, True])

        put(folder / RECORD, record)
        until(lambda: fleet.has_head(FORMAT_1) and fleet.has_head(FEATURES))
        end_first()
        until(lambda: len(newest_read(client)) == 1)
        fleet.go_on()  # by the second alone, which has the head too
        assert fleet.has_head(FORMAT_1)
        assert fleet.has_head(FEATURES)
        start("third")
        until(lambda: len(newest_read(client)) == 2)
        end_second()
        fleet.go_on()  # by one that began with the head
        assert fleet.has_head(FORMAT_1)
        assert fleet.has_head(FEATURES)

        start("fourth")
        until(lambda: len(newest_read(client)) == 2)
        (folder / RECORD).unlink()
        until(lambda: not fleet.has_head(FORMAT_1) and not fleet.has_head(FEATURES))

        let_cameras_send(client, 1, who="a test")
        until(lambda: [fleet.made_at_the_camera(name) for name in OPTIONS] == [False] * 4)
        fleet.go_on()
        ends = {name: camera.stop()[1] for name, camera in cameras.items()}
        for name, end in ends.items():
            until(lambda name=name, end=end: fleet.ended(name) == end["frames_sent"])  # type: ignore[misc]
    for name, end in ends.items():
        assert end["frames_dropped"] == {}
        masks = fleet.outcomes(name)
        assert [mask.identity.sequence for mask in masks if isinstance(mask, MaskPacket)] == list(range(len(masks)))
        ledger = {field.decode(): int(count) for field, count in fleet.client.hgetall(fleet.keys[name].ledger).items()}
        assert ledger == {"mask": end["frames_sent"]}
