"""A camera's frames become masks behind each topology, and every one of them is accounted for when a master dies."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from narrows.client.subscription import parse_entry
from narrows.contract.bundle import Bundle
from narrows.contract.wire import StreamKeys
from narrows.runtime.direct import open_url
from narrows.runtime.redis import connect
from narrows.runtime.triton_config import model_name
from orchestrator.servers import LocalTriton
from orchestrator.servers.ports import free_ports
from tests.integration.edge.edge_program import Program
from tests.integration.scaling.scale_rig import narrows, program
from tests.integration.topologies.servers import Nodes, Watched, eventually

FRAMES = 40
KEYS = StreamKeys.of("cam-1", 4)
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def triton(
    demo_bundle: Bundle, model_repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalTriton]:
    run = tmp_path_factory.mktemp("triton")
    with LocalTriton.start(model_repository, run, [model_name(demo_bundle.id)]) as running:
        yield running


def readiness(address: str) -> str:
    """What ``/readyz`` answers."""
    try:
        with open_url(f"http://{address}/readyz", 5) as response:
            return str(response.read().decode())
    except OSError as error:
        return str(getattr(error, "read", lambda: b"")().decode())


def play(url: str, kill: Callable[[], object], away: str, triton: LocalTriton, bundle: Bundle, folder: Path) -> None:
    """Frames flow; a master is killed in the middle; nothing is unaccounted for at the end."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    log = folder / "orchestrate.log"
    command = ("orchestrate", "--redis-url", url, "--triton", triton.grpc_address, "--bundle", str(bundle.folder))
    with ExitStack() as running:
        running.enter_context(program(log, *command, "--http", address, "--gap-s", "1"))
        client = running.enter_context(connect(url))
        eventually(lambda: '"ready": true' in readiness(address))
        said = narrows("streams", "set", KEYS.stream, "--policy", "complete", "--redis-url", url)
        assert said.returncode == 0, said.stderr
        camera = Program(folder, url, bundle, "pattern:320x240", "--frames", str(FRAMES), "--fps", "8")
        running.callback(camera.process.kill)
        camera.until(lambda: int(client.hget(KEYS.ledger, "mask") or 0) >= 8)
        kill()
        give_up_s, heard = time.monotonic() + 20, set[str]()
        while not any(away in each for each in heard):
            heard.add(readiness(address))
            assert time.monotonic() < give_up_s, (heard, log.read_text()[-3000:])
        frames, end = camera.end()
        assert end["frames_sent"] >= FRAMES / 2
        eventually(lambda: '"ready": true' in readiness(address))
        eventually(lambda: accounted(client, end["frames_taken"]))
        ended = [parse_entry(fields).identity for _, fields in client.xrange(KEYS.outcomes)]
        sequences = [identity.sequence for identity in ended if identity is not None]
        assert len(set(sequences)) == len(sequences)
        acknowledged = {line["sequence"] for line in frames if line.get("sent")}
        lost_acknowledged = acknowledged - set(sequences)
        assert len(lost_acknowledged) <= int(client.hget(KEYS.ledger, "lost") or 0)
        assert max(sequences) == FRAMES - 1 or end["frames_dropped"]


def accounted(client: Any, taken: int) -> bool:
    ledger = {name.decode(): int(count) for name, count in client.hgetall(KEYS.ledger).items()}
    return sum(ledger.get(name, 0) for name in ("mask", "skipped", "refused", "lost")) == taken


def test_a_cluster_carries_frames_to_masks_and_a_master_that_dies_loses_none_unseen(
    nodes: Nodes, triton: LocalTriton, demo_bundle: Bundle, tmp_path: Path
) -> None:
    nodes.empty()
    said = "Redis does not answer for shards"
    play(nodes.url, lambda: nodes.kill_master_of(KEYS.features), said, triton, demo_bundle, tmp_path)
    nodes.heal()


@pytest.mark.slow_topologies
def test_a_master_that_sentinels_watch_does_so_too(
    sentinels: Watched, triton: LocalTriton, demo_bundle: Bundle, tmp_path: Path
) -> None:
    sentinels.heal()
    play(sentinels.url, sentinels.fail_over, "Redis does not answer", triton, demo_bundle, tmp_path)
    sentinels.heal()
