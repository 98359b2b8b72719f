"""What the camera's program meets: a real Redis-protocol server, a real bundle, real pictures and videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import redis

from narrows.bundle import Bundle
from orchestrator.supervise.local_redis import LocalRedis

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
