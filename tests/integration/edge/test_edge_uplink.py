"""The uplink against a real server that stops, fills up, turns into a replica or refuses the camera."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from edge_client.rate.backpressure import Room
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from edge_client.stats import Tally
from edge_client.transport.line import Line
from edge_client.transport.link import ANSWER_S, connect
from edge_client.transport.outbox import (
    OVERTAKEN,
    QUEUE_FULL,
    REFUSED,
    SHUTDOWN,
    UNCONFIRMED,
    FrameRecord,
    Outbox,
    Outgoing,
)
from edge_client.transport.questions import Questions
from edge_client.transport.server_clock import ServerClockEstimate
from edge_client.transport.uplink import About, FeatureStream, Uplink
from edge_client.transport.uplink_thread import UplinkThread
from narrows.contract.bundle import Manifest
from narrows.contract.wire import Control, Install, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY, PACKET_FIELD
from orchestrator.servers.local_redis import LocalRedis
from orchestrator.servers.ports import LOOPBACK, free_ports
from tests.integration.edge.slow_proxy import slow_proxy

ROOT = Path(__file__).resolve().parents[3]
KEYS = StreamKeys.of("cam-1", 4)
MANIFEST = Manifest.parse((ROOT / "bundles" / "demo" / "manifest.json").read_bytes())
LIMIT = 10
PATIENCE_S = 30.0


def eventually(claim: Callable[[], object]) -> None:
    """Wait until a claim holds; fail if it never does."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not claim():
        assert time.monotonic() < give_up_s, "the claim never came true"
        time.sleep(0.02)


@dataclass
class Camera:
    """An uplink with its outbox, fed by hand."""

    url: str
    maxlen: int = 1000
    room: Room | None = None
    install: Install | None = None
    tally: Tally = field(default_factory=Tally)
    fates: dict[int, str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.outbox = Outbox(LIMIT, self._fate)
        self.governor = Governor(MANIFEST, Choice(0, 10.0), adaptive=True, monotonic_s=time.monotonic)
        clock = ServerClockEstimate(time.monotonic, time.time)
        self.questions = Questions(KEYS, clock, self.tally, time.monotonic, self.room, install=self.install)
        line = Line[About](connect(self.url), ANSWER_S, time.monotonic)
        stream = FeatureStream(KEYS.features, self.maxlen)
        self.uplink = Uplink(line, stream, self.outbox, self.questions, self.governor, self.tally)
        self.thread = UplinkThread(lambda _: self.uplink, self.outbox, lambda: None)
        self.thread.start()

    def _fate(self, record: FrameRecord, reason: str | None) -> None:
        assert record.sequence not in self.fates
        self.fates[record.sequence] = reason

    def put(self, *sequences: int, size_bytes: int = 0) -> None:
        for sequence in sequences:
            record = FrameRecord(sequence, 1, "", 0, 6, 0, 0.0, 0.0)
            self.outbox.put(Outgoing(record, str(sequence).rjust(size_bytes).encode()))

    def failed(self, reason: str) -> Callable[[], bool]:
        return lambda: reason in self.tally.snapshot().link_failures

    def close(self) -> None:
        self.thread.halt()
        self.thread.check()


@pytest.fixture
def camera(server: LocalRedis) -> Iterator[Camera]:
    camera = Camera(server.url)
    yield camera
    camera.close()


def arrived(admin: redis.Redis) -> list[int]:
    entries: list[tuple[bytes, dict[bytes, bytes]]] = admin.xrange(KEYS.features)  # type: ignore[assignment]
    return [int(fields[PACKET_FIELD]) for _, fields in entries]


def set_user(admin: redis.Redis, name: str, *rules: str) -> None:
    """A user with the password ``pw`` and these rights only."""
    admin.execute_command("ACL", "SETUSER", name, "on", ">pw", *rules)  # type: ignore[no-untyped-call]


def test_packets_arrive_once_and_in_order(camera: Camera, admin: redis.Redis) -> None:
    for sequence in range(100):
        camera.put(sequence)
        if sequence % LIMIT == LIMIT - 1:
            assert camera.outbox.wait_empty(PATIENCE_S)
    assert arrived(admin) == list(range(100))
    assert camera.fates == dict.fromkeys(range(100))


def test_the_stream_in_redis_is_bounded(server: LocalRedis, admin: redis.Redis) -> None:
    camera = Camera(server.url, maxlen=100)
    for sequence in range(600):
        camera.put(sequence)
        if sequence % LIMIT == LIMIT - 1:
            assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()
    assert 100 <= admin.xlen(KEYS.features) < 300
    assert arrived(admin)[-1] == 599


def test_a_server_that_stops_costs_what_the_bound_says(server: LocalRedis, camera: Camera, tmp_path: Path) -> None:
    camera.put(0, 1)
    assert camera.outbox.wait_empty(PATIENCE_S)
    server.stop()
    camera.put(2)
    eventually(camera.failed("unreachable"))
    camera.put(*range(3, 3 + LIMIT + 4))
    last = 3 + LIMIT + 3
    with LocalRedis.start(tmp_path / "server", port=server.port) as again, redis.Redis.from_url(again.url) as admin:
        assert camera.outbox.wait_empty(PATIENCE_S)
        kept = list(range(last - LIMIT + 1, last + 1))
        assert [sequence for sequence in arrived(admin) if sequence > 1] == kept
    assert all(camera.fates[sequence] is None for sequence in kept)
    given_up = {sequence for sequence, reason in camera.fates.items() if reason is not None}
    assert given_up == set(range(2, last - LIMIT + 1))
    assert {camera.fates[sequence] for sequence in given_up - {2}} == {QUEUE_FULL}


def test_what_redis_acknowledges_is_measured(camera: Camera) -> None:
    eventually(lambda: camera.governor.reading.base_s > 0)
    assert math.isinf(camera.governor.reading.goodput_bytes_per_s)
    for sequence in range(5):
        camera.put(sequence)
        assert camera.outbox.wait_empty(PATIENCE_S)
        time.sleep(0.02)  # answers within a few milliseconds count as one
    reading = camera.governor.reading
    assert 0 < reading.base_s < PATIENCE_S
    assert 0 < reading.goodput_bytes_per_s < math.inf


def test_a_full_server_is_named_and_nothing_is_lost_below_the_bound(camera: Camera, admin: redis.Redis) -> None:
    admin.config_set("maxmemory", 1)
    camera.put(*range(LIMIT))
    eventually(camera.failed("out_of_memory"))
    admin.config_set("maxmemory", 0)
    assert camera.outbox.wait_empty(PATIENCE_S)
    assert arrived(admin) == list(range(LIMIT))


def refusing(admin: redis.Redis, *packets: bytes) -> AbstractContextManager[str]:
    """A server far away that refuses each of these packets once."""
    left = list(packets)

    def refuses(command: tuple[bytes, ...]) -> bool:
        if command[0] != b"XADD" or command[-1] not in left:
            return False
        left.remove(command[-1])
        return True

    return slow_proxy(admin, refuses)


def warmed_up(url: str) -> Camera:
    """A camera that has measured its link, and so has more than one packet on its way."""
    camera = Camera(url)
    camera.put(0)
    assert camera.outbox.wait_empty(PATIENCE_S)
    return camera


def test_packets_follow_before_those_ahead_are_acknowledged(admin: redis.Redis) -> None:
    with refusing(admin) as url:
        camera = warmed_up(url)
        most_in_flight = 0
        camera.put(*range(1, LIMIT + 1))
        while not camera.outbox.wait_empty(0.005):
            most_in_flight = max(most_in_flight, camera.outbox.flying)
        camera.close()
    assert most_in_flight > 1
    assert arrived(admin) == list(range(LIMIT + 1))


def test_a_packet_that_is_refused_never_comes_behind_one_that_was_not(admin: redis.Redis) -> None:
    with refusing(admin, b"1") as url:
        camera = warmed_up(url)
        camera.put(1, 2, 3)
        assert camera.outbox.wait_empty(PATIENCE_S)
        camera.close()
    assert arrived(admin) == [0, 2, 3]
    assert camera.fates == {0: None, 1: OVERTAKEN, 2: None, 3: None}
    assert camera.tally.snapshot().link_failures == {"out_of_memory": 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [("proto-max-bulk-len", "1mb"), ("client-query-buffer-limit", "1mb"), ("maxmemory-clients", "1200kb")],
)
def test_a_packet_that_redis_never_takes_is_given_up_by_name_and_those_behind_it_arrive(
    camera: Camera, admin: redis.Redis, name: str, value: str
) -> None:
    admin.config_set(name, value)
    camera.put(0)
    camera.put(1, size_bytes=1_300_000)
    camera.put(2, 3)
    assert camera.outbox.wait_empty(PATIENCE_S)
    assert arrived(admin) == [0, 2, 3]
    assert camera.fates == {0: None, 1: REFUSED, 2: None, 3: None}
    assert camera.tally.snapshot().link_failures["packet_refused"] == 1


def test_a_packet_that_is_refused_for_ever_is_given_up_by_name_and_those_behind_it_arrive(admin: redis.Redis) -> None:
    with slow_proxy(admin, lambda command: command[-1] == b"1", b"-ERR no such packet\r\n") as url:
        camera = Camera(url)
        camera.put(0, 1, 2, 3)
        eventually(lambda: len(camera.fates) == 4)
        camera.close()
    assert camera.fates[1] in (REFUSED, OVERTAKEN)
    assert arrived(admin) == [0, 2, 3]


def test_a_key_of_another_type_loses_no_packet(camera: Camera, admin: redis.Redis) -> None:
    admin.set(KEYS.features, "junk")
    camera.put(0, 1)
    eventually(lambda: camera.tally.snapshot().link_failures.get("refused", 0) >= 5)
    admin.delete(KEYS.features)
    assert camera.outbox.wait_empty(PATIENCE_S)
    assert arrived(admin) == [0, 1]


def test_packets_that_are_refused_together_are_sent_again_in_order(admin: redis.Redis) -> None:
    with refusing(admin, b"1", b"2") as url:
        camera = warmed_up(url)
        camera.put(1, 2)
        assert camera.outbox.wait_empty(PATIENCE_S)
        camera.close()
    assert arrived(admin) == [0, 1, 2]
    assert camera.fates == dict.fromkeys(range(3))


def test_a_replica_is_named_and_waited_out(camera: Camera, admin: redis.Redis) -> None:
    admin.replicaof(LOOPBACK, free_ports(1)[0])
    camera.put(0, 1)
    eventually(camera.failed("read_only"))
    admin.replicaof("NO", "ONE")
    assert camera.outbox.wait_empty(PATIENCE_S)
    assert arrived(admin) == [0, 1]


def test_what_redis_never_answered_is_unconfirmed_and_what_never_left_is_not(
    camera: Camera, admin: redis.Redis
) -> None:
    admin.client_pause(60_000, all=False)
    camera.put(0)
    eventually(lambda: camera.outbox.waiting == 0)
    camera.put(1)
    camera.close()
    assert camera.fates == {0: UNCONFIRMED, 1: SHUTDOWN}


@pytest.mark.parametrize("password", ["", ":wrong@"])
def test_refused_credentials_are_named_and_waited_out(server: LocalRedis, admin: redis.Redis, password: str) -> None:
    admin.config_set("requirepass", "right")
    camera = Camera(server.url.replace("redis://", f"redis://{password}"))
    camera.put(0, 1)
    eventually(camera.failed("credentials_refused"))
    camera.put(2)
    assert camera.fates == {}
    admin.config_set("requirepass", password.strip(":@"))
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()
    assert arrived(admin) == [0, 1, 2]


def test_a_user_that_may_not_write_is_named_and_waited_out(server: LocalRedis, admin: redis.Redis) -> None:
    set_user(admin, "cam", f"~{KEYS.control}", "+xadd", "+get")
    camera = Camera(server.url.replace("redis://", "redis://cam:pw@"))
    camera.put(0)
    eventually(camera.failed("not_permitted"))
    set_user(admin, "cam", f"~{KEYS.features}")
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()
    assert camera.fates == {0: None}


def test_a_user_that_may_not_ask_for_the_backlog_still_sends(server: LocalRedis, admin: redis.Redis) -> None:
    set_user(admin, "cam", f"~{KEYS.features}", f"~{KEYS.control}", "+xadd", "+get")
    camera = Camera(server.url.replace("redis://", "redis://cam:pw@"), room=Room(KEYS.features, maxlen=3))
    camera.put(*range(LIMIT))
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()
    assert arrived(admin) == list(range(LIMIT))


def test_no_more_is_sent_than_the_stream_holds_before_it_is_trimmed(server: LocalRedis, admin: redis.Redis) -> None:
    camera = Camera(server.url, room=Room(KEYS.features, maxlen=6))
    camera.put(*range(LIMIT))
    eventually(lambda: len(arrived(admin)) == 6)
    time.sleep(1.0)
    assert arrived(admin) == list(range(6))
    admin.xtrim(KEYS.features, maxlen=2, approximate=False)
    assert camera.outbox.wait_empty(PATIENCE_S)
    camera.close()
    assert arrived(admin) == list(range(4, LIMIT))


def test_a_camera_needs_no_more_rights_than_its_two_keys(server: LocalRedis, admin: redis.Redis) -> None:
    allowed = [f"~{key}" for key in (KEYS.features, KEYS.control, INSTALL_KEY)]
    commands = ["+xadd", "+get"]
    set_user(admin, "cam", *allowed, *commands)
    admin.set(KEYS.control, Control(level=1).to_json())
    camera = Camera(server.url.replace("redis://", "redis://cam:pw@"))
    camera.put(0, 1, 2)
    assert camera.outbox.wait_empty(PATIENCE_S)
    eventually(lambda: camera.questions.control == Control(level=1))
    camera.close()
    assert arrived(admin) == [0, 1, 2]
    assert camera.tally.snapshot().link_failures == {}


def test_a_camera_that_may_not_read_its_control_record_still_sends(server: LocalRedis, admin: redis.Redis) -> None:
    set_user(admin, "mute", f"~{KEYS.features}", "+xadd")
    camera = Camera(server.url.replace("redis://", "redis://mute:pw@"))
    camera.put(0)
    assert camera.outbox.wait_empty(PATIENCE_S)
    eventually(camera.failed("control_not_permitted"))
    camera.close()


def test_the_control_record_is_followed_until_it_expires(camera: Camera, admin: redis.Redis) -> None:
    admin.set(KEYS.control, Control(level=2, frames_per_s=5.0).to_json(), px=3000)
    eventually(lambda: camera.questions.control == Control(level=2, frames_per_s=5.0))
    eventually(lambda: camera.questions.control is None)


def test_a_malformed_control_record_is_counted_and_ignored(camera: Camera, admin: redis.Redis) -> None:
    admin.set(KEYS.control, b'{"v":1,"level":-3}')
    eventually(lambda: camera.tally.snapshot().control_malformed > 0)
    assert camera.questions.control is None
    camera.put(0)
    assert camera.outbox.wait_empty(PATIENCE_S)
    assert arrived(admin) == [0]
