"""The server's own door: who sends a huge entry is cut off while it sends; no honest camera is, and nothing of ours."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog

from narrows.runtime.redis import connect
from narrows.runtime.redis.server_options import MIB, State, clients_bytes
from orchestrator.dispatch import Store
from orchestrator.dispatch.server_options import say, server_options
from orchestrator.servers import LocalRedis

CAMERAS = 5000


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[LocalRedis]:
    with LocalRedis.start(tmp_path) as server:
        yield server


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CAMERAS + 1000
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{needed} open files are needed, and the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _sends_huge_entry(port: int, megabytes: int) -> bool:
    """Whether a client could send an entry of so many fields of a megabyte without being cut off."""
    body = bytes(MIB - 64)
    with socket.create_connection(("127.0.0.1", port)) as client:
        try:
            client.sendall(b"*%d\r\n$4\r\nXADD\r\n$4\r\nevil\r\n$1\r\n*\r\n" % (3 + 2 * megabytes))
            for _ in range(megabytes):
                client.sendall(b"$1\r\nf\r\n$%d\r\n%b\r\n" % (len(body), body))
            return client.recv(64).startswith(b"$")
        except ConnectionError:
            return False


async def test_beside_5000_cameras_a_huge_entry_is_cut_off_and_nobody_else(
    many_files: None, own_server: LocalRedis
) -> None:
    store = Store.connect(own_server.url)
    await store.call("CONFIG", "SET", "maxmemory-clients", clients_bytes(CAMERAS))
    with ExitStack() as open_now:
        cameras = [
            open_now.enter_context(socket.create_connection(("127.0.0.1", own_server.port))) for _ in range(CAMERAS)
        ]
        packet = bytes(1700)
        for number, camera in enumerate(cameras):
            camera.sendall(_command(b"XADD", b"cam:%d" % number, b"*", b"p", packet))
        assert all(camera.recv(64).startswith(b"$") for camera in cameras)
        assert not _sends_huge_entry(own_server.port, 650)
        for camera in cameras:
            camera.sendall(_command(b"PING"))
        assert all(camera.recv(64) == b"+PONG\r\n" for camera in cameras)
        assert b"evicted_clients:1\r\n" in await store.call("INFO", "stats")
        assert await store.call("EXISTS", "evil") == 0
    await store.close()


async def test_the_clouds_own_connections_are_not_cut_for_room(own_server: LocalRedis) -> None:
    store = Store.connect(own_server.url)
    with connect(own_server.url, no_evict=True) as page, connect(own_server.url) as other:
        page.client_setname("page")
        other.client_setname("other")
        flags = {client["name"]: client["flags"] for client in page.client_list()}
        assert "e" in flags["page"]
        assert "e" not in flags["other"]
    await store.call("CLIENT", "SETNAME", "store")
    listed = (await store.call("CLIENT", "LIST")).decode().splitlines()
    (own,) = [line for line in listed if "name=store " in line]
    assert "flags=e" in own
    await store.close()


async def test_our_own_server_has_the_options_that_the_safety_rests_on(own_server: LocalRedis) -> None:
    store = Store.connect(own_server.url)
    assert {fact.option.name for fact in await server_options(store) if fact.state is not State.MET} == set()
    await store.close()


async def test_a_dispatcher_says_when_it_starts_which_options_are_amiss(own_server: LocalRedis) -> None:
    store = Store.connect(own_server.url)
    await store.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru", "maxmemory-clients", 0)
    with structlog.testing.capture_logs() as lines:
        say(await server_options(store))
    assert [(line["log_level"], line["option"]) for line in lines] == [
        ("error", "maxmemory-policy"),
        ("warning", "maxmemory-clients"),
    ]
    await store.close()


async def test_a_user_that_may_not_ask_learns_what_info_has_and_the_rest_is_unknown(own_server: LocalRedis) -> None:
    admin = Store.connect(own_server.url)
    await admin.call("ACL", "SETUSER", "managed", "on", ">pw", "~*", "+@all", "-config")
    store = Store.connect(own_server.url.replace("//", "//managed:pw@"))
    states = {fact.option.name: fact.state for fact in await server_options(store)}
    assert states["maxmemory-policy"] is states["appendonly"] is State.MET
    assert states["maxmemory-clients"] is states["proto-max-bulk-len"] is State.UNKNOWN
    await store.close()
    await admin.close()
