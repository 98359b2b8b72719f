"""The uplink behind an address that moves, and servers that refuse it: their own words are in the log."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from edge_client.transport import line, questions, uplink
from edge_client.transport.install import wait_for_install
from edge_client.transport.link import connect
from narrows.contract.errors import ServiceError
from narrows.contract.wire import Install
from narrows.contract.wire.keys import INSTALL_KEY
from orchestrator.servers import LocalRedis
from tests.integration.edge.test_edge_uplink import PATIENCE_S, Camera, arrived, eventually
from tests.integration.moving_address import Pair, redis_pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with redis_pair(tmp_path) as pair:
        yield pair


@pytest.fixture
def moved(pair: Pair) -> Iterator[Camera]:
    """A camera that has sent a packet to the first primary, and the replica has it too."""
    camera = Camera(pair.url)
    camera.put(0)
    assert camera.outbox.wait_empty(PATIENCE_S)
    eventually(lambda: arrived(pair.new) == [0])
    yield camera
    camera.close()


def test_packets_go_to_the_new_primary(pair: Pair, moved: Camera) -> None:
    pair.fail_over()
    moved.put(1, 2)
    assert moved.outbox.wait_empty(PATIENCE_S)
    assert arrived(pair.new) == [0, 1, 2]
    assert moved.tally.snapshot().link_failures == {"read_only": 1}


def test_packets_leave_a_primary_that_died_without_a_word(
    pair: Pair, moved: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moved.uplink._line, "_answer_s", 0.5)  # ten seconds are the program's
    pair.lose_power()
    moved.put(1)
    assert moved.outbox.wait_empty(PATIENCE_S)
    assert arrived(pair.new) == [0, 1]


def test_packets_leave_a_primary_that_was_cut_off_and_never_says_so(
    pair: Pair, moved: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.new.replicaof("NO", "ONE")
    pair.address.target = pair.second.port
    monkeypatch.setattr(uplink, "LONGEST_CONNECTION_S", 0.2)
    eventually(lambda: pair.new.info("commandstats").get("cmdstat_time"))  # the camera asks its clock
    moved.put(1)
    assert moved.outbox.wait_empty(PATIENCE_S)
    assert 1 in arrived(pair.new)


def test_a_camera_keeps_its_connection_while_no_new_one_is_to_be_had(
    server: LocalRedis, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is up, and the server has as many clients as it takes: packets go on over the old one."""
    monkeypatch.setattr(uplink, "_RENEW_AGAIN_S", 0.1)
    camera = Camera(server.url)
    most: Any = admin.config_get("maxclients")["maxclients"]
    try:
        camera.put(0)
        assert camera.outbox.wait_empty(PATIENCE_S)
        admin.config_set("maxclients", len(admin.client_list()))
        with capture_logs() as said:
            monkeypatch.setattr(uplink, "LONGEST_CONNECTION_S", 0.0)
            eventually(lambda: [line["reason"] for line in said if line["event"] == "connection_kept"])
            camera.put(1, 2)
            assert camera.outbox.wait_empty(PATIENCE_S)
        assert camera.tally.snapshot().link_failures == {}
        before = admin.info("stats")["total_connections_received"]
        admin.config_set("maxclients", most)
        eventually(lambda: admin.info("stats")["total_connections_received"] > before)
        camera.put(3)
        assert camera.outbox.wait_empty(PATIENCE_S)
        assert arrived(admin) == [0, 1, 2, 3]
    finally:
        admin.config_set("maxclients", most)
        camera.close()


def test_a_connection_lives_for_a_drawn_part_of_the_longest_time(
    server: LocalRedis, admin: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cameras that came back together after an outage are not to connect anew together ten minutes later."""
    monkeypatch.setattr(uplink, "jitter", lambda: 0.0)
    camera = Camera(server.url)
    try:
        camera.put(0)
        assert camera.outbox.wait_empty(PATIENCE_S)
        before = admin.info("stats")["total_connections_received"]
        eventually(lambda: admin.info("stats")["total_connections_received"] > before)
    finally:
        camera.close()


def test_a_camera_that_waits_for_the_install_record_reads_it_at_the_new_primary(pair: Pair) -> None:
    """The replica that the address leads to knows nothing, and says so for as long as it is asked."""
    pair.old.config_set("replica-serve-stale-data", "no")
    pair.old.replicaof("127.0.0.1", "1")
    pair.new.replicaof("NO", "ONE")
    pair.new.set(INSTALL_KEY, Install(4).to_json())
    stop, tries = threading.Event(), 0

    def beat() -> None:
        nonlocal tries
        tries += 1
        if tries == 2:
            pair.address.target = pair.second.port

    with connect(pair.url) as client, capture_logs() as said:
        assert wait_for_install(client, stop, beat) == Install(4)
    assert {line["cause"].partition(" ")[0] for line in said} == {"MASTERDOWN"}


def test_a_camera_that_has_nothing_to_send_leaves_a_replica_by_what_it_asks(pair: Pair, moved: Camera) -> None:
    pair.old.config_set("replica-serve-stale-data", "no")
    pair.new.replicaof("NO", "ONE")
    pair.address.target = pair.second.port
    pair.old.replicaof("127.0.0.1", "1")
    eventually(moved.failed("read_only"))
    moved.put(1)
    assert moved.outbox.wait_empty(PATIENCE_S)
    assert 1 in arrived(pair.new)
    assert "control_read_only" not in moved.tally.snapshot().link_failures


def causes_while(camera: Camera, reason: str) -> set[str]:
    with capture_logs() as said:
        camera.put(0)
        eventually(camera.failed(reason))
        eventually(lambda: any(line.get("reason") == reason for line in said))
    return {line["cause"] for line in said if line["event"] == "redis_failed" and line["reason"] == reason}


def test_a_server_with_too_many_clients_is_named_in_its_own_words(server: LocalRedis, admin: redis.Redis) -> None:
    admin.ping()
    admin.config_set("maxclients", 1)
    camera = Camera(server.url)
    assert causes_while(camera, "max_clients") == {"max number of clients reached"}
    admin.config_set("maxclients", 100)
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()


def test_a_server_that_a_script_keeps_busy_is_named_in_its_own_words(server: LocalRedis, admin: redis.Redis) -> None:
    admin.config_set("busy-reply-threshold", 50)
    camera = Camera(server.url)
    camera.put(9)
    assert camera.outbox.wait_empty(PATIENCE_S)

    def keep_busy() -> None:
        with redis.Redis.from_url(server.url, socket_timeout=None) as client, pytest.raises(redis.ResponseError):
            client.eval("while true do end", 0)

    busy = threading.Thread(target=keep_busy)
    busy.start()
    (cause,) = causes_while(camera, "busy")
    assert cause.startswith("BUSY ")
    with redis.Redis.from_url(server.url) as client:
        client.script_kill()
    busy.join()
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()


def test_a_connections_age_is_counted_from_when_it_was_made(server: LocalRedis) -> None:
    now_s = 5.0
    with connect(server.url) as client:
        asked: line.Line[str] = line.Line(client, 10.0, lambda: now_s)
        assert asked.age_s == 0.0
        now_s = 20.0
        asked.connect()
        now_s = 27.5
        assert asked.age_s == 7.5
        asked.drop()
        assert asked.age_s == 0.0


@pytest.fixture
def asked_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_INSTALL_PERIOD_S", 0.05)


@pytest.mark.usefixtures("asked_often")
@pytest.mark.parametrize("record", [Install(4).to_json(), Install(64).to_json(), b"junk", None])
def test_an_install_that_keeps_the_stream_where_it_is_is_no_matter(
    server: LocalRedis, admin: redis.Redis, record: bytes | None
) -> None:
    """64 shards leave cam-1 in its shard; what is lost comes back, and what is junk is the dispatchers' matter."""
    if record is not None:
        admin.set(INSTALL_KEY, record)
    camera = Camera(server.url, install=Install(4))
    eventually(lambda: admin.info("commandstats").get("cmdstat_get", {"calls": 0})["calls"] > 3)
    camera.put(1)
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()


@pytest.mark.usefixtures("asked_often")
def test_an_install_with_other_shards_ends_the_camera_by_name(server: LocalRedis, admin: redis.Redis) -> None:
    """A camera that went on would send to a key that nobody reads."""
    admin.set(INSTALL_KEY, Install(4).to_json())
    camera = Camera(server.url, install=Install(4))
    camera.put(1)
    assert camera.outbox.wait_empty(PATIENCE_S)
    admin.set(INSTALL_KEY, Install(7).to_json())

    def ended() -> bool:
        try:
            camera.thread.check()
        except ServiceError as error:
            return "7 shards" in str(error)
        return False

    eventually(ended)
    camera.thread.halt()


@pytest.mark.usefixtures("asked_often")
def test_a_camera_follows_the_packet_format_of_the_install_record(server: LocalRedis, admin: redis.Redis) -> None:
    """Up, down again, and not by a record that is lost or cannot be read."""
    camera = Camera(server.url, install=Install(4))
    assert camera.questions.newest_packet_format == 1
    for record, newest in ((Install(4, 2), 2), (Install(4), 1), (Install(4, 7), 7)):
        admin.set(INSTALL_KEY, record.to_json())
        eventually(partial(_says, camera, newest))
    admin.set(INSTALL_KEY, b"junk")
    asked = admin.info("commandstats")["cmdstat_get"]["calls"]
    eventually(lambda: admin.info("commandstats")["cmdstat_get"]["calls"] > asked + 3)
    assert _says(camera, 7)
    camera.close()


def _says(camera: Camera, newest: int) -> bool:
    return camera.questions.newest_packet_format == newest
