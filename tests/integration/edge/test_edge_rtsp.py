"""The camera's program and an RTSP server that refuses, is killed and comes back, or stalls."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from threading import Event, Timer

import pytest
import redis
from structlog.testing import capture_logs

from edge_client.capture.sources import open_source
from narrows.contract.bundle import Bundle
from narrows.contract.wire import PacketKind
from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.integration.edge.edge_program import Launch, Program, metrics, packets

pytest.importorskip("av", reason="needs the extra: pip install 'narrows[video]'")
from tests.integration.edge.rtsp_server import RtspCamera, h264_clip

OPTIONS = ("--fps", "10", "--level", "2", "--max-age-s", "0", "--key-period-s", "600")


@pytest.fixture
def camera() -> Iterator[RtspCamera]:
    """A camera that is not switched on yet."""
    made = RtspCamera(h264_clip())
    yield made
    made.kill()


def until_state(program: Program, address: str, state: str) -> None:
    program.until(lambda: metrics(address)[f'narrows_edge_camera_state{{state="{state}"}}'] == 1)


def until_more_frames(program: Program, number: int = 5) -> None:
    before = len(program.lines())
    program.until(lambda: len(program.lines()) >= before + number)


def test_a_camera_that_refuses_at_first_and_is_killed_is_away_and_comes_back_with_a_key_frame(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, camera: RtspCamera
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    camera.status = 503
    camera.start()
    program = launch(server.url, bundle, camera.url, *OPTIONS, "--http", address)
    program.until(lambda: "5XX Server Error" in program.log.read_text())
    camera.status = 404
    program.until(lambda: "404 Not Found" in program.log.read_text())
    until_state(program, address, "away")
    camera.status = 200
    until_state(program, address, "ok")
    until_more_frames(program)
    camera.kill()
    until_state(program, address, "away")
    started_ms = time.time_ns() // 1_000_000
    camera.start()
    until_state(program, address, "ok")
    until_more_frames(program)
    assert metrics(address)['narrows_edge_camera_events_total{event="broken_off"}'] >= 4

    _, end = program.stop()
    assert (end["camera_events"]["away"], end["camera_events"]["ok"]) == (2, 2)
    assert end["frames_dropped"] == {}
    before = [packet.kind for packet in packets(install) if packet.capture_ms < started_ms]
    after = [packet.kind for packet in packets(install) if packet.capture_ms >= started_ms]
    assert (before[0], after[0]) == (PacketKind.KEY, PacketKind.KEY)
    assert PacketKind.PREDICTED in before[1:]
    assert PacketKind.KEY not in after[1:]

    log = program.log.read_text()
    tries_s = [float(found) for found in re.findall(r"next_try_s=([0-9.]+)", log)]
    assert tries_s[0] <= 0.2
    assert 0.8 <= max(tries_s) <= 5, "it waits longer from try to try"
    assert all("TCP" in transport and "interleaved" in transport for transport in camera.transports)
    assert "hunter2" not in log
    assert "Traceback" not in log


def test_a_camera_that_stalls_without_closing_is_noticed_and_asked_anew(
    launch: Launch, server: LocalRedis, install: redis.Redis, bundle: Bundle, camera: RtspCamera
) -> None:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    camera.start()
    program = launch(server.url, bundle, camera.url, *OPTIONS, "--http", address)
    until_more_frames(program)
    camera.stalled.set()
    until_state(program, address, "away")
    sent = len(program.lines())
    program.until(lambda: "TimeoutError: nothing came in time" in program.log.read_text())
    assert len(program.lines()) == sent, "no frame from before the silence passes for a new one"
    camera.stalled.clear()
    until_state(program, address, "ok")
    until_more_frames(program)
    _, end = program.stop()
    assert end["camera_events"]["away"] == 1
    assert end["camera_events"]["broken_off"] >= 1
    assert camera.plays == 2
    assert [packet.kind for packet in packets(install)].count(PacketKind.KEY) == 2, "one a session"
    assert "Traceback" not in program.log.read_text()


@pytest.mark.parametrize("refusal", [461, 400, 406])
def test_a_camera_that_refuses_tcp_is_heard_over_udp_and_first_of_all_so_when_it_comes_back(
    camera: RtspCamera, refusal: int
) -> None:
    camera.refusal_of_tcp, camera.refusal_of_udp = refusal, 0
    camera.start()
    source = open_source(camera.url, loop=False, stop=Event())
    assert (frame := source.read()) is not None
    assert frame.picture.shape == (48, 64, 3)
    assert [("TCP" in each, "client_port" in each) for each in camera.transports] == [(True, False), (False, True)]
    camera.transports.clear()
    camera.kill()
    camera.start()
    while (frame := source.read()) is not None and frame.session == 0:
        pass
    assert "client_port" in camera.transports[0]
    source.close()


def test_a_camera_that_refuses_both_transports_is_away_with_both_causes(camera: RtspCamera) -> None:
    camera.refusal_of_tcp = 461
    camera.start()
    stop = Event()
    with capture_logs() as log:
        source = open_source(camera.url, loop=False, stop=stop)
        Timer(1.0, stop.set).start()
        assert source.read() is None
    source.close()
    causes = {str(line["cause"]) for line in log if line["event"] == "camera_away"}
    assert any("over tcp: " in cause and "over udp" in cause for cause in causes)
    assert "hunter2" not in str(log)
