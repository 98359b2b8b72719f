"""A bundle takes another's place whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import Heads
from narrows.contract.bundle.int8_decoder import TWINS
from narrows.contract.bundle.manifest import DECODER, MANIFEST, TABLES
from narrows.contract.errors import BundleError, FileUnwritable
from narrows.models.export.draft import bundle_draft
from narrows.models.heads.change import add_head

DEMO = Path(__file__).parents[3] / "bundles" / "demo"
WEAK = Path(__file__).parents[3] / "bundles" / "weak"


@pytest.fixture
def standing(tmp_path: Path) -> Path:
    """A folder with the demo's bundle, its heads, and a note of its owner's."""
    folder = tmp_path / "bundle"
    shutil.copytree(DEMO, folder)
    (folder / "NOTES.txt").write_text("mine")
    add_head(Bundle.open(folder), next((folder / "heads").iterdir()))
    return folder


def _ended_by(cause: BaseException, standing: Path) -> None:
    with bundle_draft(standing, Bundle.open(standing)) as draft:
        (draft / TABLES).write_bytes(b"half")
        raise cause


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_copy_of_a_bundle_is_that_bundle(standing: Path, tmp_path: Path) -> None:
    with bundle_draft(tmp_path / "copy", Bundle.open(standing)):
        pass
    copy, original = Bundle.open(tmp_path / "copy"), Bundle.open(standing)
    assert copy.id == original.id
    assert copy.heads == original.heads != Heads()
    assert (copy.int8_decoder, copy.cpu_decoder) == (original.int8_decoder, original.cpu_decoder)
    assert not (tmp_path / "copy" / "NOTES.txt").exists()


@pytest.mark.parametrize("cause", [ValueError("a picture"), KeyboardInterrupt()])
def test_what_ends_in_between_leaves_what_stood_there(standing: Path, cause: BaseException) -> None:
    before = contents(standing)
    with pytest.raises(type(cause)):
        _ended_by(cause, standing)
    assert contents(standing) == before


def test_what_is_no_bundle_takes_no_place(standing: Path) -> None:
    before = contents(standing)
    with pytest.raises(BundleError, match=DECODER), bundle_draft(standing, Bundle.open(standing)) as draft:
        (draft / DECODER).write_bytes(b"another")
    assert contents(standing) == before


def test_nothing_of_the_former_bundle_stays_but_what_is_none_of_a_bundles(standing: Path) -> None:
    with bundle_draft(standing, Bundle.open(WEAK)):
        pass
    weak = Bundle.open(WEAK)
    opened = Bundle.open(standing)
    assert (opened.id, opened.heads, opened.int8_decoder) == (weak.id, weak.heads, weak.int8_decoder)
    assert {name for name in TWINS if (standing / name).is_file()} == {
        name for name in TWINS if (WEAK / name).is_file()
    }
    assert (standing / "NOTES.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnwritable, match="name a folder"), bundle_draft(tmp_path / "file"):
        pytest.fail("work was begun")


def test_the_manifest_comes_last(standing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who opens the folder while it is written finds the former bundle or a hash that does not match."""
    placed: list[str] = []
    move = Path.replace

    def noted(self: Path, target: Path) -> Path:
        placed.append(target.name)
        return move(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    with bundle_draft(standing, Bundle.open(WEAK)):
        pass
    assert placed[-1] == MANIFEST
