"""Autoscaler, supervisor, page and the operator's commands behind a cluster: each finds its keys on whichever node."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.wire import ShardKeys
from narrows.contract.wire.keys import DISPATCHERS_KEY, ScaleKeys
from narrows.runtime.direct import open_url
from narrows.runtime.redis import connect
from orchestrator.servers.ports import free_ports
from tests.integration.scaling.scale_rig import narrows, program
from tests.integration.topologies.servers import Nodes, eventually

pytestmark = [pytest.mark.slow_topologies, pytest.mark.timeout(240)]


def test_every_program_of_the_cloud_works_behind_a_cluster(nodes: Nodes, demo_bundle: Bundle, tmp_path: Path) -> None:
    nodes.empty()
    dispatcher, autoscaler, page = (f"127.0.0.1:{port}" for port in free_ports(3))
    bundle, log = ("--bundle", str(demo_bundle.folder)), tmp_path / "log"
    host = ("--name", "host", "--run-folder", str(tmp_path), "--max-servers-per-host", "1", "--initial", "0")
    commands: list[tuple[str, ...]] = [
        ("orchestrate", "--triton", "127.0.0.1:1", *bundle, "--http", dispatcher),
        ("autoscale", "--engine", "local", "--interval", "0.3", "--http", autoscaler),
        ("supervise", *host, *bundle),
        ("page", "--orchestrator", f"http://{dispatcher}", *bundle, "--listen", page),
    ]
    with ExitStack() as running:
        for command in commands:
            running.enter_context(program(log, *command, "--redis-url", nodes.url))
        client: Any = running.enter_context(connect(nodes.url))
        eventually(lambda: client.zcard(DISPATCHERS_KEY) == 1)
        eventually(lambda: all(client.exists(ShardKeys(shard).lease) for shard in range(4)))
        eventually(lambda: client.exists(ScaleKeys.LEADER) and client.hexists(ScaleKeys.SUPERVISORS, "host"))
        for words in (("streams", "set", "cam-1", "--group", "gate"), ("scale", "freeze"), ("scale", "status")):
            said = narrows(*words, "--redis-url", nodes.url)
            assert said.returncode == 0, said.stderr
        listed = narrows("streams", "list", "--json", "--redis-url", nodes.url)
        assert "cam-1" in listed.stdout, listed.stderr
        eventually(lambda: "cam-1" in shown(page))


def shown(page: str) -> str:
    """The streams that the page knows."""
    try:
        with open_url(f"http://{page}/api/view", 5) as response:
            return json.dumps(json.loads(response.read()))
    except OSError:
        return ""
