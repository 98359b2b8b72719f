"""What the camera's program meets: a real Redis-protocol server, a real bundle, real pictures and videos."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire.keys import INSTALL_KEY
from orchestrator.servers.local_redis import LocalRedis
from tests.integration.edge.edge_program import SHARDS, Launch, Program

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    """A server of this test's own."""
    with LocalRedis.start(tmp_path / "server") as running:
        yield running


@pytest.fixture
def admin(server: LocalRedis) -> Iterator[redis.Redis]:
    """A client that may do everything."""
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The bundle of NARROWS_BUNDLE, or the demo's."""
    folder = Path(os.environ.get("NARROWS_BUNDLE", ROOT / "bundles" / "demo"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: no bundle, so no encoder")
    return Bundle.open(folder)


@pytest.fixture(scope="session")
def samples() -> Path:
    """The sample pictures that ship with the project."""
    return ROOT / "samples" / "images" / "val"


@pytest.fixture(scope="session")
def short_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty frames of 64x48, each a little brighter than the one before, as an MPEG transport stream."""
    av = pytest.importorskip("av")
    path: Path = tmp_path_factory.mktemp("video") / "ramp.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(30):
            picture = np.full((48, 64, 3), 40 + 6 * index, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts programs, and leaves none behind."""
    started: list[Program] = []

    def start(url: str, bundle: Bundle, source: Path | str, *options: str) -> Program:
        started.append(Program(tmp_path, url, bundle, source, *options))
        return started[-1]

    yield start
    for program in started:
        program.process.kill()
        program.process.wait()


@pytest.fixture
def install(admin: redis.Redis) -> redis.Redis:
    """Redis with an install record."""
    admin.set(INSTALL_KEY, json.dumps({"v": 1, "shards": SHARDS}))
    return admin
