"""The small split network on a real Triton, and a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from narrows.contract.bundle import SplitBundle
from narrows.runtime.triton_config import fill_repository, model_name
from orchestrator.servers import LocalRedis, LocalTriton
from tests import split_bundles


@pytest.fixture(scope="package")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return split_bundles.write(tmp_path_factory.mktemp("bundle"), unlike=True)


@pytest.fixture(scope="package")
def newer(tmp_path_factory: pytest.TempPathFactory) -> SplitBundle:
    return split_bundles.write(tmp_path_factory.mktemp("newer"), name="pools, trained anew")


@pytest.fixture(scope="package")
def triton(bundle: SplitBundle, newer: SplitBundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalTriton]:
    repository, tails = tmp_path_factory.mktemp("models"), (*bundle.tails, *newer.tails)
    for tail in tails:
        fill_repository(tail, repository, max_batch=4)
    names = [model_name(tail.id) for tail in tails]
    with LocalTriton.start(repository, tmp_path_factory.mktemp("run"), names) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis.start(tmp_path / "redis") as running:
        yield running
