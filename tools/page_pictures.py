"""Take docs/pictures/page-light.png and page-dark.png of the live page: ``.venv/bin/python -m tools.page_pictures``.

Starts the whole stack on the sample pictures, adds cameras step by step so that the load has a line to follow, and
photographs the page in a headless Chromium at 1280x800. Takes about three minutes.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

from narrows.contract.bundle import Bundle
from narrows.ops.demo.reel import Reel
from narrows.ops.demo.stack import Camera, Stack

ROOT = Path(__file__).resolve().parents[1]
CAMERAS = ("bridge-east", "bridge-west", "market-1", "market-2", "school-gate", "station-1", "station-2", "tunnel-3")
STEPS = (2, 4, 6, 8)
_SETTLE_S = 28.0
_FPS = 1.5
_SEEN_S = 5.0
_COLOURS = 256


def main() -> int:
    """Play, photograph, write; answers the exit status."""
    chromium = os.environ.get("NARROWS_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        print("there is no Chromium: apt-get install chromium, or set NARROWS_CHROMIUM to one")
        return 1
    bundle, reel = Bundle.open(ROOT / "bundles" / "demo"), Reel.open(ROOT / "samples")
    with ExitStack() as cleanup:
        out = Path(cleanup.enter_context(tempfile.TemporaryDirectory()))
        stack = cleanup.enter_context(Stack.start(bundle, out, Console()))
        for streams in STEPS:
            for stream in CAMERAS[cameras_before(streams) : streams]:
                cleanup.callback(_start_camera(stack, reel, stream).stop)
            print(f"{streams} cameras for {_SETTLE_S:.0f} s ...")
            time.sleep(_SETTLE_S)
        driver = cleanup.enter_context(sync_playwright())
        browser = driver.chromium.launch(
            executable_path=chromium, headless=True, args=["--no-sandbox", "--disable-gpu"]
        )
        for scheme in ("light", "dark"):
            print(_photograph(browser, stack, scheme))
        browser.close()
    return 0


def cameras_before(streams: int) -> int:
    """How many cameras the step before had."""
    return max((step for step in STEPS if step < streams), default=0)


def _start_camera(stack: Stack, reel: Reel, stream: str) -> Camera:
    folder = stack.folder / stream / "reel"
    reel.lay_out(folder, CAMERAS.index(stream), len(CAMERAS))
    return Camera.start(stack, stream, folder, frames_per_s=_FPS, frames=None, maxlen=256)


def _photograph(browser: Browser, stack: Stack, scheme: str) -> Path:
    path = ROOT / "docs" / "pictures" / f"page-{scheme}.png"
    dark = scheme == "dark"
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark" if dark else "light")
    page.goto(f"http://{stack.page_address}/?order=name")
    page.wait_for_timeout(1000 * _SEEN_S)
    with Image.open(io.BytesIO(page.screenshot())) as shot:  # noqa: TID251 -- Chromium's own
        shot.convert("RGB").quantize(_COLOURS, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
    page.close()
    return path


if __name__ == "__main__":
    sys.exit(main())
