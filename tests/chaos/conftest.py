"""One install under load for all faults; each test plays streams of its own."""

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from benchmarks.chaos.fleet import Fleet
from benchmarks.chaos.parts import Parts
from benchmarks.chaos.reel import Reel
from narrows.contract.bundle import Bundle

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def demo_bundle() -> Bundle:
    return Bundle.open(Path(os.environ.get("NARROWS_BUNDLE", ROOT / "bundles" / "demo")))


@pytest.fixture(scope="session")
def reel(demo_bundle: Bundle) -> Reel:
    return Reel.encode(demo_bundle, ROOT / "samples" / "images" / "val")


@pytest.fixture(scope="module")
def parts(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    with Parts(demo_bundle, tmp_path_factory.mktemp("parts")) as parts:
        parts.wait_ready()
        yield parts


@pytest.fixture
def playing(parts: Parts, reel: Reel, request: pytest.FixtureRequest) -> AbstractAsyncContextManager[Fleet]:
    """Four cameras of five frames a second, on their way once the context is entered."""
    prefix = f"cam-{abs(hash(request.node.name)) % 10**6}"
    return Fleet(parts.redis_url, reel, prefix, cameras=4, frames_per_s=5).play()
