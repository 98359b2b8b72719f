"""A stack's secrets: made once, kept, tight, each where it belongs, and gone once they are revoked."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from narrows.cli.root import app
from narrows.contract.errors import SecretError
from narrows.contract.seal import CameraKey
from narrows.contract.seal.key_folder import KeyFolder
from narrows.contract.secret_files import write_secret
from narrows.ops.secrets import SecretsPlan, WrittenSecrets, provision
from narrows.ops.secrets.holders import HOLDERS


def provisioned(out: Path, *cameras: str, demo_cameras: int = 2, names: tuple[str, ...] = ()) -> WrittenSecrets:
    address, public = "rediss://redis:6379/0", "rediss://cloud.example:6380/0"
    return provision(SecretsPlan(out, 4, demo_cameras, cameras, address, public, names))


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def ring(out: Path) -> KeyFolder:
    return KeyFolder(out / "dispatcher" / "keyring")


def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    assert provisioned(tmp_path, "gate-3").written > 0
    before = contents(tmp_path)
    again = provisioned(tmp_path)
    assert (again.written, again.cameras, contents(tmp_path)) == (0, ("gate-3",), before)


def test_what_was_lost_of_a_services_folder_is_written_again(tmp_path: Path) -> None:
    provisioned(tmp_path)
    before = contents(tmp_path)
    (tmp_path / "page" / "redis.url").unlink()
    write_secret(tmp_path / "redis" / "users.acl", b"user default on nopass ~* +@all\n")
    provisioned(tmp_path)
    assert contents(tmp_path) == before


def test_each_folder_has_what_its_service_needs_and_no_more(tmp_path: Path) -> None:
    provisioned(tmp_path, "gate-3")
    found = contents(tmp_path)
    service = {"ca.pem", "redis.url", "http-token"}
    assert {name: {path.partition("/")[2] for path in found if path.startswith(f"{name}/")} for name in FOLDERS} == {
        "redis": {"ca.pem", "redis.pem", "redis.key", "users.acl", "maintainer.password"},
        "dispatcher": service | {"keyring/keyring.json"},
        "autoscaler": service | {"engine-token"},
        "engine-proxy": {"engine-token"},
        "page": service | {"page-token"},
        "cameras": {"ca.pem", "demo-1.key", "demo-1.url", "demo-2.key", "demo-2.url"},
        "redis-exporter": {"ca.pem", "passwords.json"},
        "prometheus": {"http-token"},
        "grafana": {"admin-password"},
    }
    roots = [root.secret.hex() for root in ring(tmp_path).read().roots.values()]
    assert [path for path, data in found.items() if roots[0].encode() in data] == ["dispatcher/keyring/keyring.json"]
    assert json.loads(found["redis-exporter/passwords.json"]).keys() == {
        "rediss://exporter@redis:6379",
        "rediss://redis:6379",
    }


FOLDERS = [holder.name for holder in HOLDERS if holder.name != "vault"]


def test_nobody_but_the_owner_may_look(tmp_path: Path) -> None:
    provisioned(tmp_path, "gate-3")
    for holder in HOLDERS:
        for path in (tmp_path / holder.name).glob("*"):
            assert path.stat().st_mode & 0o777 & (0o777 if path.is_file() else 0) in {0o600, 0}
        assert (tmp_path / holder.name).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_root_gives_each_folder_and_all_in_it_to_the_containers_user(tmp_path: Path) -> None:
    provisioned(tmp_path)
    ring(tmp_path).change(lambda old: old.rotated(1, None))  # as an operator does, as root
    for holder in HOLDERS:
        folder = tmp_path / holder.name
        assert {path.stat().st_uid for path in (folder, *folder.rglob("*"))} == {holder.uid}


def test_a_fresh_volume_is_open_and_is_closed_but_one_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "grafana").mkdir(mode=0o755)
    provisioned(tmp_path)
    (tmp_path / "page").chmod(0o755)
    with pytest.raises(SecretError, match=r"page has mode 0755"):
        provisioned(tmp_path)


def test_addresses_name_redis_as_its_users_see_it(tmp_path: Path) -> None:
    provisioned(tmp_path, "gate-3")
    found = contents(tmp_path)
    end = b"?ssl_ca_certs=ca.pem"
    assert found["cameras/demo-1.url"].startswith(b"rediss://camera-demo-1:")
    assert found["cameras/demo-1.url"].endswith(b"@redis:6379/0" + end)
    assert found["vault/cameras/gate-3/redis.url"].endswith(b"@cloud.example:6380/0" + end)


def test_after_a_rotation_every_camera_has_a_new_key_and_its_old_password(tmp_path: Path) -> None:
    provisioned(tmp_path, "gate-3")
    before = contents(tmp_path)
    ring(tmp_path).change(lambda old: old.rotated(1, None))
    provisioned(tmp_path)
    after = contents(tmp_path)
    changed = {path for path, data in after.items() if before[path] != data}
    assert {path for path in changed if "vault" not in path} == {
        "dispatcher/keyring/keyring.json",
        "cameras/demo-1.key",
        "cameras/demo-2.key",
    }
    assert CameraKey.parse(after["vault/cameras/gate-3/camera.key"]).key_id == 2


def test_a_revoked_camera_loses_key_password_and_user(tmp_path: Path) -> None:
    provisioned(tmp_path, "gate-3")
    old = contents(tmp_path)["vault/redis/camera-gate-3.password"]
    for stream in ("gate-3", "demo-2"):
        ring(tmp_path).change(lambda before, stream=stream: before.without_stream(stream))  # type: ignore[misc]
    assert set(provisioned(tmp_path).forgotten) == {"gate-3", "demo-2"}
    found = contents(tmp_path)
    assert not [path for path in found if "gate-3" in path or "demo-2" in path]
    assert b"camera-demo-1" in found["redis/users.acl"]
    assert b"gate-3" not in found["redis/users.acl"]
    with pytest.raises(SecretError, match="was revoked"):
        provisioned(tmp_path, "gate-3")
    ring(tmp_path).change(lambda before: before.rotated(2, None))
    assert provisioned(tmp_path, "gate-3").cameras == ("gate-3",)
    assert contents(tmp_path)["vault/redis/camera-gate-3.password"] != old


def test_the_certificate_is_made_anew_for_another_name_and_the_authority_stays(tmp_path: Path) -> None:
    provisioned(tmp_path)
    before = contents(tmp_path)
    assert provisioned(tmp_path, names=("192.0.2.7", "gate.example")).written == 2
    after = contents(tmp_path)
    assert {path for path, data in after.items() if before[path] != data} == {"redis/redis.pem", "redis/redis.key"}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["a b"], "stream id"), (["--names", "bücher"], "neither a host name"), (["--address", "redis"], "--address is")],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    refused = CliRunner().invoke(app, ["keys", "stack", "--out", str(tmp_path / "s"), *words])
    assert (refused.exit_code, said in refused.output, refused.output.count("\n")) == (1, True, 1)
