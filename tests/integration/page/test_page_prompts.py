"""Pointing at things on the live page, in headless Chromium, before the real stack and a camera that outlines them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, Route, expect

from narrows.client.registry import PromptRegistry, read_prompt_audit, read_still_audit
from narrows.client.registry.packet_format import let_cameras_send
from narrows.contract.outputs.objects import ObjectMask, Objects, objects_value
from narrows.contract.records.prompts import PromptAnswers
from narrows.contract.wire import FrameIdentity, ResultPacket, ShardKeys, StreamKeys, StreamSettings
from narrows.contract.wire.output_packet import OutputPacket
from narrows.ops.demo.stack import Stack
from narrows.runtime.prompting import Box, Point, Prompt
from narrows.runtime.redis import read_install
from orchestrator.servers.ports import free_ports
from tests.bright_network import write_bright_network
from tests.integration.edge.edge_program import Program
from tests.integration.topologies.servers import eventually

pytestmark = pytest.mark.timeout(300)
SOON_MS = 60_000
ROOT = Path(__file__).resolve().parents[3]
OPERATOR = "what operators alone know"
WHO = "page operator at 127.0.0.1"
WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope="module")
def registry(stack: Stack) -> Iterator[PromptRegistry]:
    with redis.Redis.from_url(stack.redis.url) as client:
        let_cameras_send(client, 2, who="a test")
        yield PromptRegistry(client, read_install(client))


@pytest.fixture(scope="module")
def address(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with operators."""
    found = f"127.0.0.1:{free_ports(1)[0]}"
    command = [sys.executable, "-m", "narrows.cli", "page", "--redis-url", stack.redis.url, "--listen", found]
    log = tmp_path_factory.mktemp("page") / "log.txt"
    with log.open("wb") as out:
        page = subprocess.Popen(
            [*command, "--bundle", str(stack.bundle.folder)],
            env=os.environ | {"NARROWS_PAGE_OPERATOR_TOKEN": OPERATOR, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    eventually(lambda: "page_started" in log.read_text())
    yield found
    page.terminate()
    page.wait(30)


@pytest.fixture(scope="module")
def camera(stack: Stack, registry: PromptRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A white disc at (240, 60) and a white square at (40, 160) to (100, 220)."""
    folder = tmp_path_factory.mktemp("camera")
    filmed = folder / "filmed"
    filmed.mkdir()
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    ImageDraw.Draw(picture).ellipse((210, 30, 270, 90), fill="white")
    ImageDraw.Draw(picture).rectangle((40, 160, 100, 220), fill="white")
    picture.save(filmed / "scene.png")
    options = ("--prompts", str(write_bright_network(folder / "bright.onnx")), "--loop", "--fps", "4", "--stills", "2")
    running = Program(folder, stack.redis.url, stack.bundle, filmed, *options)
    running.until(lambda: registry.look("cam-1").source == (WIDTH, HEIGHT))
    yield running
    running.process.terminate()
    running.process.wait(30)


@pytest.fixture
def page(browser: Browser, address: str, camera: Program) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    opened = context.new_page()
    opened.goto(f"http://{address}/")
    yield opened
    context.close()


def tile(page: Page) -> Any:
    return page.locator('[data-stream="cam-1"]')


def on_mask(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a share of the picture's sides lies on the screen."""
    page.wait_for_function("() => document.querySelector(`[data-stream='cam-1'] img.mask`)?.naturalWidth > 0")
    tile(page).locator(".picture").scroll_into_view_if_needed()
    box = tile(page).locator(".picture").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_an_operator_taps_and_drags_and_sees_what_is_outlined_and_takes_it_away(
    page: Page, registry: PromptRegistry
) -> None:
    page.locator("#operator").click()
    page.locator("input[name=token]").fill(OPERATOR)
    page.get_by_role("button", name="Enter").click()
    expect(page.locator("#operator")).to_be_hidden()
    expect(tile(page)).to_have_attribute("data-operator", "", timeout=SOON_MS)
    page.mouse.click(*on_mask(page, 240 / WIDTH, 60 / HEIGHT))
    expect(tile(page).locator("[data-prompt='1']")).to_contain_text("tracking", timeout=SOON_MS)
    (tapped,) = registry.look("cam-1").prompts
    (point,) = Prompt.of_record(tapped).points
    assert [point.x, point.y] == pytest.approx([240, 60], abs=2)
    assert (tapped.width, tapped.height) == (WIDTH, HEIGHT)

    page.mouse.move(*on_mask(page, 35 / WIDTH, 155 / HEIGHT))
    page.mouse.down()
    page.mouse.move(*on_mask(page, 105 / WIDTH, 225 / HEIGHT), steps=4)
    page.mouse.up()
    expect(tile(page).locator("[data-prompt='2']")).to_contain_text("tracking", timeout=SOON_MS)
    box = Prompt.of_record(registry.look("cam-1").prompts[1]).box
    assert box is not None
    assert [box.x, box.y, box.width, box.height] == pytest.approx([35, 155, 70, 70], abs=3)

    outlines = tile(page).locator("img.objects")
    expect(outlines).to_have_attribute("alt", "Outlines of prompts 1, 2 of cam-1", timeout=SOON_MS)
    inside, outside = _yellow(page, (200, 20, 280, 100)), _yellow(page, (120, 100, 190, 230))
    assert inside > 100
    assert outside == 0

    tile(page).get_by_role("button", name="Remove prompt 1 of cam-1").click()
    expect(tile(page).locator("[data-prompt='1']")).to_have_count(0, timeout=SOON_MS)
    assert [each.id for each in registry.look("cam-1").prompts] == [2]
    events = [(each.who, each.action, each.prompt.id) for each in read_prompt_audit(registry.client)]
    assert events == [(WHO, "prompt-remove", 1), (WHO, "prompt-add", 2), (WHO, "prompt-add", 1)]


def test_a_mask_that_never_comes_stops_none_of_those_behind_it(page: Page) -> None:
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        held.append(route)
        if len(held) > 1:
            route.continue_()

    on_mask(page, 0.5, 0.5)
    page.route("**/cam-1/mask.png*", hold_the_first)
    while not held:
        page.wait_for_timeout(100)
    before = tile(page).locator("img.mask").get_attribute("src")
    expect(tile(page).locator("img.mask")).not_to_have_attribute("src", before, timeout=SOON_MS)


def test_an_operator_who_saw_an_older_list_is_told_and_overwrites_nothing(page: Page, registry: PromptRegistry) -> None:
    page.goto(page.url + "enter")
    page.locator("input[name=token]").fill(OPERATOR)
    page.get_by_role("button", name="Enter").click()
    number = registry.add("cam-1", Prompt(Box(1, 1, 30, 30)), who="another").id
    expect(tile(page).locator(f"[data-prompt='{number}']")).to_be_visible(timeout=SOON_MS)
    on_mask(page, 0.5, 0.5)
    seen: list[str] = []

    def as_before(route: Route) -> None:
        """The list stays what it was when this page saw it last."""
        if route.request.method == "GET":
            seen[:] = seen or [route.fetch().text()]
            route.fulfill(body=seen[0], content_type="application/json")
        else:
            route.continue_()

    page.route("**/prompts", as_before)
    with page.expect_response("**/prompts"):
        pass
    registry.add("cam-1", Prompt(Box(2, 2, 30, 30)), who="another")
    before = registry.look("cam-1").prompts
    page.mouse.click(*on_mask(page, 0.5, 0.5))
    expect(tile(page).locator(".told")).to_contain_text("changed meanwhile", timeout=SOON_MS)
    assert registry.look("cam-1").prompts == before


def test_a_viewer_who_taps_points_at_nothing(page: Page, registry: PromptRegistry) -> None:
    registry.add("cam-1", Prompt(points=(Point(240, 60),)), who="another")
    before = registry.look("cam-1")
    x, y = on_mask(page, 0.3, 0.3)
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.method) if request.method != "GET" else None)
    tile(page).get_by_text("More").click()
    expect(tile(page).locator(".prompts li").first).to_be_visible(timeout=SOON_MS)
    page.mouse.click(x, y)
    expect(tile(page).get_by_role("button", name="Remove")).to_have_count(0)
    assert posted == []
    assert registry.look("cam-1").version == before.version


def test_what_a_camera_sends_alone_is_outlined_on_its_tile_without_a_mask(page: Page, registry: PromptRegistry) -> None:
    outlined = Objects(WIDTH, HEIGHT, 12, (ObjectMask(3, 7, 200, 20, 80, np.ones((12, 12), bool)),))
    objects = OutputPacket(objects_value(outlined.to_bytes()), "00000000000000ab")
    packet = ResultPacket(0xFEED, FrameIdentity(7, 1), 0, 0, 0, 50).to_bytes()
    keys = StreamKeys.of("sensor-1", read_install(registry.client).shards)
    registry.client.hset(ShardKeys(keys.shard).streams, "sensor-1", StreamSettings().to_json())
    registry.client.xadd(keys.outcomes, {"k": b"mask", "p": packet, objects.field: objects.to_bytes()})
    sensor = page.locator('[data-stream="sensor-1"]')
    outlines = sensor.locator("img.objects")
    expect(outlines).to_have_attribute("alt", "Outlines of prompts 3 of sensor-1", timeout=SOON_MS)
    expect(sensor.locator("img.mask")).to_have_count(0)
    assert _yellow(page, (190, 10, 290, 110), "sensor-1") > 100
    assert _yellow(page, (10, 120, 180, 230), "sensor-1") == 0


def entered(page: Page) -> None:
    page.goto(page.url + "enter")
    page.locator("input[name=token]").fill(OPERATOR)
    page.get_by_role("button", name="Enter").click()
    expect(tile(page)).to_have_attribute("data-operator", "", timeout=SOON_MS)


def test_an_operator_asks_for_a_still_picture_points_in_it_and_the_audit_says_who_asked_and_looked(
    page: Page, registry: PromptRegistry
) -> None:
    entered(page)
    for prompt in registry.look("cam-1").prompts:
        registry.remove("cam-1", prompt.id, who="a test")
    on_mask(page, 0.5, 0.5)
    tile(page).get_by_role("button", name="Still picture of cam-1").click()
    still = tile(page).locator("img.still")
    expect(still).to_be_visible(timeout=SOON_MS)
    lightness = page.evaluate(
        """() => {
          const image = document.querySelector("[data-stream='cam-1'] img.still");
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
          const pen = canvas.getContext("2d");
          pen.drawImage(image, 0, 0);
          return [[240, 60], [70, 190], [150, 120]].map(([x, y]) => pen.getImageData(x, y, 1, 1).data[0]);
        }"""
    )
    assert [value > 128 for value in lightness] == [True, True, False]  # the disc, the square, what is beside them
    asked, viewed = read_still_audit(registry.client)[::-1]
    assert (asked.who, asked.action, asked.camera) == (WHO, "still-ask", "cam-1")
    assert (viewed.who, viewed.action, viewed.asked_ms) == (WHO, "still-view", asked.asked_ms)
    box: Any = tile(page).locator(".picture").bounding_box()
    page.mouse.click(box["x"] + 70 / WIDTH * box["width"], box["y"] + 190 / HEIGHT * box["height"])
    expect(tile(page).locator("[data-prompt='1']")).to_contain_text("tracking", timeout=SOON_MS)
    (tapped,) = registry.look("cam-1").prompts
    assert [(each.x, each.y) for each in tapped.points] == [pytest.approx((70, 190), abs=2)]
    expect(tile(page).locator("img.objects")).to_be_visible(timeout=SOON_MS)
    expect(still).to_be_visible()
    if path := os.environ.get("NARROWS_SCREENSHOTS"):
        page.screenshot(path=f"{path}/still.png")
    tile(page).get_by_role("button", name="Still picture of cam-1").click()
    expect(still).to_have_count(0)
    forged = page.request.post(page.url + "api/streams/cam-1/still")  # with the cookie, as another site's form would
    assert (forged.status, "lacks this page's X-CSRF-Token" in forged.text()) == (403, True)
    expect(tile(page).locator("img.mask")).to_be_visible(timeout=SOON_MS)


def test_an_answer_about_a_still_picture_that_never_comes_is_not_waited_for_for_ever(page: Page) -> None:
    page.clock.install()
    entered(page)
    page.route("**/still?asked=*", lambda route: None)
    with page.expect_request("**/still?asked=*", timeout=SOON_MS):
        tile(page).get_by_role("button", name="Still picture of cam-1").click()
    page.clock.fast_forward(15_000)
    expect(tile(page).locator(".told")).to_have_text("No answer came in time: ask again.", timeout=SOON_MS)
    expect(tile(page).locator("button.still")).to_have_text("Still picture")
    page.unroute("**/still?asked=*")


def test_who_taps_twice_in_a_hurry_points_at_both_things_and_takes_both_away(
    page: Page, registry: PromptRegistry
) -> None:
    for prompt in registry.look("cam-1").prompts:
        registry.remove("cam-1", prompt.id, who="a test")
    entered(page)
    expect(tile(page).locator("button.still")).to_be_visible(timeout=SOON_MS)
    page.mouse.click(*on_mask(page, 240 / WIDTH, 60 / HEIGHT))
    page.mouse.click(*on_mask(page, 70 / WIDTH, 190 / HEIGHT))
    for number in (1, 2):
        expect(tile(page).locator(f"[data-prompt='{number}']")).to_contain_text("tracking", timeout=SOON_MS)
    expect(tile(page).locator(".told")).to_have_text("")
    page.evaluate(
        """() => {
          const buttons = document.querySelectorAll("[data-stream='cam-1'] .prompts li button");
          for (const each of buttons) each.click();
        }"""
    )
    expect(tile(page).locator("[data-prompt]")).to_have_count(0, timeout=SOON_MS)
    expect(tile(page).locator(".told")).to_have_text("")
    assert registry.look("cam-1").prompts == ()


def test_a_visitor_is_offered_no_still_and_gets_none(page: Page, address: str, registry: PromptRegistry) -> None:
    on_mask(page, 0.5, 0.5)
    expect(tile(page).get_by_role("button", name="Still picture of cam-1")).to_have_count(0)
    before = read_still_audit(registry.client)
    asked = page.request.post(f"http://{address}/api/streams/cam-1/still")
    looked = page.request.get(
        f"http://{address}/api/streams/cam-1/still.jpg?asked={before[0].asked_ms if before else 1}"
    )
    assert (asked.status, looked.status) == (403, 403)
    assert "Only an operator may see a still" in looked.text()
    assert read_still_audit(registry.client) == before


def test_a_tap_on_a_camera_that_runs_no_prompts_says_how_it_would(page: Page, registry: PromptRegistry) -> None:
    keys = StreamKeys.of("plain-1", read_install(registry.client).shards)
    registry.client.hset(ShardKeys(keys.shard).streams, "plain-1", StreamSettings().to_json())
    registry.client.xadd(keys.prompt_state, {"p": PromptAnswers(unable="no_network").to_json()})
    outlined = OutputPacket(objects_value(Objects(WIDTH, HEIGHT, 12, ()).to_bytes()), "00000000000000ab")
    packet = ResultPacket(0xFEED, FrameIdentity(7, 1), 0, 0, 0, 50).to_bytes()
    registry.client.xadd(keys.outcomes, {"k": b"mask", "p": packet, outlined.field: outlined.to_bytes()})
    entered(page)
    plain = page.locator('[data-stream="plain-1"]')
    expect(plain.locator("img.objects")).to_be_visible(timeout=SOON_MS)
    plain.locator(".picture").click()
    expect(plain.locator(".told")).to_contain_text("start it with `narrows edge --prompts FILE.onnx`", timeout=SOON_MS)
    assert registry.client.get(keys.prompts) is None


def test_a_camera_whose_site_allows_no_still_is_named_and_asked_for_none(page: Page, registry: PromptRegistry) -> None:
    keys = StreamKeys.of("shy-1", read_install(registry.client).shards)
    registry.client.hset(ShardKeys(keys.shard).streams, "shy-1", StreamSettings().to_json())
    registry.client.xadd(keys.prompt_state, {"p": PromptAnswers(width=WIDTH, height=HEIGHT).to_json()})
    entered(page)
    shy = page.locator('[data-stream="shy-1"]')
    shy.scroll_into_view_if_needed()
    shy.get_by_role("button", name="Still picture of shy-1").click()
    expect(shy.locator(".told")).to_contain_text("its site lets no picture leave", timeout=SOON_MS)
    assert registry.client.get(keys.prompts) is None
    assert [each for each in read_still_audit(registry.client) if each.camera == "shy-1"] == []


def _yellow(page: Page, area: tuple[int, int, int, int], stream: str = "cam-1") -> int:
    """Pixels of outlines in an area (left, top, right, bottom) of the source."""
    return int(
        page.evaluate(
            """([stream, width, left, top, right, bottom]) => {
              const image = document.querySelector(`[data-stream='${stream}'] img.objects`);
              const canvas = document.createElement("canvas");
              [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
              const pen = canvas.getContext("2d");
              pen.drawImage(image, 0, 0);
              const scale = image.naturalWidth / width;
              const cut = [left, top, right - left, bottom - top].map((each) => Math.round(each * scale));
              const { data } = pen.getImageData(...cut);
              let count = 0;
              for (let i = 0; i < data.length; i += 4) if (data[i] > 200 && data[i + 1] > 150 && data[i + 3]) count++;
              return count;
            }""",
            [stream, WIDTH, *area],
        )
    )


def test_a_finger_that_moves_down_scrolls_and_points_at_nothing_and_one_that_moves_aside_draws_a_box(
    browser: Browser, address: str, camera: Program, registry: PromptRegistry
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 420}, has_touch=True)
    page = context.new_page()
    page.goto(f"http://{address}/enter")
    page.locator("input[name=token]").fill(OPERATOR)
    page.get_by_role("button", name="Enter").click()
    tile(page).locator(".picture").scroll_into_view_if_needed()  # what is not in view is not asked for
    expect(tile(page)).to_have_attribute("data-operator", "", timeout=SOON_MS)
    start = on_mask(page, 0.5, 0.3)
    before, scrolled = registry.look("cam-1").version, page.evaluate("() => scrollY")
    _swipe(page, start, (0, 100))
    page.wait_for_function("before => scrollY < before - 40", arg=scrolled)
    assert registry.look("cam-1").version == before

    x, y = on_mask(page, 35 / WIDTH, 155 / HEIGHT)
    end_x, end_y = on_mask(page, 105 / WIDTH, 225 / HEIGHT)
    with page.expect_response("**/prompts"):
        _swipe(page, (x, y), (end_x - x, end_y - y), aside_first=True)
    newest = registry.look("cam-1").prompts[-1]
    box = Prompt.of_record(newest).box
    assert box is not None
    assert [box.x, box.y, box.width, box.height] == pytest.approx([35, 155, 70, 70], abs=4)
    context.close()


def _swipe(page: Page, start: tuple[float, float], way: tuple[float, float], *, aside_first: bool = False) -> None:
    """A finger that goes down, moves in steps, and is lifted."""
    steps = 8
    devtools = page.context.new_cdp_session(page)
    places = [(start[0] + way[0] * n / steps, start[1] + way[1] * n / steps) for n in range(1, steps + 1)]
    if aside_first:
        places.insert(0, (start[0] + way[0] / 2, start[1]))
    for kind, place in (("touchStart", start), *(("touchMove", each) for each in places)):
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": place[0], "y": place[1]}]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
