"""What a connection by TLS costs the server: a real Redis with a certificate of our own making, many connections."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

from narrows.contract.errors import ServiceError
from narrows.ops.secrets.authority import Authority
from orchestrator.servers.guarded import Guarded
from orchestrator.servers.ports import LOOPBACK, free_ports

_CONNECTIONS = 400
_READY_S = 20.0
_ASKED = b"AUTH default word\r\nPING\r\nQUIT\r\n"


def connect_ms(folder: Path, connections: int = _CONNECTIONS) -> float:
    """Milliseconds of the server's processor for TLS 1.3 with an ECDSA certificate, AUTH, PING and the end.

    Raises:
        ServiceError: there is no Redis with TLS on this machine.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        raise ServiceError("no redis-server with TLS on this machine: apt-get install redis-server")
    authority, (port,) = Authority.new(datetime.now(UTC)), free_ports(1)
    certificate, key = authority.server([LOOPBACK], datetime.now(UTC))
    files = {"ca.pem": authority.certificate_pem, "redis.pem": certificate, "redis.key": key}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command: list[str | Path] = [
        *(binary, "--port", "0", "--tls-port", str(port), "--bind", LOOPBACK, "--save", "", "--dir", folder),
        *("--tls-cert-file", folder / "redis.pem", "--tls-key-file", folder / "redis.key"),
        *("--tls-ca-cert-file", folder / "ca.pem", "--tls-auth-clients", "no", "--requirepass", "word"),
    ]
    server = Guarded.start(command, log=folder / "redis.log")
    try:
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        _wait(port)
        _connect(context, port)
        before_s = _processor_s(server.pid)
        for _ in range(connections):
            _connect(context, port)
        return (_processor_s(server.pid) - before_s) * 1000 / connections
    finally:
        server.stop()


def _wait(port: int) -> None:
    give_up_s = time.monotonic() + _READY_S
    while time.monotonic() < give_up_s:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.02)
    raise ServiceError("the Redis with TLS does not start")


def _connect(context: ssl.SSLContext, port: int) -> None:
    with (
        socket.create_connection((LOOPBACK, port), timeout=_READY_S) as plain,
        context.wrap_socket(plain, server_hostname=LOOPBACK) as secure,
    ):
        secure.sendall(_ASKED)
        answer = b"".join(iter(lambda: secure.recv(4096), b""))
    if b"+PONG" not in answer:
        raise ServiceError(f"the Redis with TLS answers {answer!r}")


def _processor_s(pid: int) -> float:
    """User and system time: fields 14 and 15 of proc_pid_stat(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
