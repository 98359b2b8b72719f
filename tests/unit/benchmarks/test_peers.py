"""Narrows beside its peers: whose processor time counts, and which frames were lost or doubled."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.apps.glue import Codec
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.figures import rows
from benchmarks.peers.loads import Requests
from benchmarks.peers.marked import MARK, find, processor_seconds
from benchmarks.pipeline.packets import Packets
from benchmarks.pipeline.schedule import Arrival
from narrows.contract.bundle import Bundle

_CHILD = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'], start_new_session=True)"


def test_a_grandchild_in_a_session_of_its_own_counts() -> None:
    mark = uuid.uuid4().hex
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", _CHILD], env=os.environ | {MARK: mark}, stdin=pipe) as child:
        while not find(mark, command="-c input()"):
            assert child.poll() is None
        assert sorted([child.pid, *find(mark, command="-c input()")]) == find(mark)
        assert find(mark, library="no such library") == []
        assert processor_seconds(mark) > 0
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.close()
    assert find(mark) == []


@pytest.fixture
def packets() -> Packets:
    return Packets.encode(Bundle.open(Path("bundles/demo")), Path("samples"))


def test_a_frame_that_is_refused_or_answered_for_another_is_lost(packets: Packets) -> None:
    codec = Codec(packets.bundle.folder)
    shape = packets.bundle.manifest.input
    seen: list[bytes] = []

    async def ask(body: bytes) -> bytes:
        seen.append(body)
        if len(seen) == 2:
            raise RuntimeError("HTTP 500")
        frame = codec.read(seen[0] if len(seen) == 3 else body)
        return codec.mask(frame, np.zeros((shape.height, shape.width), np.uint8))

    arrivals = [Arrival(0.0, 0, n) for n in range(4)]
    _, ends = asyncio.run(Requests(packets, ask, at_once=1).when_due(arrivals))
    assert sorted(ends) == [0, 3]


def test_the_table_says_what_the_kill_of_a_worker_cost() -> None:
    found = {"name": "x", "frames_per_s": 1234.5, "cpu_ms": 1.0, "cpu_ms_at_load": 2.0, "p50_ms": 3.0, "p99_ms": 4.0}
    plain = rows([found | {"lines": 5}])[0]
    killed = {"killed_frames": 100.0, "killed_lost": 2.0, "killed_doubled": 1.0, "killed_longest_s": 5.0}
    assert plain == ["x", "1,234", "1.00", "2.00", "3.0", "4.0", "5", "", ""]
    assert rows([found | {"lines": 5} | killed])[0][-2:] == ["2, 1 of 100", "5.0"]


def test_every_peer_is_counted_by_what_its_user_writes() -> None:
    assert [each.lines() == 0 for each in CONTENDERS] == [True, False, False, False, False]
