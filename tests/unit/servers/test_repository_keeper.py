"""A supervisor's model repository follows the heads of its bundles; a disk that is full is tried again."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import RECORD, Heads
from narrows.contract.errors import ServiceError
from orchestrator.servers.repository_keeper import RepositoryKeeper
from tests.unit.runtime.test_head_watch import folder, listed

__all__ = ["folder"]


class Repository:
    """What was filled in, and whether it can be now."""

    def __init__(self) -> None:
        self.heads: list[list[str]] = []
        self.full = False

    def fill(self, bundle: Bundle) -> None:
        if self.full:
            raise ServiceError("the disk is full")
        self.heads.append([head.name for head in bundle.heads.heads])


@pytest.fixture
def repository() -> Repository:
    return Repository()


async def test_it_is_filled_again_once_for_each_change(folder: Path, repository: Repository) -> None:
    keeper = RepositoryKeeper([Bundle.open(folder)], repository.fill)
    await keeper.look()
    assert repository.heads == [], "it was filled when the supervisor began"
    (folder / RECORD).write_bytes(listed(folder))
    await keeper.look()
    await keeper.look()
    (folder / RECORD).write_bytes(Heads().to_json())
    await keeper.look()
    await keeper.look()
    assert repository.heads == [["scene"], []]


async def test_what_cannot_be_written_is_said_once_and_tried_again(folder: Path, repository: Repository) -> None:
    keeper = RepositoryKeeper([Bundle.open(folder)], repository.fill)
    (folder / RECORD).write_bytes(listed(folder))
    repository.full = True
    with capture_logs() as logs:
        await keeper.look()
        await keeper.look()
        repository.full = False
        await keeper.look()
        await keeper.look()
    assert repository.heads == [["scene"]]
    assert [(each["event"], each.get("error")) for each in logs] == [
        ("repository_unwritable", "the disk is full"),
        ("repository_filled", None),
    ]
