"""What a stack's services hold, made where it is missing and left where it is there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from narrows.contract.seal import CameraKey, Keyring
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.secret_files import read_secret, write_secret
from narrows.contract.wire.keys import check_stream_id
from narrows.ops.secrets.authority import Authority
from narrows.ops.secrets.cameras import KEY_FILE, CameraFolders
from narrows.ops.secrets.holders import (
    AUTOSCALER,
    CAMERAS,
    DISPATCHER,
    ENGINE_PROXY,
    EXPORTER,
    GRAFANA,
    HOLDERS,
    PAGE,
    PROMETHEUS,
    REDIS,
    VAULT,
    Holder,
    settle,
)
from narrows.runtime.redis.user_files import passwords, with_user
from narrows.runtime.redis.users import CAMERA, ROLES, User, acl_lines, camera_user

_SERVICES = (DISPATCHER, AUTOSCALER, PAGE)
"""Each is named like its user in Redis."""
_PEOPLE = ("viewer", "operator")
_DEMO = "demo-"
_CERTIFICATE = "redis.pem"
_TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class SecretsPlan:
    """What is wanted.

    Attributes:
        out: has a folder for each service; the vault among them.
        shards: the install's.
        demo_cameras: ``demo-1`` to ``demo-N`` have keys.
        cameras: further streams, beside those that have keys already.
        address: ``rediss://HOST:PORT/0`` of Redis for the stack's services.
        public_address: the same for cameras elsewhere.
        names: further names and addresses in Redis's certificate.
    """

    out: Path
    shards: int
    demo_cameras: int
    cameras: tuple[str, ...]
    address: str
    public_address: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WrittenSecrets:
    """What came of it.

    Attributes:
        cameras: streams of real cameras that have keys.
        forgotten: streams whose files were taken away, their keys being revoked.
        written: how many files.
    """

    cameras: tuple[str, ...]
    forgotten: tuple[str, ...]
    written: int


def provision(plan: SecretsPlan) -> WrittenSecrets:
    """Make what is missing, keep what is there; doing it again changes nothing.

    Raises:
        SecretError: a folder or file cannot be used, or a named camera's newest key was revoked.
        StreamIdInvalid: a camera's name is none.
    """
    folders = {holder: holder.claim(plan.out) for holder in HOLDERS}
    vault, now = folders[VAULT], datetime.now(UTC)
    authority = _authority(vault, now)
    ring = _ring(KeyFolder(folders[DISPATCHER] / "keyring"), now)
    at_work = CameraFolders(vault / "cameras", vault / "redis")
    forgotten = at_work.forget_revoked(ring)
    keys = at_work.keys(_wanted(plan, at_work.streams(), ring), ring, _unix_ms(now))
    users = passwords(vault / "redis", [*ROLES, *(camera_user(stream, plan.shards) for stream in keys)])
    secret = _Secrets(authority.certificate_pem, keys, {user.name: (user, word) for user, word in users.items()})
    http_token, engine_token = _kept(vault / "http-token"), {"engine-token": _kept(vault / "engine-token")}
    written = [
        settle(folders[REDIS], _of_redis(plan, authority, users, folders[REDIS], now)),
        *(settle(folders[holder], secret.of_service(plan, holder, http_token)) for holder in _SERVICES),
        *(settle(folders[holder], engine_token) for holder in (AUTOSCALER, ENGINE_PROXY)),
        settle(folders[EXPORTER], secret.of_exporter(plan)),
        settle(folders[PROMETHEUS], {"http-token": http_token}),
        *(settle(vault / "people" / name, secret.of_person(plan, name)) for name in _PEOPLE),
        *(settle(at_work.path / stream, secret.of_camera(plan, stream)) for stream in keys),
        _demo(folders[CAMERAS], secret.of_demo(plan)),
    ]
    _kept(folders[PAGE] / "page-token")
    _kept(folders[GRAFANA] / "admin-password")
    return WrittenSecrets(tuple(stream for stream in keys if not _is_demo(stream)), tuple(forgotten), sum(written))


@dataclass(frozen=True, slots=True)
class _Secrets:
    """What files are made of: the authority's certificate, cameras' keys, and users with their passwords."""

    ca: bytes
    keys: dict[str, CameraKey]
    users: dict[str, tuple[User, str]]

    def url(self, address: str, user: str) -> bytes:
        found, password = self.users[user]
        return with_user(f"{address}?ssl_ca_certs=ca.pem", found, password).encode()

    def of_service(self, plan: SecretsPlan, holder: Holder, http_token: bytes) -> dict[str, bytes]:
        return {"ca.pem": self.ca, "redis.url": self.url(plan.address, holder.name), "http-token": http_token}

    def of_exporter(self, plan: SecretsPlan) -> dict[str, bytes]:
        """In the exporter's own form, a password for each address; older ones look for it without the user."""
        _, password = self.users["exporter"]
        server = urlsplit(plan.address).netloc
        passwords_of = dict.fromkeys((f"rediss://exporter@{server}", f"rediss://{server}"), password)
        return {"ca.pem": self.ca, "passwords.json": json.dumps(passwords_of).encode()}

    def of_person(self, plan: SecretsPlan, user: str) -> dict[str, bytes]:
        return {"ca.pem": self.ca, "redis.url": self.url(plan.public_address, user)}

    def of_camera(self, plan: SecretsPlan, stream: str) -> dict[str, bytes]:
        return self.of_person(plan, f"{CAMERA}{stream}") | {KEY_FILE: self.keys[stream].to_json()}

    def of_demo(self, plan: SecretsPlan) -> dict[str, bytes]:
        files = {"ca.pem": self.ca}
        for stream in filter(_is_demo, self.keys):
            files[f"{stream}.url"] = self.url(plan.address, f"{CAMERA}{stream}")
            files[f"{stream}.key"] = self.keys[stream].to_json()
        return files


def _wanted(plan: SecretsPlan, there: Iterable[str], ring: Keyring) -> list[str]:
    """Streams that have a key by now, those of the demo as far as theirs was not revoked, and those that were named."""
    demo = (f"{_DEMO}{number}" for number in range(1, plan.demo_cameras + 1))
    good = (stream for stream in demo if (stream, ring.newest.key_id) not in ring.revoked)
    return sorted({*there, *good, *map(check_stream_id, plan.cameras)})


def _of_redis(
    plan: SecretsPlan, authority: Authority, users: Mapping[User, str], folder: Path, now: datetime
) -> dict[str, bytes]:
    maintainer = next(password for user, password in users.items() if user.name == "maintainer")
    files = {
        "ca.pem": authority.certificate_pem,
        "users.acl": "\n".join([*acl_lines(users), ""]).encode(),
        "maintainer.password": maintainer.encode(),
    }
    hosts = (urlsplit(address).hostname or "" for address in (plan.address, plan.public_address))
    names = {*hosts, *plan.names, "localhost", "127.0.0.1"}
    shown = folder / _CERTIFICATE
    if not shown.exists() or not authority.vouches(read_secret(shown), names, now):
        certificate, key = authority.server(names, now)
        files |= {"redis.key": key, _CERTIFICATE: certificate}  # in this order: cut off between, both are made again
    return files


def _demo(folder: Path, files: dict[str, bytes]) -> int:
    """The demo's cameras' folder: these files, and no camera's that is not to be there any more."""
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    return settle(folder, files)


def _authority(vault: Path, now: datetime) -> Authority:
    certificate, key = vault / "ca.pem", vault / "ca.key"
    if not certificate.exists():
        made = Authority.new(now)
        write_secret(key, made.key_pem)
        write_secret(certificate, made.certificate_pem)
    return Authority.parse(read_secret(certificate), read_secret(key))


def _ring(folder: KeyFolder, now: datetime) -> Keyring:
    if not folder.file.exists():
        folder.begin(Keyring().rotated(_unix_ms(now), None))
    return folder.read()


def _kept(path: Path) -> bytes:
    """A token, made where there is none."""
    if not path.exists():
        write_secret(path, secrets.token_urlsafe(_TOKEN_BYTES).encode())
    return read_secret(path)


def _is_demo(stream: str) -> bool:
    return stream.startswith(_DEMO)


def _unix_ms(now: datetime) -> int:
    return int(now.timestamp() * 1000)
