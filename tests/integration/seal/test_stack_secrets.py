"""A real Redis, started as compose starts it with what ``narrows keys stack`` wrote, takes it."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from narrows.cli.secret_options import resolved
from narrows.contract.seal.key_folder import KeyFolder
from narrows.ops.secrets import SecretsPlan, provision
from orchestrator.servers.ports import free_ports
from tests.integration.seal.tls_redis import wait_for
from tests.unit.compose.stack_file import by_default, services


@dataclass(frozen=True)
class Stack:
    secrets: Path
    port: int
    command: list[str]

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        log = self.secrets / "redis.log"
        with log.open("ab") as out:
            self.processes.append(subprocess.Popen(self.command, stdout=out, stderr=out))
        wait_for(self.processes[-1], log, lambda: self.client("dispatcher/redis.url"))

    def stop(self) -> None:
        self.processes[-1].terminate()
        self.processes[-1].wait(30)

    def restart(self) -> None:
        self.stop()
        self.start()

    def client(self, url_file: str, host: str = "localhost") -> redis.Redis:
        """By an address file, as a container reads it."""
        url = resolved({"redis_url": f"file:{self.secrets / url_file}"})["redis_url"]
        return redis.Redis.from_url(str(url).replace("redis:6379", f"{host}:{self.port}"))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server with TLS here: apt-get install redis-server")
    folder, (port,) = tmp_path, free_ports(1)
    provision(SecretsPlan(folder, 16, 2, (), "rediss://redis:6379/0", f"rediss://localhost:{port}/0", ()))
    command = [
        by_default(word).replace("/run/secrets", str(folder / "redis")) for word in services()["redis"]["command"]
    ]
    command[command.index("--tls-port") + 1] = str(port)
    command[command.index("--maxmemory") + 1] = "100mb"
    found = Stack(folder, port, [*command, "--dir", str(folder)])
    try:
        found.start()
        yield found
    finally:
        found.stop()


def test_each_comes_in_by_its_address_and_the_certificate_is_checked(stack: Stack) -> None:
    for file in ("dispatcher/redis.url", "autoscaler/redis.url", "page/redis.url", "cameras/demo-2.url"):
        for host in ("localhost", "127.0.0.1"):
            with stack.client(file, host) as client:
                assert client.ping()


def test_what_scripts_and_transactions_wrote_is_there_after_a_restart(stack: Stack) -> None:
    """Redis replays both as the user ``default``, held to what that user may do."""
    writes = "redis.call('SET', KEYS[1], '1') redis.call('HSET', KEYS[2], 'a', '1') return 1"
    with stack.client("dispatcher/redis.url") as client:
        client.eval(writes, 2, "narrows:one", "narrows:two")
        client.pipeline(transaction=True).set("narrows:three", 1).set("narrows:four", 1).execute()
    stack.restart()
    with stack.client("dispatcher/redis.url") as client:
        assert client.exists("narrows:one", "narrows:two", "narrows:three", "narrows:four") == 4
    assert _maintain(stack, "ACL", "LOG") == []


def test_a_name_that_is_not_in_the_certificate_is_refused(stack: Stack) -> None:
    with (
        stack.client("page/redis.url", "127.0.0.2") as client,
        pytest.raises(redis.ConnectionError, match=r"127\.0\.0\.2"),
    ):
        client.ping()


def test_the_strictest_reading_of_certificates_takes_them(stack: Stack) -> None:
    context = ssl.create_default_context(cafile=str(stack.secrets / "cameras" / "ca.pem"))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(("localhost", stack.port)) as plain,
        context.wrap_socket(plain, server_hostname="redis") as safe,
    ):
        assert safe.version() == "TLSv1.3"


def test_nobody_comes_in_without_a_user_or_without_tls(stack: Stack) -> None:
    ca = stack.secrets / "cameras" / "ca.pem"
    for user in ("", "default:@", "default:secret@", "viewer:wrong@"):
        url = f"rediss://{user}localhost:{stack.port}/0?ssl_ca_certs={ca}"
        with redis.Redis.from_url(url) as client, pytest.raises(redis.AuthenticationError):
            client.ping()
    with redis.Redis(port=stack.port) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_a_new_camera_comes_in_and_a_revoked_one_is_thrown_out_without_a_restart(stack: Stack) -> None:
    """As docs/operations.md says: `keys stack`, then ACL LOAD by the maintainer."""
    plan = SecretsPlan(
        stack.secrets, 16, 2, ("gate-3",), "rediss://redis:6379/0", f"rediss://localhost:{stack.port}/0", ()
    )
    provision(plan)
    _maintain(stack, "ACL", "LOAD")
    with stack.client("vault/cameras/gate-3/redis.url") as camera:
        assert camera.ping()
        ring = KeyFolder(stack.secrets / "dispatcher" / "keyring")
        ring.change(lambda old: old.without_stream("gate-3"))
        provision(SecretsPlan(stack.secrets, 16, 2, (), plan.address, plan.public_address, ()))
        _maintain(stack, "ACL", "LOAD")
        with pytest.raises((redis.AuthenticationError, redis.ConnectionError)):
            camera.ping()


def _maintain(stack: Stack, *words: str) -> Any:
    password = (stack.secrets / "redis" / "maintainer.password").read_text()
    ca = stack.secrets / "cameras" / "ca.pem"
    with redis.Redis.from_url(f"rediss://maintainer:{password}@localhost:{stack.port}/0?ssl_ca_certs={ca}") as client:
        run: Any = client.execute_command
        return run(*words)
