"""The camera's program as a process of its own, with its journal, its log and what Redis has of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire import FeaturePacket, StreamKeys
from narrows.contract.wire.keys import PACKET_FIELD

ROOT = Path(__file__).resolve().parents[3]
SHARDS = 4
KEYS = StreamKeys.of("cam-1", SHARDS)
PATIENCE_S = 60.0
Line = dict[str, Any]


class Program:
    """``narrows edge`` in a process, with its journal and its log."""

    def __init__(
        self, folder: Path, url: str, bundle: Bundle, source: Path | str, *options: str, stream: str = KEYS.stream
    ) -> None:
        self.journal = folder / "journal.jsonl"
        self.log = folder / "log.txt"
        command = [sys.executable, "-m", "narrows.cli", "edge", "--source", str(source), "--stream-id", stream]
        command += ["--redis-url", url, "--bundle", str(bundle.folder), "--state-dir", str(folder / "state")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--journal", str(self.journal), *options],
                stderr=log,
                stdout=log,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def lines(self) -> list[Line]:
        if not self.journal.exists():
            return []
        return [json.loads(line) for line in self.journal.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def until(self, claim: Callable[[], object]) -> None:
        """Wait until a claim holds; fail with the log if the program ends first."""
        give_up_s = time.monotonic() + PATIENCE_S
        while not claim():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < give_up_s, self.log.read_text()
            time.sleep(0.02)

    def end(self) -> tuple[list[Line], Line]:
        """Wait for the end, which must be clean: the lines of the frames, and the last one."""
        code = self.process.wait(PATIENCE_S)
        assert code == 0, self.log.read_text()
        *frames, end = self.lines()
        assert end["end"] is True
        given_up = sum(end["frames_dropped"].values())
        assert end["frames_taken"] + end["frames_resumed"] == end["frames_sent"] + given_up + end["frames_kept"]
        return frames, end

    def stop(self) -> tuple[list[Line], Line]:
        """Ask it to end."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()


Launch = Callable[..., Program]


def packets(client: redis.Redis) -> list[FeaturePacket]:
    """The stream's packets in Redis."""
    entries: list[tuple[bytes, dict[bytes, bytes]]] = client.xrange(KEYS.features)  # type: ignore[assignment]
    return [FeaturePacket.parse(fields[PACKET_FIELD]) for _, fields in entries]


def metrics(address: str) -> dict[str, float]:
    """What ``--http`` shows, by name with labels."""
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        lines = [line.rpartition(" ") for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}
