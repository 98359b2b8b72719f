"""Servers that the tests of this folder share: each topology is started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.topologies.servers import Nodes, Watched, cluster, watched


@pytest.fixture(scope="session")
def sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A master, a replica and three Sentinels."""
    with watched(tmp_path_factory.mktemp("sentinels")) as found:
        yield found


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """A cluster of three masters and three replicas."""
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found
