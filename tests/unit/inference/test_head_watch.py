"""A record of heads that cannot be taken up is not opened again and again, and is taken up once it can."""

import shutil
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import RECORD, Heads
from orchestrator.inference.head_watch import RETRY_S, HeadWatch
from tests.docs.blocks import ROOT


class Opened:
    """Bundle.open, counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times, self._open = 0, Bundle.open
        monkeypatch.setattr(Bundle, "open", self)

    def __call__(self, folder: Path) -> Bundle:
        self.times += 1
        return self._open(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "bundles" / "demo", tmp_path / "bundle", ignore=shutil.ignore_patterns("heads", "*.md"))
    return tmp_path / "bundle"


async def test_a_broken_record_is_opened_once_until_it_changes_or_some_seconds_are_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 100.0
    watch = HeadWatch(Bundle.open(folder), lambda: now_s)
    opened = Opened(monkeypatch)
    (folder / RECORD).write_text("{")
    assert [await watch.look() for _ in range(4)] == [False] * 4
    assert opened.times == 1
    now_s += RETRY_S
    assert not await watch.look()
    assert opened.times == 2
    (folder / RECORD).write_text("{{")
    assert not await watch.look()
    assert opened.times == 3


async def test_a_record_that_was_mended_is_taken_up_at_once(folder: Path) -> None:
    watch = HeadWatch(Bundle.open(folder), lambda: 100.0)
    before = watch.bundle
    (folder / RECORD).write_text("{")
    assert not await watch.look()
    (folder / RECORD).write_bytes(Heads().to_json())
    assert not await watch.look()
    assert watch.bundle is not before, "the same heads as before: none"
    assert watch.bundle.heads == before.heads
