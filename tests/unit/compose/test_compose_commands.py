"""Every documented `docker compose` command names services that there are, as compose itself reads the files."""

import functools
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.docs.blocks import PAGES, blocks_of, shell_lines
from tests.unit.compose.stack_file import ROOT, services

_FILES = ("docker-compose.yml", "docker-compose.yml:deploy/compose.cpu.yml")
_PROFILE_OF = {name: set(each.get("profiles", [])) for name, each in services().items()}


def _documented() -> Iterator[str]:
    for page in PAGES:
        for block in blocks_of(page):
            yield from (line for line in shell_lines(block) if line.startswith("docker compose "))


def _profiles(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    return [words[index + 1] for index, word in enumerate(words) if word == "--profile"]


@functools.cache
def _compose() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], check=False, capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.lstrip("v").startswith("2"):
                return command
    return None


def _expected(profiles: list[str]) -> set[str]:
    return {name for name, own in _PROFILE_OF.items() if not own or own & set(profiles)}


def test_there_are_documented_commands() -> None:
    assert len(list(_documented())) > 5


@pytest.mark.parametrize("files", _FILES)
@pytest.mark.parametrize("profiles", sorted({tuple(_profiles(line)) for line in _documented()}))
def test_compose_reads_what_the_documents_start(files: str, profiles: tuple[str, ...]) -> None:
    compose = _compose()
    if compose is None:
        pytest.skip("there is no Compose v2; test_compose_file reads the files")
    chosen = [word for profile in profiles for word in ("--profile", profile)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    done = subprocess.run(
        [*compose, "--env-file", ".env.example", *chosen, "config", "--services"],
        cwd=ROOT,
        env=environment | {"COMPOSE_FILE": files},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert set(done.stdout.split()) == _expected(list(profiles))


@pytest.mark.parametrize("line", sorted(set(_documented())))
def test_services_in_documented_commands_are_there(line: str) -> None:
    words = shlex.split(line.partition(";")[0].partition("|")[0].partition("&&")[0], comments=True)
    verbs = {
        "up",
        "run",
        "exec",
        "logs",
        "restart",
        "stop",
        "kill",
        "build",
        "rm",
        "ps",
        "cp",
        "down",
        "config",
        "pull",
    }
    verb = next(word for word in words[2:] if word in verbs)
    rest = [word for word in words[words.index(verb) + 1 :] if not word.startswith("-")]
    named = [word.partition("=")[0].partition(":")[0] for word in rest]
    if verb in {"exec", "run"}:
        assert named[0] in services()
    elif verb in {"logs", "restart", "stop", "kill", "build"}:
        assert set(named) - {"10m", "1h"} <= services().keys()
