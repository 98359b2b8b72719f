"""A site page's scripts where answers fail, hang or a tab comes and goes: in headless Chromium, without a camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from edge_client.http_server import served
from narrows.runtime.listening import Limits
from tests.unit.edge.test_edge_site_page import TOKEN, Camera

pytestmark = pytest.mark.timeout(300)
SOON_MS = 60_000
COUNTED = """
  const [start, stop, waiting] = [window.setTimeout, window.clearTimeout, new Set()];
  window.mostWaiting = 0;
  window.setTimeout = (work, ms, ...given) => {
    const timer = start(() => { waiting.delete(timer); work(...given); }, ms);
    if (ms === 500) waiting.add(timer);
    window.mostWaiting = Math.max(window.mostWaiting, waiting.size);
    return timer;
  };
  window.clearTimeout = (timer) => { waiting.delete(timer); stop(timer); };
"""


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    found = Camera(tmp_path)
    granted = Limits(connections=64)
    with served(found.page.answer, "127.0.0.1:0", "--site-page", changes=True, granted=granted) as found.address:
        yield found


@pytest.fixture
def page(browser: Browser, camera: Camera) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    opened = context.new_page()
    opened.add_init_script(COUNTED)
    opened.goto(f"http://{camera.address}/")
    opened.locator("input[name=token]").fill(TOKEN)
    opened.get_by_role("button", name="Enter").click()
    expect(opened.locator("#camera h3")).to_have_text("gate-3", timeout=SOON_MS)
    yield opened
    context.close()


def test_a_tab_that_comes_and_goes_asks_no_more_often(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/api/site") else None)
    for _ in range(5):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    while len(asked) < 15:
        page.wait_for_timeout(100)
    assert page.evaluate("window.mostWaiting") == 1
