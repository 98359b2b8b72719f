"""Passwords and keys of running programs: in no log, metric or process list, also when they are refused."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis

from narrows.contract.bundle import Bundle
from narrows.contract.seal import Keyring
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.secret_files import write_secret
from narrows.contract.wire import FeaturePacket, StreamKeys
from narrows.contract.wire.keys import PACKET_FIELD
from orchestrator.servers import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.integration.seal.programs import ROOT, program, until

PASSWORD = "corréct/horse#battery?stáple@5f1e:7%2F x"
ENCODED = quote(PASSWORD, safe="")


def command_lines(folder: Path) -> bytes:
    """Those of the test's own processes, as anybody on the machine sees them: they name its folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    return b"\n".join(line for line in found if str(folder).encode() in line)


@pytest.fixture
def address(server: LocalRedis, client: redis.Redis, tmp_path: Path) -> Iterator[Path]:
    """A file with the address of a user with a password, and no other user."""
    client.acl_setuser("guarded", enabled=True, passwords=[f"+{PASSWORD}"], keys=["*"], categories=["+@all"])
    path = tmp_path / "redis-url"
    write_secret(path, server.url.replace("redis://", f"redis://guarded:{ENCODED}@").encode())
    yield path
    client.acl_deluser("guarded")


def test_no_secret_is_seen_from_outside(
    server: LocalRedis, client: redis.Redis, address: Path, demo_bundle: Bundle, tmp_path: Path
) -> None:
    folder = KeyFolder(tmp_path / "keyring")
    folder.begin(Keyring().rotated(0, None))
    key, root_secret = folder.read().issue("cam-1", 0), folder.read().newest.secret
    key_file = tmp_path / "cam-1.key"
    write_secret(key_file, key.to_json())
    log, (http, triton) = tmp_path / "log.txt", free_ports(2)
    features = StreamKeys.of("cam-1", 4).features
    edge = ["edge", "--source", str(ROOT / "samples" / "images" / "val"), "--stream-id", "cam-1", "--loop"]
    edge += ["--bundle", str(demo_bundle.folder), "--state-dir", str(tmp_path / "state"), "--key-file", str(key_file)]
    cloud = ["orchestrate", "--bundle", str(demo_bundle.folder), "--keys", str(folder.path), "--require-sealed"]
    cloud += ["--triton", f"127.0.0.1:{triton}", "--http", f"127.0.0.1:{http}", "--log-level", "debug"]
    wrong = tmp_path / "wrong-url"
    write_secret(wrong, address.read_bytes().replace(b"guarded:", b"guarded:x"))
    with (
        program(log, *cloud, "--redis-url", f"file:{address}"),
        program(log, *edge, NARROWS_REDIS_URL=f"file:{address}"),
        program(log, *_of_another(edge, tmp_path), NARROWS_REDIS_URL=wrong.read_text()),
    ):
        until(lambda: client.xlen(features) > 2, log)
        until(lambda: "credentials_refused" in log.read_text() or "waiting" in log.read_text(), log)
        until(lambda: "dispatcher_started" in log.read_text(), log)
        write_secret(key_file, b"{}")
        write_secret(folder.file, b"{")
        until(lambda: "keys_unreadable" in log.read_text() and "key_unreadable" in log.read_text(), log)
        seen = command_lines(tmp_path)
        seen += urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=10).read()
        seen += urllib.request.urlopen(f"http://127.0.0.1:{http}/healthz", timeout=10).read()
        entries: Any = client.xrange(features, count=1)
        packet = FeaturePacket.parse(entries[0][1][PACKET_FIELD])
        assert (packet.cipher, packet.key_id) == (1, 1)
    seen += log.read_bytes()
    assert b"--key-file" in seen
    assert b'narrows_faults_total{cause="keys_unreadable"} 1.0' in seen
    for secret in (key.secret, root_secret, PASSWORD.encode(), ENCODED.encode(), quote(PASSWORD).encode()):
        for shape in (secret, secret.hex().encode(), repr(secret).encode()[2:-1]):
            assert shape[:20] not in seen
    assert re.search(rb"redis://(?!\*\*\*@)[^\s/]*@", seen) is None


def _of_another(edge: list[str], folder: Path) -> list[str]:
    """The same camera program for a stream of its own, without a key."""
    words = [word.replace("cam-1", "cam-2") for word in edge[: edge.index("--key-file")]]
    return [*words[: words.index("--state-dir")], "--state-dir", str(folder / "state-2")]
