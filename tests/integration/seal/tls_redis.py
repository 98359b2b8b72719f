"""A Redis with TLS and an ACL file: Debian's, for the server from PyPI is built without TLS."""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from narrows.runtime.redis.user_files import credentials
from narrows.runtime.redis.users import ROLES, User, acl_lines
from orchestrator.servers.ports import free_ports

ADMIN = User("admin", ("~*",), "@all")


@dataclass(frozen=True)
class TlsRedis:
    """A running server; ``folder`` has ``USER.url`` for each user."""

    folder: Path
    port: int
    ca: Path

    @property
    def address(self) -> str:
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.ca}"

    def url(self, user: str) -> str:
        return (self.folder / f"{user}.url").read_text()

    def file(self, user: str) -> str:
        """As ``--redis-url`` takes it."""
        return f"file:{self.folder / user}.url"

    def client(self, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(user))


def start(folder: Path, cameras: list[User]) -> tuple[TlsRedis, subprocess.Popen[bytes]]:
    """The server and its process, with the users of all roles, of these cameras, and one for the test."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("no redis-server with TLS here: apt-get install redis-server")
    ca, key, certificate = authority(folder)
    (port,) = free_ports(1)
    server = TlsRedis(folder / "users", port, ca)
    acl = folder / "users.acl"
    acl.write_text("\n".join(acl_lines(credentials(server.folder, [*ROLES, *cameras, ADMIN], server.address))) + "\n")
    command = [binary, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(ca)]
    command += ["--tls-auth-clients", "no", "--aclfile", str(acl), "--save", "", "--maxmemory-policy", "noeviction"]
    log = folder / "redis.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    wait_for(process, log, lambda: server.client("admin"))
    return server, process


def wait_for(process: subprocess.Popen[bytes], log: Path, client_of: Callable[[], redis.Redis]) -> None:
    """Until the server answers; the test fails with its log if it ends before, or takes half a minute."""
    give_up_s = time.monotonic() + 30
    while True:
        try:
            with client_of() as client:
                client.ping()
        except redis.ConnectionError:
            if process.poll() is not None or time.monotonic() > give_up_s:
                process.kill()
                pytest.fail(log.read_text())
            time.sleep(0.05)
        else:
            return


def authority(folder: Path) -> tuple[Path, Path, Path]:
    """Files of a certificate authority, a server's key, and its certificate for 127.0.0.1."""
    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])
    ca = _signed(ca_name, ca_name, ca_key, ca_key).add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    server = _signed(server_name, ca_name, server_key, ca_key).add_extension(alternatives, False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    files = {
        "ca.pem": ca.add_extension(usage, True).add_extension(identifier, False).sign(ca_key, hashes.SHA256()),
        "server.pem": server.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False
        ).sign(ca_key, hashes.SHA256()),
    }
    for name, certificate in files.items():
        (folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "ca.pem", folder / "server.key", folder / "server.pem"


def _signed(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
    )
