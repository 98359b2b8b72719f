"""Snapshot URLs are asked for at the frame rate, streams are followed, and what a server does is a named cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Timer

import pytest
from structlog.testing import capture_logs

from edge_client.capture.sources import open_source
from edge_client.capture.sources.base import StreamBroken
from edge_client.capture.sources.kinds import http
from edge_client.capture.sources.kinds.http import HttpFeed
from tests.integration.edge.http_camera import HttpCamera, jpeg, serving


@pytest.fixture
def camera() -> Iterator[HttpCamera]:
    with serving() as made:
        yield made


def brightness(address: str, frames: int, change: Callable[[int], None] = lambda _index: None) -> list[int]:
    source = open_source(address, loop=False, stop=Event(), frames_per_s=50)
    found = []
    for index in range(frames):
        frame = source.read()
        assert frame is not None
        found.append(round(float(frame.picture.mean())))
        change(index)
    source.close()
    return found


def cause_of(address: str) -> str:
    feed = HttpFeed(address, frames_per_s=50)
    with pytest.raises(StreamBroken) as refusal:
        list(feed.pictures(Event(), lambda _cause: None))
    return str(refusal.value)


def test_a_snapshot_is_asked_for_again_and_again(camera: HttpCamera) -> None:
    def change(index: int) -> None:
        camera.body = jpeg(110 + 10 * index)

    found = brightness(camera.url("/snap"), 8, change)
    assert found[0] == 100
    assert found == sorted(found)
    assert found[-1] > 130


def test_it_is_asked_no_oftener_than_the_frame_rate(camera: HttpCamera) -> None:
    stop = Event()
    source = open_source(camera.url("/snap"), loop=False, stop=stop, frames_per_s=5)
    begun_s = time.monotonic()
    for _ in range(4):
        source.read()
    asked, elapsed_s = len(camera.asked), time.monotonic() - begun_s
    source.close()
    assert asked <= 5 * elapsed_s + 2


def test_what_is_not_newer_is_not_given_again(camera: HttpCamera) -> None:
    camera.etag = '"1"'
    stop = Event()
    source = open_source(camera.url("/snap"), loop=False, stop=stop, frames_per_s=50)
    assert source.read() is not None
    while len(camera.asked) < 5:
        time.sleep(0.01)
    Timer(0.1, stop.set).start()
    assert source.read() is None
    assert camera.asked[-1][1]["if-none-match"] == '"1"'
    camera.etag, camera.body = '"2"', jpeg(200)
    stop.clear()
    assert (frame := source.read()) is not None
    assert round(float(frame.picture.mean())) == 200
    source.close()


@pytest.mark.parametrize("kind", [None, "application/octet-stream", "image/jpg"])
def test_a_picture_is_known_by_its_first_bytes_whatever_the_server_calls_it(
    camera: HttpCamera, kind: str | None
) -> None:
    camera.kind = kind
    assert brightness(camera.url("/snap"), 2) == [100, 100]


@pytest.mark.parametrize("challenge", ["Basic", "Digest"])
def test_a_challenge_is_answered_with_the_urls_name_and_password(camera: HttpCamera, challenge: str) -> None:
    camera.challenge = challenge
    assert brightness(camera.url("/snap", "admin:hunter2@"), 2) == [100, 100]
    assert cause_of(camera.url("/snap", "admin:wrong@")).startswith("HTTP 401")
    assert cause_of(camera.url("/snap")) == "HTTP 401 Unauthorized"


def test_a_password_is_told_to_no_other_server(camera: HttpCamera) -> None:
    with serving() as other:
        other.challenge = "Basic"
        camera.location = other.url("/snap")
        assert cause_of(camera.url("/moved", "admin:hunter2@")) == "HTTP 401 Unauthorized"
        assert all("authorization" not in headers for _, headers in other.asked)


def test_a_redirect_is_followed_a_few_times_and_to_http_only(camera: HttpCamera, tmp_path: Path) -> None:
    camera.location = camera.url("/snap")
    assert brightness(camera.url("/moved"), 1) == [100]
    camera.location = camera.url("/moved?again")
    camera.asked.clear()
    assert "HTTP 302" in cause_of(camera.url("/moved"))
    assert len(camera.asked) <= 8
    (tmp_path / "secret.jpg").write_bytes(jpeg(1))
    for location in ((tmp_path / "secret.jpg").as_uri(), "ftp://127.0.0.1/a.jpg"):
        camera.location = location
        assert cause_of(camera.url("/moved"))


def test_an_answer_that_is_too_large_too_slow_or_absent_is_a_cause(
    camera: HttpCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cause_of(camera.url("/nothing")) == "HTTP 404 Not Found"
    assert "refused" in cause_of("http://127.0.0.1:9/snap")
    with monkeypatch.context() as patch:
        patch.setattr(http, "MOST_BYTES", 500)
        assert "more than" in cause_of(camera.url("/snap"))
    with monkeypatch.context() as patch:
        patch.setattr(http, "READ_S", 0.2)
        camera.drip_s = 0.01
        assert "takes longer than" in cause_of(camera.url("/drip"))


def test_a_snapshot_that_was_cut_short_is_skipped_and_counted(camera: HttpCamera) -> None:
    whole = camera.body
    source = open_source(camera.url("/snap"), loop=False, stop=Event(), frames_per_s=50)
    assert source.read() is not None
    camera.body = whole[: len(whole) // 2]
    with capture_logs() as log:
        Timer(0.3, lambda: setattr(camera, "body", jpeg(180))).start()
        while (frame := source.read()) is not None and round(float(frame.picture.mean())) != 180:
            pass
    assert source.unreadable >= 1
    assert [line["event"] for line in log].count("picture_unreadable") == 1
    source.close()


def test_a_camera_is_spoken_to_directly_whatever_proxy_is_named(
    camera: HttpCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert brightness(camera.url("/snap"), 1) == [100]


def test_an_mjpeg_stream_is_followed_from_then_on(camera: HttpCamera) -> None:
    pytest.importorskip("av", reason="needs the extra: pip install 'narrows[video]'")
    camera.challenge = "Basic"
    found = brightness(camera.url("/mjpeg", "admin:hunter2@"), 6)
    assert len(set(found)) > 3
    assert len(camera.asked) <= 4
