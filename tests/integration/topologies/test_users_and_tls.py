"""Behind a cluster with TLS and an ACL each user reaches its own keys on whichever node, and no more."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from redis.connection import SSLConnection

from edge_client.transport import link
from narrows.contract.wire import ShardKeys, StreamKeys
from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.cancelling import cancel_all
from narrows.runtime.redis import connect
from narrows.runtime.redis.address import Address
from narrows.runtime.redis.connection import MasterPool
from narrows.runtime.redis.sentinel import async_master_pool, master_pool
from narrows.runtime.redis.store import ReplyRefused, Store
from narrows.runtime.redis.user_files import credentials
from narrows.runtime.redis.users import ROLES, acl_lines, camera_user
from orchestrator.servers.ports import free_ports
from tests.integration.seal.tls_redis import ADMIN, authority
from tests.integration.topologies.servers import eventually

NODES, SHARDS = 3, 8
CAMERA = camera_user("cam-1", SHARDS)


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Three masters; the folder has ``USER.url`` for each user."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server with TLS here: apt-get install redis-server")
    folder, ports = tmp_path_factory.mktemp("tls"), free_ports(2 * NODES)
    ca, key, certificate = authority(folder)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports[:NODES])
    address = f"rediss+cluster://{hosts}?ssl_ca_certs={ca}"
    acl = folder / "users.acl"
    acl.write_text("\n".join(acl_lines(credentials(folder / "users", [*ROLES, CAMERA, ADMIN], address))) + "\n")
    tls = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", ca, "--tls-cluster", "yes"]
    with ExitStack() as running:
        for port, bus in zip(ports[:NODES], ports[NODES:], strict=True):
            (folder / str(port)).mkdir()
            command = [binary, "--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--dir", folder / str(port)]
            command += [*tls, "--tls-auth-clients", "no", "--aclfile", acl, "--save", "", "--cluster-enabled", "yes"]
            command += ["--cluster-port", bus]
            with (folder / f"{port}.log").open("wb") as log:
                process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
            running.callback(process.wait)
            running.callback(process.kill)
        of = Address.parse((folder / "users" / "admin.url").read_text())
        admins = [running.enter_context(connect(of.of_server(each))) for each in of.servers]
        for number, admin in enumerate(admins):
            eventually(admin.ping)
            slots = (number * 16384 // NODES, (number + 1) * 16384 // NODES - 1)
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", *slots)
            admin.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], ports[NODES])
        for admin in admins:
            eventually(lambda a=admin: b"cluster_state:ok" in a.execute_command("CLUSTER", "INFO"))  # type: ignore[misc]
            eventually(lambda a=admin: len(a.execute_command("CLUSTER", "SLOTS")) == NODES)  # type: ignore[misc]
        yield folder / "users"


async def test_programs_and_cameras_reach_their_keys_on_every_node_by_tls(users: Path) -> None:
    keys = StreamKeys.of("cam-1", SHARDS)
    store = Store.connect((users / "dispatcher.url").read_text())
    replies = await store.many([("SET", ShardKeys(shard).lease, "x") for shard in range(SHARDS)])
    assert replies == [b"OK"] * SHARDS
    await store.call("SET", INSTALL_KEY, "x")
    told: asyncio.Queue[object] = asyncio.Queue()
    async with asyncio.timeout(10):  # else it is refused, or nothing is said
        following = asyncio.create_task(store.follow_writes(ShardKeys(0).features, told.put_nowait, lambda: True))
        assert await told.get() is None
    await cancel_all([following])
    with link.connect((users / f"{CAMERA.name}.url").read_text(), key=keys.features) as camera:
        camera.xadd(keys.features, {"p": b"1"})
        with pytest.raises(redis.exceptions.NoPermissionError):
            camera.get(keys.ledger)
    with link.connect((users / f"{CAMERA.name}.url").read_text()) as camera:
        assert camera.get(INSTALL_KEY) == b"x"
    assert await store.scan_streams("narrows:*") == [keys.features.encode()]
    await store.close()
    with connect((users / "viewer.url").read_text()) as viewer:
        assert viewer.get(INSTALL_KEY) == b"x"
        assert viewer.xread({keys.outcomes: "0"}) == []
        with pytest.raises(redis.exceptions.NoPermissionError):
            viewer.get(ShardKeys(0).lease)


async def test_a_user_that_a_cluster_does_not_know_is_refused_without_his_password(users: Path) -> None:
    url = (users / "dispatcher.url").read_text().replace("://dispatcher:", "://stranger:hunter2222")
    store = Store.connect(url)
    with pytest.raises((ReplyRefused, Exception), match=r"no node of the cluster.*WRONGPASS") as refused:
        await store.call("GET", INSTALL_KEY)
    assert "hunter2222" not in str(refused.value)
    await store.close()


def test_sentinels_have_their_own_user_and_the_masters_tls() -> None:
    address = Address.parse(
        "rediss+sentinel://u:p@a,b/fleet?ssl_ca_certs=/ca.pem&sentinel_username=s&sentinel_password=hunter2"
    )
    for pool in (master_pool(address, MasterPool), async_master_pool(address, socket_connect_timeout=1.0)):
        asked = pool.sentinel_manager.sentinels[0].connection_pool  # type: ignore[union-attr]
        assert "SSL" in pool.connection_class.__name__
        assert "SSL" in asked.connection_class.__name__
        assert (asked.connection_kwargs["username"], asked.connection_kwargs["password"]) == ("s", "hunter2")
        assert asked.connection_kwargs["ssl_ca_certs"] == pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
        assert (pool.connection_kwargs["username"], pool.connection_kwargs["password"]) == ("u", "p")
    assert issubclass(master_pool(address, MasterPool).connection_class, SSLConnection)
