"""Who sees what a camera films, and what a stuck, forged or broken request costs: a real server and real requests."""

from __future__ import annotations

import http.client
import json
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_client.http_server import served
from edge_client.prompts.tracker import PromptTracker
from edge_client.site.open import Site
from edge_client.site.page import SitePage
from edge_client.site.prompts import SitePrompts
from edge_client.site.settings import SiteSettings
from edge_client.site.view import WATCHED_S, SiteView
from narrows.contract.errors import ConfigError, ServiceError
from narrows.contract.outputs.objects import MAX_SOURCE_SIDE
from narrows.contract.records.prompts import PromptAnswers, PromptList
from narrows.runtime.listening import Limits
from narrows.runtime.prompting.segmenter import PromptSegmenter
from tests.unit.edge.test_edge_prompts import HEIGHT, SIZE, WIDTH, scene

TOKEN = "what those on site know"
PROMPTS = "/api/streams/gate-3/prompts"
JSON = {"Content-Type": "application/json"}


class Camera:
    """A site's page, a network that outlines what is bright, and one browser."""

    def __init__(self, folder: Path) -> None:
        segmenter = PromptSegmenter(lambda inputs: inputs[0].astype(np.float32) - 127.5, SIZE)
        self.stage = PromptTracker(segmenter, 1, 0.5, on_site=True)
        self.site = Site(SitePrompts(folder), SiteView(), self.stage)
        self.page = SitePage("gate-3", TOKEN, self.site.prompts, self.site.view, self.stage.answers)
        self.address, self.cookie, self.csrf, self.packet_format = "", "", "", 2

    def films(self, *discs: tuple[float, float, float]) -> None:
        asked = self.site.asked(PromptList())
        staged = self.stage.frame(scene(*discs), self.packet_format, asked, self.site.prompts.now_ms(), 0.1)
        self.site.show(scene(*discs), staged.newest, 1000)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        held = {"Cookie": self.cookie} if self.cookie else {}
        connection.request(method, path, body, held | {name.replace("_", "-"): each for name, each in headers.items()})
        answer = connection.getresponse()
        found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return found

    def enter(self) -> None:
        _, headers, _ = self.ask("POST", "/enter", f"token={TOKEN}".encode(), Content_Type=FORM)
        self.cookie = headers["set-cookie"].partition(";")[0]
        self.csrf = self.listed()["csrf"]

    def listed(self) -> Any:
        status, _, body = self.ask("GET", PROMPTS)
        assert status == 200, body
        return json.loads(body)

    def point(self, *, status: int = 200, **asked: Any) -> Any:
        given = json.dumps({"if_version": self.listed()["version"], **asked}).encode()
        found, _, body = self.ask("POST", PROMPTS, given, X_CSRF_Token=self.csrf, **JSON_HEADERS)
        assert found == status, body
        return json.loads(body) if found == 200 else body.decode()


FORM = "application/x-www-form-urlencoded"
JSON_HEADERS = {"Content_Type": "application/json"}


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    found = Camera(tmp_path)
    with served(found.page.answer, "127.0.0.1:0", "--site-page", changes=True) as found.address:
        yield found


def test_strangers_see_nothing_but_the_door(camera: Camera) -> None:
    camera.films((100, 80, 20))
    for path in ("/api/site", "/api/site/picture?at=1", PROMPTS, "/static/site.js", "/nowhere"):
        assert camera.ask("GET", path)[0] == 401, path
        assert camera.ask("GET", path, Authorization="Bearer wrong")[0] == 401, path
        assert camera.ask("GET", path, Cookie=f"narrows_site_gate-3={TOKEN}")[0] == 401, path
    status, headers, _ = camera.ask("GET", "/")
    assert (status, headers["location"]) == (303, "/enter")
    status, headers, body = camera.ask("GET", "/enter")
    assert (status, b"token" in body) == (200, True)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_the_token_opens_by_form_and_its_cookie_is_no_copy(camera: Camera) -> None:
    status, headers, _ = camera.ask("POST", "/enter", b"token=wrong", Content_Type=FORM)
    assert (status, headers["location"], "set-cookie" in headers) == (303, "/enter#wrong", False)
    status, headers, _ = camera.ask("POST", "/enter", f"token={TOKEN}".encode(), Content_Type=FORM)
    assert (status, headers["location"]) == (303, "/")
    for part in ("narrows_site_gate-3=", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert part in headers["set-cookie"]
    assert TOKEN not in headers["set-cookie"]
    camera.enter()
    assert camera.ask("GET", "/")[0] == 200
    assert camera.ask("GET", "/static/prompts.js")[1]["content-type"] == "text/javascript; charset=utf-8"


def test_the_picture_and_the_outlines_of_what_is_pointed_at_are_seen_also_while_nothing_may_be_sent(
    camera: Camera,
) -> None:
    camera.enter()
    nothing_yet = {"stream": "gate-3", "picture": None, "stills": {"per_hour": 0, "last": None}}
    assert json.loads(camera.ask("GET", "/api/site")[2]) == nothing_yet
    camera.packet_format = 1  # as before the install record was read
    camera.films((100, 80, 20))
    made = camera.point(points=[[100 / WIDTH, 80 / HEIGHT, True]])["made"]
    camera.films((100, 80, 20))
    seen = json.loads(camera.ask("GET", "/api/site")[2])["picture"]
    assert (seen["width"], seen["height"], seen["objects"]) == (WIDTH, HEIGHT, [made])
    status, headers, body = camera.ask("GET", f"/api/site/picture?at={seen['number']}")
    assert (status, headers["content-type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert headers["cache-control"] == "no-store"
    status, headers, body = camera.ask("GET", f"/api/site/outlines?at={seen['number']}")
    assert (status, headers["content-type"], body[1:4]) == (200, "image/png", b"PNG")
    (row,) = camera.listed()["prompts"]
    assert (row["id"], row["state"]) == (made, "tracking")
    for gone in ("999", "x", "-1", "9" * 400, ""):
        assert camera.ask("GET", f"/api/site/picture?at={gone}")[0] == 404


def test_a_box_and_a_point_beside_the_thing_are_taken_and_a_prompt_is_removed(camera: Camera) -> None:
    camera.enter()
    camera.films()
    first = camera.point(box=[0.1, 0.1, 0.5, 0.5])
    second = camera.point(box=[0.1, 0.1, 0.5, 0.5], points=[[0.2, 0.2, False]], replaces=first["made"])
    (row,) = second["prompts"]
    assert (row["id"], row["points"], row["state"]) == (first["made"], [[0.2, 0.2, False]], "waiting")
    path = f"{PROMPTS}/{row['id']}?if_version={second['version']}"
    assert camera.ask("DELETE", path)[0] == 403
    status, _, body = camera.ask("DELETE", path, X_CSRF_Token=camera.csrf)
    assert (status, json.loads(body)["prompts"]) == (200, [])
    assert camera.ask("DELETE", path, X_CSRF_Token=camera.csrf)[0] == 409


def test_another_site_changes_nothing_through_an_operators_browser(camera: Camera) -> None:
    camera.enter()
    camera.films()
    body = json.dumps({"points": [[0.5, 0.5]], "if_version": camera.listed()["version"]}).encode()
    for headers in ({}, {"X_CSRF_Token": "x" * 64}):
        status, _, said = camera.ask("POST", PROMPTS, body, **JSON_HEADERS, **headers)
        assert (status, b"X-CSRF-Token" in said) == (403, True)
    assert camera.ask("POST", PROMPTS, body, X_CSRF_Token=camera.csrf, Content_Type=FORM)[0] == 415
    camera.cookie = ""
    assert camera.ask("POST", PROMPTS, body, X_CSRF_Token=camera.csrf, **JSON_HEADERS)[0] == 401
    status, _, _ = camera.ask("POST", PROMPTS, body, Authorization=f"Bearer {TOKEN}", **JSON_HEADERS)
    assert status == 200  # no browser adds that by itself


NONSENSE: list[tuple[dict[str, Any], int, str]] = [
    ({"points": [[1.5, 0.5]]}, 422, "outside"),
    ({"box": [0.1, 0.1, 0, 0.5]}, 422, ""),
    ({"points": [[0.5, 0.5, False]]}, 422, ""),
    ({"points": []}, 422, ""),
    ({}, 422, ""),
    ({"points": [[0.5, 0.5]] * 17}, 422, "16"),
    ({"points": [["x", 0.5]]}, 422, "shares"),
    ({"points": [[0.5, 0.5, "no"]]}, 422, "shares"),
    ({"points": 7}, 422, "shares"),
    ({"box": [1e308, 1e308, 1e308, 1e308]}, 422, ""),
    ({"points": [[0.5, 0.5]], "replaces": 99}, 409, "no prompt 99"),
    ({"points": [[0.5, 0.5]], "replaces": "x"}, 422, "replaces"),
    ({"points": [[0.5, 0.5]], "if_version": 1}, 409, "changed meanwhile"),
    ({"points": [[0.5, 0.5]], "if_version": None}, 422, "if_version"),
]


def test_what_points_at_nothing_is_refused_by_name_and_changes_nothing(camera: Camera) -> None:
    camera.enter()
    camera.films()
    for asked, status, told in NONSENSE:
        assert told in camera.point(status=status, **asked), asked
    assert camera.listed()["prompts"] == []


def test_before_the_first_picture_there_is_nothing_to_point_at(camera: Camera) -> None:
    camera.enter()
    assert "no picture yet" in camera.point(status=422, points=[[0.5, 0.5]])


def test_a_camera_that_cannot_outline_what_it_films_says_so_and_takes_no_prompt(camera: Camera) -> None:
    """Taken all the same, its answer would name a size that no reader of it takes, and the cloud would have none."""
    camera.enter()
    asked = camera.site.asked(PromptList())
    camera.stage.frame(np.zeros((4, MAX_SOURCE_SIDE + 1, 3), np.uint8), 2, asked, camera.site.prompts.now_ms(), 0.1)
    assert "its picture is too large" in camera.point(status=422, box=[0.1, 0.1, 0.2, 0.2])
    assert PromptAnswers.parse(camera.site.answers().to_json()).site == ()


def test_broken_bodies_and_methods_get_an_answer(camera: Camera) -> None:
    camera.enter()
    camera.films()
    token = {"X_CSRF_Token": camera.csrf, **JSON_HEADERS}
    for body in (b"", b"{", b"[]", b"\xff", b'{"points":' + b"[" * 1000):
        assert camera.ask("POST", PROMPTS, body, **token)[0] == 400
    assert camera.ask("POST", PROMPTS, b"x" * 5000, **token)[0] == 413
    assert camera.ask("POST", "/api/site", b"", **token)[0] == 405
    assert camera.ask("DELETE", f"{PROMPTS}/x", X_CSRF_Token=camera.csrf)[0] == 422
    assert camera.ask("PUT", PROMPTS, b"x", **token)[0] == 501
    assert camera.ask("GET", "//[x?%zz=%ff&at")[0] in {400, 404}
    assert camera.listed()["prompts"] == []


def test_stuck_clients_cost_neither_the_frame_loop_nor_the_next_visitor(tmp_path: Path) -> None:
    found = Camera(tmp_path)
    granted = Limits(connections=4, request_s=3600.0)
    with served(found.page.answer, "127.0.0.1:0", "--site-page", changes=True, granted=granted) as found.address:
        host, _, port = found.address.partition(":")
        stuck = [socket.create_connection((host, int(port))) for _ in range(12)]
        for each in stuck[::2]:
            each.sendall(b"POST /enter HTTP/1.1\r\nContent-Length: 20\r\n\r\nto")
        for _ in range(3):
            found.films((100, 80, 20))
        found.enter()
        assert found.ask("GET", "/api/site")[0] == 200
        for each in stuck:
            each.close()


@pytest.mark.parametrize(
    ("settings", "prompts", "error", "told"),
    [
        (SiteSettings("127.0.0.1:0"), True, ServiceError, "file:PATH"),
        (SiteSettings("0.0.0.0:8095"), True, ServiceError, "--site-token"),
        (SiteSettings("127.0.0.1:0", "short"), True, ServiceError, "can be guessed"),
        (SiteSettings("nowhere", TOKEN), True, ServiceError, "HOST:PORT"),
        (SiteSettings("127.0.0.1:0", TOKEN), False, ConfigError, "--prompts"),
        (SiteSettings(None, TOKEN), True, ConfigError, "--site-page"),
    ],
    ids=["loopback without a token", "open", "short", "no address", "no network", "no page"],
)
def test_no_page_is_served_to_strangers_nor_one_that_can_do_nothing(
    settings: SiteSettings, *, prompts: bool, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        settings.check(prompts=prompts)


def test_there_is_no_page_unless_one_is_asked_for() -> None:
    assert SiteSettings().page is None
    SiteSettings().check(prompts=False)
    SiteSettings("127.0.0.1:0", TOKEN).check(prompts=True)


def test_no_picture_is_kept_once_nobody_looks() -> None:
    now_s = 0.0
    view = SiteView(lambda: now_s)
    assert view.newest() is None
    picture = scene((100, 80, 20))
    kept = weakref.ref(picture)
    view.show(picture, None, 1000)
    del picture
    assert kept() is not None
    now_s += WATCHED_S + 1
    view.show(scene(), None, 2000)
    assert kept() is None
