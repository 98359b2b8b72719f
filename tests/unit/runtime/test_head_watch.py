"""A record of heads that cannot be taken up is not opened again and again, and is taken up once it can."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle, FileEntry, Head
from narrows.contract.bundle.heads import DECODER_HEADS, RECORD, Heads
from narrows.contract.outputs import Output
from narrows.runtime.head_watch import RETRY_S, HeadWatch
from tests.docs.blocks import ROOT

SCENE = Output("scene", "scores", "float32", (3,), "raw", ("least", "mean", "largest"))


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


async def test_heads_that_went_are_named_until_they_come_again(folder: Path) -> None:
    watch = HeadWatch(Bundle.open(folder), lambda: 100.0)
    without = Heads().to_json() if not (folder / RECORD).is_file() else (folder / RECORD).read_bytes()
    with_head = listed(folder)
    for record, removed in ((with_head, set()), (without, {"scene"}), (with_head, set()), (without, {"scene"})):
        (folder / RECORD).write_bytes(record)
        assert await watch.look()
        assert watch.removed == removed


def listed(folder: Path) -> bytes:
    """The record of a head whose files are there; what is in them nobody reads."""
    bundle = Bundle.open(folder)
    head = Head(SCENE, pinned(folder / "head.scene.onnx"), bundle.manifest.symbols_sha256)
    return replace(bundle.heads, heads=(head,), merged=pinned(folder / DECODER_HEADS)).to_json()


def pinned(path: Path) -> FileEntry:
    path.write_bytes(path.name.encode())
    return FileEntry(hashlib.sha256(path.name.encode()).hexdigest(), len(path.name))
