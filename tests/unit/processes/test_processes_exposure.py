"""Claims about the one address of several processes. Each is a server on a socket of its own, as a dispatcher is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from narrows.contract.records.readiness import Readiness
from narrows.runtime.exposure import Exposure
from narrows.runtime.http import make_app, serve
from orchestrator.processes.exposure import ProcessesExposure, reasons
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.processes.process import DispatcherProcess
from orchestrator.telemetry.metrics import Metrics

TOKEN = "0123456789abcdef"
BEARER = f"Bearer {TOKEN}"


@dataclass
class Probe:
    """Ready unless it says why not."""

    why: list[str] = field(default_factory=list)

    def alive(self) -> dict[str, object]:
        return {"alive": True}

    def reasons_not_ready(self) -> list[str]:
        return self.why


@dataclass
class Rig:
    """Two processes of three answer."""

    exposure: ProcessesExposure
    probes: dict[int, Probe]
    third: DispatcherProcess

    async def get(self, path: str, authorization: str = BEARER) -> tuple[int, str]:
        found = await self.exposure.reply(path, authorization)
        return int(found.status), found.body.decode()

    async def readiness(self) -> tuple[int, object]:
        status, body = await self.get("/readyz")
        return status, json.loads(body)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    metrics = ProcessMetrics(["1", "2", "3"])
    processes = [DispatcherProcess(number, ["unused"], tmp_path, TOKEN, metrics) for number in (1, 2, 3)]
    probes = {1: Probe(), 2: Probe()}
    async with AsyncExitStack() as servers:
        for number, probe in probes.items():
            processes[number - 1].trouble = ""
            theirs = Metrics()
            theirs.shards_owned.set(number)
            app = make_app(Exposure(theirs.registry, probe, TOKEN))
            await servers.enter_async_context(serve(app, f"unix://{tmp_path}/{number}.sock"))
        yield Rig(ProcessesExposure(processes, metrics, TOKEN), probes, processes[2])


async def test_metrics_are_those_of_the_processes_that_answer_and_say_which_does_not(rig: Rig) -> None:
    status, text = await rig.get("/metrics")
    assert status == 200
    assert 'narrows_shards_owned{process="1"} 1.0\nnarrows_shards_owned{process="2"} 2.0\n' in text
    up = [line for line in text.splitlines() if line.startswith("narrows_dispatcher_process_up")]
    assert up == [
        f'narrows_dispatcher_process_up{{process="{n}"}} {v}' for n, v in ((1, "1.0"), (2, "1.0"), (3, "0.0"))
    ]


async def test_it_is_ready_when_all_are_and_says_which_is_not(rig: Rig) -> None:
    assert await rig.readiness() == (503, {"ready": False, "reasons": ["process 3: starting"]})
    rig.probes[1].why.append("owns 3 shards, should own 4")
    rig.third.trouble = "ended with status 137; it is started again"
    assert await rig.readiness() == (
        503,
        {
            "ready": False,
            "reasons": [
                "process 1: owns 3 shards, should own 4",
                "process 3: ended with status 137; it is started again",
            ],
        },
    )


async def test_it_is_ready_again_once_the_last_is(rig: Rig, tmp_path: Path) -> None:
    assert (await rig.readiness())[0] == 503
    async with serve(make_app(Exposure(Metrics().registry, Probe(), TOKEN)), f"unix://{tmp_path}/3.sock"):
        assert await rig.readiness() == (200, {"ready": True, "reasons": []})
        rig.exposure.stopping = True
        assert await rig.readiness() == (503, {"ready": False, "reasons": ["stopping"]})


async def test_a_process_that_accepts_and_says_nothing_holds_nobody_up(rig: Rig, tmp_path: Path) -> None:
    rig.third.trouble = ""
    released = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    async with await asyncio.start_unix_server(hold, tmp_path / "3.sock"):
        assert await rig.readiness() == (503, {"ready": False, "reasons": ["process 3: does not answer"]})
        assert 'narrows_dispatcher_process_up{process="3"} 0.0' in (await rig.get("/metrics"))[1]
        released.set()


async def test_a_stranger_sees_no_metrics_and_no_reasons(rig: Rig) -> None:
    assert (await rig.get("/metrics", "")) == (401, "A token is needed: Authorization: Bearer TOKEN.\n")
    assert json.loads((await rig.get("/readyz", ""))[1]) == {"ready": False, "reasons": []}
    assert await rig.get("/healthz", "") == (200, "{}")


async def test_it_lives_whatever_its_processes_do(rig: Rig) -> None:
    assert json.loads((await rig.get("/healthz"))[1]) == {"alive": True, "processes": 3}
    assert (await rig.get("/elsewhere"))[0] == 404


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ({1: Readiness(ready=True), 2: Readiness(ready=True)}, []),
        ({1: Readiness(ready=True), 2: Readiness(ready=False, reasons=("a", "b"))}, ["process 2: a", "process 2: b"]),
        ({1: Readiness(ready=False), 2: Readiness(ready=True)}, ["process 1: not ready"]),
        ({1: "does not answer", 2: Readiness(ready=True)}, ["process 1: does not answer"]),
    ],
)
def test_reasons_are_each_process_own(answers: dict[int, Readiness | str], wanted: list[str]) -> None:
    assert reasons(answers) == wanted
