"""A camera's own page in headless Chromium: tapped with the link down, seen at once, reconciled once the link is up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

from narrows.client.registry import PromptRegistry
from narrows.contract.bundle import Bundle
from narrows.contract.records.prompts import FIRST_SITE_ID, REMOVED_ON_SITE
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.prompting import Box, Prompt
from orchestrator.servers import LocalRedis
from tests.bright_network import write_bright_network
from tests.integration.edge.edge_program import SHARDS, Program
from tests.integration.edge.link import Link, link_to

pytestmark = pytest.mark.timeout(300)
SOON_MS = 60_000
TOKEN = "what those on site know"
WIDTH, HEIGHT = 320, 240


@pytest.fixture
def link(server: LocalRedis) -> Iterator[Link]:
    with link_to(server.port) as found:
        yield found


@pytest.fixture
def registry(client: redis.Redis) -> PromptRegistry:
    """Of an install whose cameras may send packet format 2."""
    install = Install(SHARDS, packet_format=2)
    client.set(INSTALL_KEY, install.to_json())
    return PromptRegistry(client, install)


@pytest.fixture
def camera(link: Link, registry: PromptRegistry, demo_bundle: Bundle, tmp_path: Path) -> Iterator[tuple[Program, str]]:
    """It begins without a link, and films a white disc at (240, 60) and a white square at (40, 160) to (100, 220)."""
    link.cut()
    filmed = tmp_path / "filmed"
    filmed.mkdir()
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    ImageDraw.Draw(picture).ellipse((210, 30, 270, 90), fill="white")
    ImageDraw.Draw(picture).rectangle((40, 160, 100, 220), fill="white")
    picture.save(filmed / "scene.png")
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(f"{TOKEN}\n")
    options = ["--prompts", str(write_bright_network(tmp_path / "bright.onnx")), "--loop", "--fps", "4"]
    options += ["--spool-mb", "8", "--site-page", "127.0.0.1:0", "--site-token", f"file:{token}"]
    running = Program(tmp_path, f"redis://127.0.0.1:{link.port}/0", demo_bundle, filmed, *options)
    running.until(lambda: "site_page_served" in running.log.read_text())
    (address,) = re.findall(r"site_page_served.*?(127\.0\.0\.1:\d+)", running.log.read_text())
    yield running, address
    running.process.terminate()
    running.process.wait(30)


@pytest.fixture
def page(browser: Browser, camera: tuple[Program, str]) -> Iterator[Page]:
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    opened = context.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(f"http://{camera[1]}/")
    opened.locator("input[name=token]").fill(TOKEN)
    opened.get_by_role("button", name="Enter").click()
    yield opened
    if path := os.environ.get("NARROWS_SCREENSHOTS"):
        opened.screenshot(path=f"{path}/site.png")
    context.close()
    assert complaints == []


def place(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the source lies on the screen."""
    page.wait_for_function("() => document.querySelector('#camera img.frame')?.naturalWidth > 0")
    box: Any = page.locator("#camera .picture").bounding_box()
    return box["x"] + x / WIDTH * box["width"], box["y"] + y / HEIGHT * box["height"]


def outlined(page: Page, left: int, top: int, right: int, bottom: int) -> int:
    """Pixels of outlines in an area of the source."""
    return int(
        page.evaluate(
            """([width, left, top, right, bottom]) => {
              const image = document.querySelector("#camera img.objects");
              if (!image) return 0;
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const pen = canvas.getContext("2d");
              pen.drawImage(image, 0, 0);
              const scale = image.naturalWidth / width;
              const area = [left, top, right - left, bottom - top].map((each) => Math.round(each * scale));
              const { data } = pen.getImageData(...area);
              let count = 0;
              for (let i = 3; i < data.length; i += 4) if (data[i]) count++;
              return count;
            }""",
            [WIDTH, left, top, right, bottom],
        )
    )


def test_what_is_tapped_with_the_link_down_is_outlined_at_once_and_both_sides_agree_once_it_is_up(
    page: Page, camera: tuple[Program, str], link: Link, registry: PromptRegistry
) -> None:
    program, _ = camera
    prompts = page.locator("#camera .prompts li")
    page.mouse.click(*place(page, 240, 60))
    tapped = page.locator(f"[data-prompt='{FIRST_SITE_ID}']")
    expect(tapped).to_contain_text("tracking", timeout=SOON_MS)
    outlines = page.locator("#camera img.objects")
    expect(outlines).to_have_attribute("alt", f"Outlines of prompts {FIRST_SITE_ID} of cam-1", timeout=SOON_MS)
    assert outlined(page, 200, 20, 280, 100) > 100
    assert outlined(page, 0, 130, 190, 240) == 0
    assert registry.look("cam-1").prompts == ()

    page.get_by_role("button", name="Not this").click()
    page.mouse.click(*place(page, 150, 120))
    expect(page.get_by_role("button", name="Remove")).to_have_count(1)
    program.until(lambda: program.log.read_text().count("site_prompt_added") == 2)

    link.mend()
    program.until(lambda: [each.id for each in registry.look("cam-1").prompts] == [FIRST_SITE_ID])
    (seen,) = registry.look("cam-1").prompts
    assert [place for each in seen.points for place in (each.x, each.y)] == pytest.approx([240, 60, 150, 120], abs=2)
    assert [each.positive for each in seen.points] == [True, False]
    assert seen.who == "on site"

    cloud = registry.add("cam-1", Prompt(Box(35, 155, 70, 70)), who="ada")
    expect(page.locator(f"[data-prompt='{cloud.id}']")).to_contain_text("tracking", timeout=SOON_MS)
    expect(prompts).to_have_count(2)
    page.get_by_role("button", name=f"Remove prompt {cloud.id} of cam-1").click()
    expect(prompts).to_have_count(1)
    program.until(lambda: registry.look("cam-1").state_of(cloud) == REMOVED_ON_SITE)
    registry.remove("cam-1", FIRST_SITE_ID, who="ada")
    expect(prompts).to_have_count(0, timeout=SOON_MS)
    expect(outlines).to_have_count(0, timeout=SOON_MS)
    program.until(lambda: [each.id for each in registry.look("cam-1").prompts] == [cloud.id])


def test_a_drag_is_a_box_and_the_page_says_that_no_picture_leaves(page: Page) -> None:
    expect(page.locator("#camera .leaves")).to_have_text("The picture stays on this site.", timeout=SOON_MS)
    page.mouse.move(*place(page, 35, 155))
    page.mouse.down()
    page.mouse.move(*place(page, 105, 225), steps=4)
    page.mouse.up()
    expect(page.locator(f"[data-prompt='{FIRST_SITE_ID}']")).to_contain_text("tracking", timeout=SOON_MS)
    outlines = page.locator("#camera img.objects")
    expect(outlines).to_have_attribute("alt", f"Outlines of prompts {FIRST_SITE_ID} of cam-1", timeout=SOON_MS)
    assert outlined(page, 20, 140, 120, 240) > 100
