"""What a demo that was killed leaves goes with the next one in its folder, which one has alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from narrows.contract.errors import ServiceError
from narrows.ops.demo.stack import new_folder
from orchestrator.servers.guardian import SHARED_MEMORY
from orchestrator.servers.own_folder import own_folder


def test_folders_of_other_runs_are_removed_with_their_shared_memory_and_others_stay(tmp_path: Path) -> None:
    gone, other = tmp_path / f"stack-{os.getppid()}", tmp_path / "stack-notes"
    for folder in (gone, other):
        (folder / "redis").mkdir(parents=True)
    prefix = f"narrows-{secrets.token_hex(6)}-"
    left, foreign = SHARED_MEMORY / f"{prefix}slot", SHARED_MEMORY / f"of-others-{secrets.token_hex(6)}"
    left.touch()
    foreign.touch()
    try:
        (gone / "redis" / "redis.shm").write_text(prefix)
        (gone / "redis" / "odd.shm").write_text("of-others-")
        own = new_folder(tmp_path)
        assert not left.exists()
        assert foreign.exists(), "only names that a guardian gave are believed"
    finally:
        foreign.unlink(missing_ok=True)
        left.unlink(missing_ok=True)
    assert own == tmp_path / f"stack-{os.getpid()}"
    assert list(own.iterdir()) == []
    assert not gone.exists()
    assert other.exists()


def test_a_folder_of_the_same_name_begins_empty(tmp_path: Path) -> None:
    (new_folder(tmp_path) / "left over").touch()
    assert list(new_folder(tmp_path).iterdir()) == []


def test_a_folder_is_one_runs_at_a_time(tmp_path: Path) -> None:
    with own_folder(tmp_path / "demo", "another demo", "--out"):
        with pytest.raises(ServiceError, match="another demo's: give this one another --out"):
            own_folder(tmp_path / "demo", "another demo", "--out").__enter__()
        with own_folder(tmp_path / "demo-2", "another demo", "--out"):
            pass
    with own_folder(tmp_path / "demo", "another demo", "--out"):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"cannot be written .*: give another --out"):
        own_folder(tmp_path / "file" / "demo", "another demo", "--out").__enter__()
