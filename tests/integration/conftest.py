"""What several packages' tests against real servers share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from narrows.contract.bundle import Bundle
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.triton_config import fill_repository
from orchestrator.servers import LocalRedis

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def demo_bundle() -> Bundle:
    """The bundle of NARROWS_BUNDLE, or the demo's."""
    return Bundle.open(Path(os.environ.get("NARROWS_BUNDLE", ROOT / "bundles" / "demo")))


@pytest.fixture(scope="session")
def model_repository(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the decoder of :func:`demo_bundle`."""
    folder = tmp_path_factory.mktemp("model_repository")
    fill_repository(demo_bundle, folder, max_batch=8)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """A real Redis-protocol server for a module's tests."""
    with LocalRedis.start(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def client(server: LocalRedis) -> Iterator[redis.Redis]:
    """Its database, empty but for an install record of four shards."""
    with redis.Redis.from_url(server.url) as connection:
        connection.flushall()
        connection.set(INSTALL_KEY, Install(4).to_json())
        yield connection
