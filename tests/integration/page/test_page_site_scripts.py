"""A site page's scripts where answers fail, hang or a tab comes and goes: in headless Chromium, without a camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

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


def test_what_was_said_of_a_list_that_could_not_be_read_goes_once_it_can(page: Page) -> None:
    told = page.locator("#camera .told")

    def away(route: Route) -> None:
        route.fulfill(status=503, body="Redis is away\n", content_type="text/plain")

    page.route("**/prompts", away)
    expect(told).to_have_text("Redis is away", timeout=SOON_MS)
    page.unroute("**/prompts")
    expect(told).to_have_text("", timeout=SOON_MS)


def test_a_change_that_is_never_answered_stops_no_other(page: Page, camera: Camera) -> None:
    told, posted = page.locator("#camera .told"), []

    def hold_the_first(route: Route) -> None:
        if route.request.method == "POST":
            posted.append(route)
        if len(posted) != 1 or route.request.method != "POST":
            route.continue_()

    camera.films((100, 80, 20))
    expect(page.locator("#camera img.frame")).to_be_visible(timeout=SOON_MS)
    page.route("**/prompts", hold_the_first)
    page.clock.install()
    for share in (0.3, 0.6):
        box = page.locator("#camera .picture").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + share * box["width"], box["y"] + 0.5 * box["height"])
    while not posted:
        page.wait_for_timeout(100)
    page.clock.fast_forward(20_000)
    expect(page.locator("#camera [data-prompt]")).to_have_count(1, timeout=SOON_MS)
    assert len(posted) == 2
    expect(told).to_have_text("", timeout=SOON_MS)


def test_a_picture_that_never_comes_is_said_and_the_next_one_is_shown(page: Page, camera: Camera) -> None:
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    freshness = page.locator("#freshness")
    camera.films((100, 80, 20))
    expect(page.locator("#camera img.frame")).to_be_visible(timeout=SOON_MS)
    page.route("**/api/site/picture*", hold_the_first)
    camera.films((200, 80, 20))
    expect(freshness).to_have_text("no new picture", timeout=SOON_MS)
    camera.films((100, 80, 20))
    expect(freshness).to_have_text("live", timeout=SOON_MS)
    assert len(held) > 1


def test_a_button_stays_where_it_is_while_its_prompt_does(page: Page, camera: Camera) -> None:
    """Whoever goes by the keyboard had it taken away every two seconds, and a slow click its button."""
    camera.films((100, 80, 20))
    expect(page.locator("#camera img.frame")).to_be_visible(timeout=SOON_MS)
    page.locator("#camera .picture").click()
    button = page.get_by_role("button", name="Remove prompt 17 of gate-3")
    button.focus()
    camera.films((100, 80, 20))  # another state, and then a rate
    for _ in range(2):
        with page.expect_response("**/prompts", timeout=SOON_MS):
            pass
    expect(page.locator("#camera [data-prompt='17']")).not_to_contain_text("waiting", timeout=SOON_MS)
    assert page.evaluate("document.activeElement.textContent") == "Remove"
    button.press("Enter")
    expect(page.locator("#camera [data-prompt]")).to_have_count(0, timeout=SOON_MS)
