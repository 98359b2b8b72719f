"""A real browser before the real stack: Redis, Triton, dispatcher, page, cameras."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from rich.console import Console

from narrows.contract.bundle import Bundle
from narrows.ops.demo.reel import Reel
from narrows.ops.demo.stack import Camera, Stack

ROOT = Path(__file__).resolve().parents[3]
CAMERAS = ("gate-1", "gate-2", "gate-3")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of NARROWS_CHROMIUM, or of this machine; none is downloaded."""
    path = os.environ.get("NARROWS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium, or set NARROWS_CHROMIUM to one")
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, headless=True, args=_FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def stack(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `narrows demo` starts, without its cameras."""
    with Stack.start(demo_bundle, tmp_path_factory.mktemp("page"), Console(quiet=True)) as running:
        yield running


@pytest.fixture(scope="module")
def cameras(stack: Stack) -> Iterator[dict[str, Camera]]:
    """Three cameras that play the sample pictures."""
    reel, running = Reel.open(ROOT / "samples"), {}
    for number, stream in enumerate(CAMERAS):
        reel.lay_out(stack.folder / stream / "reel", number, len(CAMERAS))
        folder = stack.folder / stream / "reel"
        running[stream] = Camera.start(stack, stream, folder, frames_per_s=2.0, frames=None, maxlen=256)
    yield running
    for camera in running.values():
        camera.stop()


def _complains(said: ConsoleMessage) -> bool:
    """An error, but for the picture of a frame that is gone when it is asked for: the page shows the one before."""
    gone = "404" in said.text and "/api/streams/" in str(said.location.get("url"))
    return said.type == "error" and not gone


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """The live page at 1280x800; whatever its scripts complain about fails the test."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(f"{said.text} {said.location}") if _complains(said) else None)
    opened.goto(f"http://{stack.page_address}/")
    yield opened
    context.close()
    assert complaints == []
