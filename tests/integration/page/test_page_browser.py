"""The live page in headless Chromium, before the real stack with real cameras."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import urllib.request
from typing import Any

import numpy as np
import pytest
import redis
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from narrows.contract.schedule import Objective, Planner, explain
from narrows.contract.wire import MaskPacket, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.keys import DEFAULT_SHARDS
from narrows.ops.demo.stack import Camera, Stack
from tests.unit.schedule.scenes import FAST, table

pytestmark = pytest.mark.timeout(300)
REGISTERED = 2000
SOON_MS = 30_000
LUMINANCE = """(colour) => {
  const channels = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255);
  const [r, g, b] = channels.map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}"""
CONTRAST = f"""(element) => {{
  const luminance = {LUMINANCE};
  let behind = element;
  while (getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  const pair = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor].map(luminance);
  return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
}}"""


def tile(page: Page, stream: str) -> Any:
    return page.locator(f'[data-stream="{stream}"]')


def has_mask(page: Page, stream: str) -> None:
    page.wait_for_function(
        "(stream) => document.querySelector(`[data-stream='${stream}'] img.mask`)?.naturalWidth > 0", arg=stream
    )


def colours(page: Page, stream: str, kind: str) -> int:
    """How many colours the picture on the screen has."""
    return int(
        page.evaluate(
            """([stream, kind]) => {
              const image = document.querySelector(`[data-stream='${stream}'] img.${kind}`);
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const pen = canvas.getContext("2d");
              pen.drawImage(image, 0, 0);
              const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
              return new Set(new Uint32Array(data.buffer)).size;
            }""",
            [stream, kind],
        )
    )


def answer(stack: Stack, path: str) -> bytes:
    with urllib.request.urlopen(f"http://{stack.page_address}{path}", timeout=10) as response:
        return bytes(response.read())


def settle(page: Page) -> None:
    """Until the page has its first view."""
    expect(page.locator("#place")).not_to_be_empty(timeout=SOON_MS)


def test_each_streams_latest_mask_is_drawn_over_its_frame(page: Page, cameras: dict[str, Camera]) -> None:
    for stream in cameras:
        has_mask(page, stream)
        size = page.evaluate(
            "(s) => { const i = document.querySelector(`[data-stream='${s}'] img.mask`);"
            " return [i.naturalWidth, i.naturalHeight]; }",
            stream,
        )
        assert size == [480, 360]
        assert 4 <= colours(page, stream, "mask") <= 256
        assert colours(page, stream, "frame") > 256
        expect(tile(page, stream).locator('[data-value="sends"]')).to_have_text("features", timeout=SOON_MS)
        assert tile(page, stream).locator("img.mask").get_attribute("alt").startswith(f"Mask of {stream}: ")


def test_the_picture_is_the_mask_that_lies_in_redis(stack: Stack, cameras: dict[str, Camera], page: Page) -> None:
    has_mask(page, "gate-1")
    rows = json.loads(answer(stack, "/api/view?q=gate-1"))["streams"]["rows"]
    entry = rows[0]["mask"]["entry"]
    keys = StreamKeys.of("gate-1", DEFAULT_SHARDS)
    with redis.Redis.from_url(stack.redis.url) as client:
        ((_, fields),) = client.xrange(keys.outcomes, entry, entry)
    with Image.open(io.BytesIO(answer(stack, f"/api/streams/gate-1/mask.png?at={entry}"))) as png:  # noqa: TID251
        assert np.array_equal(np.asarray(png), MaskPacket.parse(fields[b"p"]).labels)
        palette = np.array(png.getpalette()).reshape(-1, 3)
    assert [tuple(colour) for colour in palette[: len(stack.bundle.manifest.palette)]] == list(
        stack.bundle.manifest.palette
    )


def test_masks_change_while_frames_come(page: Page, cameras: dict[str, Camera]) -> None:
    has_mask(page, "gate-1")
    source = tile(page, "gate-1").locator("img.mask").get_attribute("src")
    expect(tile(page, "gate-1").locator("img.mask")).not_to_have_attribute("src", source, timeout=SOON_MS)


def test_the_first_screen_has_the_figures_and_the_chart(page: Page, cameras: dict[str, Camera]) -> None:
    expect(page.locator('[data-figure="streams"] b')).to_have_text("3 live", timeout=SOON_MS)
    page.wait_for_function("document.querySelector('[data-figure=load] b').textContent.endsWith('%')")
    page.wait_for_function("parseFloat(document.querySelector('[data-figure=masks] b').textContent) > 0")
    page.wait_for_function("parseFloat(document.querySelector('[data-figure=uplink] b').textContent) > 0")
    expect(page.locator("#chart .now")).to_be_visible()
    expect(page.locator("#chart .mark-text")).to_have_count(1, timeout=60_000)  # once the number of streams has settled
    expect(page.locator("#chart .fit")).to_have_count(1)
    assert page.locator("#chart-words").text_content().startswith("3 streams load the decoders to")  # type: ignore[union-attr]
    page.locator(".as-table summary").click()
    expect(page.locator("#chart-rows tr")).to_have_count(1, timeout=SOON_MS)
    top = page.locator("#tiles").bounding_box()
    assert top is not None
    assert top["y"] < 800  # the tiles begin on the first screen


def test_the_page_speaks_to_those_who_do_not_see_it(page: Page, cameras: dict[str, Camera]) -> None:
    has_mask(page, "gate-1")
    tree = page.locator("body").aria_snapshot()
    for said in (
        "- banner",
        "- main",
        "- search",
        'searchbox "Search"',
        'combobox "State"',
        'combobox "Order"',
        'combobox "Show"',
        'slider "Mask"',
        'navigation "Pages of streams"',
        'button "Next"',
        'heading "Streams" [level=2]',
        'heading "gate-1" [level=3]',
        'img "Mask of gate-1',
        "- status",
        'img "Load against streams',
    ):
        assert said in tree, f"{said} is missing in\n{tree}"


def test_the_keyboard_reaches_everything_in_reading_order(page: Page, cameras: dict[str, Camera]) -> None:
    has_mask(page, "gate-1")
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "document.activeElement.className || document.activeElement.name || document.activeElement.id"
                " || document.activeElement.textContent"
            )
        )
    assert reached[:7] == ["skip", "Show as a table", "q", "state", "order", "size", "opacity"]
    assert "More" in reached[7:]


def test_what_is_read_aloud_does_not_babble(page: Page, cameras: dict[str, Camera]) -> None:
    expect(page.locator('[data-figure="streams"] b')).to_have_text("3 live", timeout=SOON_MS)
    page.wait_for_timeout(2000)
    page.evaluate(
        """() => {
          window.said = [];
          const note = (changes) => window.said.push(...changes.map((change) => change.target.textContent));
          const watch = new MutationObserver(note);
          for (const live of document.querySelectorAll("[role=status], [aria-live]"))
            watch.observe(live, { childList: true, subtree: true, characterData: true });
        }"""
    )
    page.wait_for_timeout(3000)
    assert page.evaluate("window.said") == []


def test_a_refused_frame_shows_as_its_streams_last_error(page: Page, stack: Stack, cameras: dict[str, Camera]) -> None:
    with redis.Redis.from_url(stack.redis.url) as client:
        client.xadd(StreamKeys.of("broken", DEFAULT_SHARDS).features, {"p": b"no packet"})
    expect(tile(page, "broken").locator(".error")).to_contain_text("refused: truncated", timeout=SOON_MS)
    tile(page, "broken").locator("summary").click()
    expect(tile(page, "broken").locator(".detail")).to_contain_text("bytes")


def test_a_camera_with_a_split_network_shows_its_design_and_why_and_others_show_none(
    page: Page, stack: Stack, cameras: dict[str, Camera]
) -> None:
    planner = Planner(table(), Objective.LATENCY)
    said = explain(planner, planner.plan(FAST, 0.0), 4.0, 0)
    keys = StreamKeys.of("gate-3", DEFAULT_SHARDS)
    with redis.Redis.from_url(stack.redis.url) as client:
        client.xadd(keys.plan, {"p": said.to_json()})
        shown = tile(page, "gate-3").locator(".design")
        words = rf"design {said.chosen.design}, for \d.*: first plan \(latency\)"
        expect(shown).to_have_text(re.compile(f"^{words}$"), timeout=SOON_MS)
        expect(tile(page, "gate-1").locator(".design")).to_be_hidden()
        record = StreamSettings(design="device").to_json().decode()
        client.hset(ShardKeys(keys.shard).streams, "gate-3", record)
        expect(shown).to_have_text(re.compile(f"^{words}; pinned to device, not followed yet$"), timeout=SOON_MS)
        client.hdel(ShardKeys(keys.shard).streams, "gate-3")
        client.delete(keys.plan)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_readable_in_light_and_in_dark(
    browser: Browser, stack: Stack, cameras: dict[str, Camera], scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(f"http://{stack.page_address}/")
    has_mask(page, "gate-1")
    ground = page.evaluate(f"({LUMINANCE})(getComputedStyle(document.documentElement).backgroundColor)")
    assert ground > 0.8 if scheme == "light" else ground < 0.05
    for selector in ("h1", ".freshness", "dt", "dd b", "dd span", "#streams-heading", "label", ".tile h3", ".state"):
        for element in page.locator(selector).all():
            if element.is_visible():
                assert element.evaluate(CONTRAST) >= 4.5, (scheme, selector, element.text_content())
    with Image.open(io.BytesIO(page.screenshot())) as shot:  # noqa: TID251
        assert shot.size == (1280, 800)
        assert len(np.unique(np.asarray(shot.convert("RGB")).reshape(-1, 3), axis=0)) > 1000
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    context.close()


def test_a_dispatcher_that_hangs_is_named_and_its_return_is_seen(
    page: Page, stack: Stack, cameras: dict[str, Camera]
) -> None:
    settle(page)
    os.kill(stack.dispatcher.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#verdict-text")).to_have_text("The fleet is not well", timeout=SOON_MS)
        expect(page.locator("#findings")).to_contain_text(f"http://{stack.metrics_address} does not answer")
        expect(tile(page, "gate-1")).to_have_attribute("data-state", "stalled", timeout=SOON_MS)
    finally:
        os.kill(stack.dispatcher.pid, signal.SIGCONT)
    expect(tile(page, "gate-1")).to_have_attribute("data-state", "live", timeout=SOON_MS)
    expect(page.locator("#findings")).not_to_contain_text("does not answer", timeout=SOON_MS)


def test_a_stream_that_dies_is_shown_dead_within_five_seconds(page: Page, cameras: dict[str, Camera]) -> None:
    expect(tile(page, "gate-2")).to_have_attribute("data-state", "live", timeout=SOON_MS)
    os.killpg(cameras["gate-2"].process.pid, signal.SIGKILL)
    cameras["gate-2"].stopped = True
    expect(tile(page, "gate-2")).to_have_attribute("data-state", "dead", timeout=5000)
    expect(tile(page, "gate-2").locator(".state")).to_contain_text("dead")
    expect(page.locator("#findings")).to_contain_text(re.compile("gate-2.*: no frame comes any more"))
    expect(tile(page, "gate-1")).to_have_attribute("data-state", "live")


def test_two_thousand_streams_are_searched_and_paged(page: Page, stack: Stack, cameras: dict[str, Camera]) -> None:
    with redis.Redis.from_url(stack.redis.url) as client, client.pipeline(transaction=False) as pipeline:
        for number in range(REGISTERED):
            stream = f"cam-{number}"
            shard = StreamKeys.of(stream, DEFAULT_SHARDS).shard
            record = StreamSettings(group=f"site-{number % 7}").to_json()
            pipeline.hset(ShardKeys(shard).streams, stream, record.decode())
        pipeline.execute()
    expect(page.locator("#place")).to_contain_text("of 167", timeout=SOON_MS)
    expect(page.locator(".tile")).to_have_count(12)
    page.select_option("[name=order]", "name")
    expect(page.locator(".tile h3").nth(11)).to_have_text("cam-10", timeout=SOON_MS)  # after "broken"
    page.locator("#next").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#place")).to_contain_text("page 2 of 167")
    expect(page.locator(".tile h3").first).to_have_text("cam-11")
    expect(page.locator("#said")).to_have_text("2,004 streams, page 2 of 167")
    assert page.evaluate("document.activeElement.id") == "next"
    page.locator("[name=q]").focus()
    page.keyboard.type("site-3 cam-1777")
    expect(page.locator(".tile")).to_have_count(0, timeout=SOON_MS)
    expect(page.locator("#none")).to_have_text("No stream matches.")
    page.locator("[name=q]").fill("cam-1777")
    expect(page.locator(".tile h3")).to_have_text(["cam-1777"], timeout=SOON_MS)
    expect(tile(page, "cam-1777").locator(".state")).to_have_text("never sent")
    page.reload()
    expect(page.locator(".tile h3")).to_have_text(["cam-1777"], timeout=SOON_MS)  # the address remembers the search
    page.locator("[name=q]").fill("")
    page.select_option("[name=size]", "96")
    expect(page.locator(".tile")).to_have_count(96, timeout=SOON_MS)
