from __future__ import annotations

import pytest

from tests.integration.helm.chart import Helm, find_helm


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    scratch = tmp_path_factory.mktemp("helm")
    program = find_helm(scratch)
    if program is None:
        pytest.skip("there is no helm: put one on the PATH, or run `make test-helm` once")
    return Helm(program, scratch)
