"""Cameras beside the swarm, real ``narrows edge`` programs, and the accounts of what they sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.e2e.frame_accounting import UNSEALED, Line
from benchmarks.e2e.waiting import StackError, until
from benchmarks.e2e_swarm.images import ROOT
from narrows.cli.secret_options import resolved
from narrows.client.registry import StreamOverview, StreamRegistry, overviews
from narrows.client.subscription import subscribe
from narrows.contract.wire import MaskPacket
from narrows.runtime.redis import connect, read_install

_NARROWS = str(Path(sys.executable).with_name("narrows"))
_STOP_S, _SETTLE_S = 60.0, 240.0


@dataclass
class Cameras:
    """Those of one scene, which have streams of their own, so that each scene's account stands by itself.

    Attributes:
        secrets: what ``narrows keys stack`` wrote.
        home: where they keep journals.
    """

    secrets: Path
    home: Path
    bundles: Path

    def order_servers(self, number: str) -> None:
        """``narrows scale set``: so many servers whatever the load, or ``auto``."""
        command = [_NARROWS, "scale", "set", number, "--redis-url", f"file:{self._file('operator')}"]
        subprocess.run(command, check=True, capture_output=True, text=True)

    @contextmanager
    def sending(self, streams: Sequence[str], bundle: str = "demo", fps: int = 2) -> Iterator[None]:
        """Send on each stream meanwhile; at the end each camera is told to stop, and has."""
        programs = [self._start(stream, bundle, fps) for stream in streams]
        try:
            yield
        finally:
            for program in programs:
                program.send_signal(signal.SIGTERM)
            for program in programs:
                program.wait(_STOP_S)

    def _start(self, stream: str, bundle: str, fps: int) -> subprocess.Popen[bytes]:
        place, secrets = self.home / stream, self.secrets / "vault" / "cameras" / stream
        place.mkdir(parents=True, exist_ok=True)
        options = {
            "--source": ROOT / "samples" / "images" / "val",
            "--stream-id": stream,
            "--redis-url": f"file:{secrets / 'redis.url'}",
            "--key-file": secrets / "camera.key",
            "--bundle": self.bundles / bundle,
            "--fps": fps,
            "--state-dir": place,
            "--journal": place / "journal.jsonl",
        }
        command = [_NARROWS, "edge", "--loop", *(str(word) for pair in options.items() for word in pair)]
        with (place / "log").open("ab") as log:
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def account(self, streams: Sequence[str]) -> list[Line]:
        """The streams' accounts once everything that was sent on them has ended.

        Raises:
            StackError: something waits for its end still.
        """
        until(lambda: self._settled(streams), f"everything sent by {', '.join(streams)} has ended", _SETTLE_S)
        return [line(self.ledger(stream), self._fates(stream)) for stream in streams]

    def _settled(self, streams: Sequence[str]) -> bool:
        return not any(self.ledger(stream).backlog for stream in streams)

    def ledger(self, stream: str) -> StreamOverview:
        """How a stream stands in Redis.

        Raises:
            StackError: it is not known there.
        """
        for each in self._overviews():
            if each.stream == stream:
                return each
        raise StackError(f"nothing was ever heard of {stream}; its log is {self.home / stream / 'log'}")

    def masks(self, streams: Sequence[str]) -> int:
        """How many masks came of these streams."""
        return sum(each.ledger.get("mask", 0) for each in self._overviews() if each.stream in streams)

    def _overviews(self) -> list[StreamOverview]:
        with closing(connect(self._address("operator"))) as client:
            return overviews(StreamRegistry(client, read_install(client)))

    def made_by(self, stream: str, masks: int) -> set[str]:
        """The bundles that made a stream's next masks."""
        bundles: list[str] = []
        with subscribe(stream, redis_url=self._address("viewer"), timeout_s=120) as subscription:
            for outcome in subscription:
                if isinstance(outcome, MaskPacket):
                    bundles.append(f"{outcome.bundle_id:016x}")
                if len(bundles) == masks:
                    break
        return set(bundles)

    def _fates(self, stream: str) -> Counter[str]:
        text = (self.home / stream / "journal.jsonl").read_text()
        entries = [json.loads(each) for each in text.splitlines()]
        return Counter("sent" if each["sent"] else "dropped" for each in entries if "sequence" in each)

    def _address(self, person: str) -> str:
        return str(resolved({"redis_url": f"file:{self._file(person)}"})["redis_url"])

    def _file(self, person: str) -> Path:
        return self.secrets / "vault" / "people" / person / "redis.url"


def line(ledger: StreamOverview, fates: Counter[str]) -> Line:
    """A stream's account, of its ledger in Redis and of its camera's journal."""
    ended = sum(ledger.ledger.get(kind, 0) for kind in ("mask", "skipped", "refused", UNSEALED))
    lost = ledger.ledger.get("lost", 0)
    return Line(ledger.stream, fates["sent"], fates["dropped"], ended, lost, ledger.backlog)
