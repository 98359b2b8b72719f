"""``narrows keys``: the keys that packets are sealed with, and Redis's users."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrows.cli.group import command_group

if TYPE_CHECKING:
    from narrows.contract.seal import Keyring, Root

keys = command_group("The keys that packets are sealed with, and Redis's users.")
Folder = Annotated[
    Path, typer.Option("--keys", envvar="NARROWS_KEYS", help="Key folder; who holds it opens every camera's packets.")
]
_DEFAULT = Path("keyring")
Stream = Annotated[str, typer.Argument(help="Stream id, for example cam-1.")]


@keys.command()
def init(*, folder: Folder = _DEFAULT) -> None:
    """Make a key folder with a first root key. Dispatchers get it as --keys.

    Example: narrows keys init --keys secrets/keyring
    """
    from narrows.contract.seal import Keyring
    from narrows.contract.seal.key_folder import KeyFolder

    KeyFolder(folder).begin(Keyring().rotated(_now_ms(), None))
    print(f"{folder}: root 1; keep a copy where this machine's loss does not reach it")


@keys.command()
def issue(
    stream: Stream,
    *,
    out: Annotated[Path | None, typer.Option(help="Where to write it.", show_default="STREAM.key")] = None,
    folder: Folder = _DEFAULT,
) -> None:
    """Write a camera's key file, of the newest root. The camera gets it as --key-file, and no other camera does.

    Example: narrows keys issue gate-3 --out gate-3.key
    """
    from narrows.contract.seal.key_folder import KeyFolder
    from narrows.contract.secret_files import write_secret

    key = KeyFolder(folder).read().issue(stream, _now_ms())
    path = out or Path(f"{stream}.key")
    write_secret(path, key.to_json())
    print(f"{path}: key {key.key_id} of {stream}")


@keys.command()
def rotate(
    *,
    grace_h: Annotated[float, typer.Option(min=0.0, max=1e6, help="Older roots are good for so many hours.")] = 168.0,
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Older roots keep their time: for one camera.")] = False,
    folder: Folder = _DEFAULT,
) -> None:
    """Make a new root key. Issue the cameras' new keys within the time of grace; nothing stops meanwhile.

    Example: narrows keys rotate --grace-h 72
    """
    from narrows.contract.seal.key_folder import KeyFolder

    until_ms = None if keep_old else _now_ms() + round(grace_h * 3_600_000)
    ring = KeyFolder(folder).change(lambda old: old.rotated(_now_ms(), until_ms))
    print(f"root {ring.newest.key_id}: issue the cameras' keys anew; older roots: {_older(ring)}")


@keys.command()
def revoke(
    stream: Annotated[str | None, typer.Argument(help="Stream whose keys are no longer good.")] = None,
    *,
    root: Annotated[int | None, typer.Option(min=1, max=255, help="Or a root, with every key of it.")] = None,
    folder: Folder = _DEFAULT,
) -> None:
    """Refuse a stolen camera's packets, or all of a root, within seconds, wherever this folder is mounted.

    Example: narrows keys revoke gate-3

    Example: narrows keys revoke --root 1
    """
    from narrows.contract.errors import SecretError
    from narrows.contract.seal.key_folder import KeyFolder

    if (stream is None) == (root is None):
        raise SecretError("say which: a stream, or --root ID")
    if stream is not None:
        KeyFolder(folder).change(lambda old: old.without_stream(stream))
        print(f"{stream}: all its keys are revoked; `narrows keys rotate --keep-old` and issue give it another")
    elif root is not None:
        KeyFolder(folder).change(lambda old: old.without_root(root, _now_ms()))
        print(f"root {root}: no key of it is good any more")


@keys.command("list")
def list_keys(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
    folder: Folder = _DEFAULT,
) -> None:
    """Show roots and revoked keys; no secret.

    Example: narrows keys list --json | jq .roots
    """
    from narrows.contract.seal.key_folder import KeyFolder

    ring = KeyFolder(folder).read()
    if as_json:
        roots = [{"key_id": r.key_id, "made_ms": r.made_ms, "until_ms": r.until_ms} for r in ring.roots.values()]
        print(json.dumps({"roots": roots, "revoked": sorted(ring.revoked)}))
        return
    for each in ring.roots.values():
        print(f"root {each.key_id:3}  made {_day(each.made_ms)}  {_good(each)}")
    for stream, key_id in sorted(ring.revoked):
        print(f"key {key_id} of {stream}: revoked")


@keys.command()
def acl(
    cameras: Annotated[list[str] | None, typer.Argument(metavar="STREAM...", help="Streams of cameras.")] = None,
    *,
    passwords: Annotated[Path, typer.Option(help="Folder of a password and an address for each user.")] = Path("redis"),
    address: Annotated[
        str, typer.Option(help="Where Redis is, without a user; the addresses in the folder are made of it.")
    ] = "rediss://127.0.0.1:6379/0",
    shards: Annotated[int, typer.Option(min=1, max=1024, help="The install's shards.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Write the ACL file here.", show_default="the screen")] = None,
) -> None:
    """Make Redis's users: the lines of its ACL file, with hashes, and a password and an address file for each.

    Passwords that are in the folder already stay. Programs take an address as --redis-url file:FOLDER/USER.url.

    Example: narrows keys acl gate-3 gate-4 --passwords secrets/redis --out secrets/users.acl

    Example: narrows keys acl --address 'rediss://redis:6379/0?ssl_ca_certs=/run/secrets/ca.pem' --out users.acl
    """
    from narrows.contract.secret_files import write_secret
    from narrows.runtime.redis.user_files import credentials
    from narrows.runtime.redis.users import ROLES, acl_lines, camera_user

    users = [*ROLES, *(camera_user(stream, shards) for stream in cameras or ())]
    lines = acl_lines(credentials(passwords, users, address))
    if out is None:
        print("\n".join(lines))
    else:
        write_secret(out, "\n".join([*lines, ""]).encode())
        print(f"{out}: {len(users)} users, their passwords and addresses in {passwords}")


@keys.command()
def stack(
    cameras: Annotated[list[str] | None, typer.Argument(metavar="STREAM...", help="Streams of real cameras.")] = None,
    *,
    out: Annotated[Path, typer.Option(envvar="NARROWS_SECRETS", help="Where each service has a folder.")] = Path(
        "secrets"
    ),
    shards: Annotated[int, typer.Option(envvar="NARROWS_SHARDS", min=1, max=1024, help="The install's shards.")] = 16,
    demo_cameras: Annotated[
        int, typer.Option(envvar="NARROWS_DEMO_CAMERAS", min=0, max=1000, help="Keys for demo-1 to demo-N.")
    ] = 32,
    address: Annotated[str, typer.Option(help="Redis, for the stack's services.")] = "rediss://redis:6379/0",
    public_address: Annotated[
        str, typer.Option(envvar="NARROWS_REDIS_PUBLIC", help="Redis, for cameras elsewhere.")
    ] = "rediss://localhost:6379/0",
    names: Annotated[
        str,
        typer.Option(
            envvar="NARROWS_REDIS_NAMES",
            help="Further names and addresses in Redis's certificate, with spaces between.",
            show_default="those of the addresses, localhost",
        ),
    ] = "",
) -> None:
    """Make all secrets of the compose stack, and write them to its services' folders. What is there stays.

    A camera that has files keeps them; a named one gets some, below vault/cameras. Revoked ones lose theirs. After a
    rotation all get new keys.

    Example: narrows keys stack gate-3 --out secrets --public-address rediss://cloud.example:6379/0
    """
    from narrows.ops.secrets import SecretsPlan, provision

    plan = SecretsPlan(out, shards, demo_cameras, tuple(cameras or ()), address, public_address, tuple(names.split()))
    written = provision(plan)
    for stream in written.forgotten:
        print(f"{stream}: its key is revoked; key, password and address are taken away")
    print(f"{out}: {written.written} files written; real cameras: {', '.join(written.cameras) or 'none yet'}")


def _older(ring: Keyring) -> str:
    return ", ".join(f"{r.key_id} {_good(r)}" for r in ring.roots.values() if r is not ring.newest) or "none"


def _good(root: Root) -> str:
    if root.until_ms is None:
        return "good"
    return f"over since {_day(root.until_ms)}" if root.is_over(_now_ms()) else f"good until {_day(root.until_ms)}"


def _day(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _now_ms() -> int:
    return int(time.time() * 1000)
