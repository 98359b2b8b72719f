"""``narrows keys`` as it is called: files with tight modes, words that help, no secret on the screen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from narrows.cli.keys import keys
from narrows.cli.root import app
from narrows.contract.errors import NarrowsError
from narrows.contract.seal import CameraKey
from narrows.contract.seal.key_folder import KeyFolder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "keyring"
    assert call("init", "--keys", str(path)).exit_code == 0
    return path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments])


def test_a_keys_whole_life(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "gate-3.key"
    at = ("--keys", str(folder))
    assert "key 1 of gate-3" in call("issue", "gate-3", "--out", str(out), *at).output
    assert oct(out.stat().st_mode & 0o777) == "0o600"
    assert CameraKey.parse(out.read_bytes()).key_id == 1
    assert "root 2" in call("rotate", "--grace-h", "1", *at).output
    assert "key 2 of gate-3" in call("issue", "gate-3", "--out", str(out), *at).output
    assert "revoked" in call("revoke", "gate-3", *at).output
    refused = call("issue", "gate-3", "--out", str(out), *at)
    assert refused.exit_code == 1
    assert "narrows keys rotate" in refused.output
    listed = json.loads(call("list", "--json", *at).output)
    assert [root["key_id"] for root in listed["roots"]] == [1, 2]
    assert listed["roots"][0]["until_ms"] > listed["roots"][1]["made_ms"]
    assert listed["revoked"] == [["gate-3", 1], ["gate-3", 2]]
    assert "root 2" in call("revoke", "--root", "2", *at).output
    assert "over since" in call("list", *at).output


def test_no_secret_reaches_the_screen(folder: Path, tmp_path: Path) -> None:
    at = ("--keys", str(folder))
    out = tmp_path / "cam.key"
    shown = "".join(
        call(*words, *at).output
        for words in (["issue", "cam", "--out", str(out)], ["rotate"], ["list"], ["list", "--json"], ["revoke", "cam"])
    )
    secrets = [root.secret.hex() for root in KeyFolder(folder).read().roots.values()]
    secrets.append(CameraKey.parse(out.read_bytes()).secret.hex())
    assert all(secret[:12] not in shown and secret not in shown for secret in secrets)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["init"], "there already"),
        (["issue", "a b"], "stream id"),
        (["revoke"], "say which"),
        (["revoke", "cam", "--root", "1"], "say which"),
        (["revoke", "--root", "9"], "no root 9"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_remedy(folder: Path, words: list[str], said: str) -> None:
    refused = call(*words, "--keys", str(folder))
    assert refused.exit_code == 1
    assert said in refused.output
    assert refused.output.count("\n") == 1


def test_a_secret_option_may_name_a_file(tmp_path: Path) -> None:
    address = tmp_path / "redis-url"
    address.write_text("redis://user:hunter2@127.0.0.1:1/0\n")
    address.chmod(0o644)
    lax = CliRunner().invoke(app, ["streams", "list", "--redis-url", f"file:{address}"])
    assert (lax.exit_code, "chmod 600" in lax.output) == (1, True)
    address.chmod(0o600)
    away = CliRunner().invoke(app, ["streams", "list", "--redis-url", f"file:{address}"])
    assert (away.exit_code, "Redis at redis://***@127.0.0.1:1/0 does not answer" in away.output) == (1, True)
    address.write_text("\n")
    empty = CliRunner().invoke(app, ["streams", "list", "--redis-url", f"file:{address}"])
    assert (empty.exit_code, "is empty" in empty.output) == (1, True)


def test_a_command_that_was_called_by_its_name_still_raises_where_its_group_is_called(folder: Path) -> None:
    words = ["issue", "no name", "--keys", str(folder)]
    assert call(*words).exit_code == 1
    with pytest.raises(NarrowsError):
        CliRunner().invoke(keys, words, catch_exceptions=False)
