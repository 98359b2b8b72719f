"""README's "The processes by hand" is typed line by line, then its Python runs; only the two server lines are ours."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

import pytest

from orchestrator.supervise import Guarded, LocalRedis, LocalTriton
from orchestrator.supervise.ports import LOOPBACK, free_ports
from tests.docs.blocks import PAGES, ROOT, blocks_of, shell_lines
from tests.docs.commands import words_of

README = blocks_of(PAGES[0])
(BY_HAND,) = [block for block in README if "redis-server" in block.text]
(SNIPPET,) = [block for block in README if block.language == "python"]


class Typist:
    """Types lines into the present folder as a shell does; the servers' lines start servers of this test."""

    def __init__(self, folder: Path, cleanup: ExitStack) -> None:
        self.printed: dict[str, str] = {}
        self._folder = folder
        self._cleanup = cleanup
        self._http = f"{LOOPBACK}:{free_ports(1)[0]}"
        self._places = {"127.0.0.1:9464": self._http}
        self.environment = {
            "PYTHONPATH": str(ROOT),
            "NARROWS_HTTP": self._http,
            "NARROWS_ORCHESTRATOR": f"http://{self._http}",
            "NARROWS_EDGE_STATE_DIR": str(folder / "state"),
        }

    def type(self, line: str) -> None:
        """Do what the line says; fail with its words if it fails."""
        program, *words = shlex.split(self.placed(" ".join(words_of(line))))
        if program == "redis-server":
            self._redis(LocalRedis.start(self._folder))
        elif program == "tritonserver":
            assert "--model-repository=model_repository" in words
            self._triton(LocalTriton.start(self._folder / "model_repository", self._folder, []))
        elif program == "until":
            self._until_ready(words)
        elif program == "narrows":
            self._narrows(words, background=line.partition("#")[0].rstrip().endswith("&"))
        else:
            assert program == "export", f"nobody can type {line!r} here"

    def placed(self, text: str) -> str:
        """``text`` with the usual addresses replaced by those of this test."""
        for usual, here in self._places.items():
            text = text.replace(usual, here)
        return text

    def _redis(self, server: LocalRedis) -> None:
        self._cleanup.enter_context(server)
        self._places["127.0.0.1:6379"] = f"{LOOPBACK}:{server.port}"
        self.environment["NARROWS_REDIS_URL"] = server.url

    def _triton(self, server: LocalTriton) -> None:
        self._cleanup.enter_context(server)
        self._places["127.0.0.1:8001"] = server.grpc_address
        self.environment["NARROWS_TRITON"] = server.grpc_address

    def _until_ready(self, words: list[str]) -> None:
        (address,) = [word.rstrip(";") for word in words if word.startswith("http")]
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            with suppress(OSError), urllib.request.urlopen(address, timeout=1.0):
                return
            time.sleep(0.2)
        pytest.fail(f"{address} never got ready: {(self._folder / 'orchestrate.log').read_text()}")

    def _narrows(self, words: list[str], *, background: bool) -> None:
        command = [sys.executable, "-m", "narrows.cli", *words]
        if background:
            log = self._folder / f"{words[0]}.log"
            self._cleanup.enter_context(Guarded.start(command, log=log, environment=self.environment))
            return
        variables = os.environ | self.environment
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        self.printed[words[0]] = done.stdout


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Typist]:
    """The whole block, typed into a folder that has the checkout's bundles and samples."""
    folder = tmp_path_factory.mktemp("by-hand")
    for name in ("bundles", "samples"):
        (folder / name).symlink_to(ROOT / name)
    with ExitStack() as cleanup, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        typist = Typist(folder, cleanup)
        for line in shell_lines(BY_HAND):
            typist.type(line)
        yield typist


def test_masks_come_of_the_processes_by_hand(typed: Typist) -> None:
    outcomes = [json.loads(line) for line in typed.printed["masks"].splitlines()]
    assert len(outcomes) == 5
    assert {each["stream"] for each in outcomes} == {"cam-1"}


def test_the_stream_is_listed_and_the_doctor_finds_no_failure(typed: Typist) -> None:
    assert "cam-1" in typed.printed["streams"]
    assert typed.printed["doctor"].splitlines()[-1].startswith("0 failed")


def test_the_python_snippet_prints_masks(typed: Typist) -> None:
    command = [sys.executable, "-u", "-c", typed.placed(SNIPPET.text)]
    variables = os.environ | typed.environment
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as snippet:
        assert snippet.stdout is not None
        printed = list(islice(snippet.stdout, 3))
        snippet.kill()
    assert len(printed) == 3
    assert all(re.fullmatch(r"\d+ \(360, 480\) \[\d+(, \d+)*\]\n", line) for line in printed), printed
