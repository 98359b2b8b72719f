import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from narrows.contract.errors import ServiceError
from orchestrator.inference.region import FOLDER, SharedRegion, remove_abandoned_regions

OWNER = """
import sys
from orchestrator.inference.region import SharedRegion
region = SharedRegion(4096)
print(region.name, flush=True)
sys.stdin.read()
"""


def make_old(path: Path) -> None:
    os.utime(path, (0, 0))


def test_it_is_zeroed_and_written_through_its_name() -> None:
    region = SharedRegion(256)
    try:
        values = region.bytes_at(64, 4)
        assert not values.any()
        values[:] = 1, 2, 3, 4
        assert (FOLDER / region.name).read_bytes()[64:68] == bytes([1, 2, 3, 4])
    finally:
        region.unlink()


def test_arrays_outlive_the_name() -> None:
    region = SharedRegion(64)
    values = region.bytes_at(0, 64)
    values[:] = 7
    region.unlink()
    region.unlink()
    assert not (FOLDER / region.name).exists()
    assert np.all(values == 7)


def test_more_memory_than_there_is_is_refused_by_name_and_leaves_nothing() -> None:
    before = {path.name for path in FOLDER.iterdir()}
    with pytest.raises(ServiceError, match="shared memory"):
        SharedRegion(1 << 50)
    assert {path.name for path in FOLDER.iterdir()} <= before


def test_a_name_from_the_guardian_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARROWS_SHM_PREFIX", "narrows-test-prefix-")
    region = SharedRegion(64)
    region.unlink()
    assert region.name.startswith("narrows-test-prefix-")


def test_the_living_keep_their_regions_and_the_dead_lose_theirs() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NARROWS_SHM_PREFIX"}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as owner:
        assert owner.stdout is not None
        path = FOLDER / owner.stdout.readline().strip()
        make_old(path)
        remove_abandoned_regions()
        assert path.exists()
        owner.kill()
    assert path.exists()
    remove_abandoned_regions()
    assert not path.exists()
