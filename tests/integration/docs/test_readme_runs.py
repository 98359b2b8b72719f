"""README's blocks are typed into a shell as they stand, one after the other, where there is what `make demo` needs.

The shell has loopback and processes of its own, so that the usual ports are free and nothing is left behind.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks_of, shell_lines

README = blocks_of(PAGES[0])
(BY_HAND,) = [block for block in README if "narrows local-redis &" in block.text]
(SNIPPET,) = [block for block in README if block.language == "python"]
(AUTOSCALE,) = [block for block in README if "narrows autoscale" in block.text]
(ENDING,) = re.findall(r"`(kill [^`]*)` ends them", PAGES[0].read_text())
ELSEWHERE = {
    "make demo": "tests/integration/demo/test_demo.py",
    'make demo ARGS="--frames 60': "tests/integration/demo/test_demo.py",
    "cp .env.example": "benchmarks/e2e/__main__.py",
    "make setup-train": "tests/workshop",
}
"""Blocks that take another machine or a long while, by how they begin, and where what they do is tried."""
LOOPBACK_UP = "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 1))"
SHELL = """
{python} -c {loopback!r}
set -e
. ./by-hand.sh >by-hand.out 2>by-hand.err
timeout 60 python -u snippet.py 2>snippet.err | head -3 >snippet.out
. ./autoscale.sh >autoscale.out 2>autoscale.err
{ending}
sleep 2
{ending} 2>/dev/null || true
wait
echo ended
"""

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Typed:
    """What the shell printed, in all and by block."""

    ended: str
    folder: Path

    def printed(self, name: str) -> str:
        return (self.folder / name).read_text()


def isolated() -> list[str]:
    """The beginning of a command that is to have loopback and processes of its own; skips where that cannot be had."""
    for way in ([], ["--map-root-user"]):
        command = ["unshare", *way, "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if (
            shutil.which("unshare")
            and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
        ):
            return command
    pytest.skip("no namespaces here: unshare --net --pid is refused")


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Typed:
    """All blocks, in order, in a folder that has what the checkout has after `make setup`."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("bundles", "samples"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    for name, block in (("by-hand.sh", BY_HAND), ("snippet.py", SNIPPET), ("autoscale.sh", AUTOSCALE)):
        (folder / name).write_text(block.text)
    script = SHELL.format(python=sys.executable, loopback=LOOPBACK_UP, ending=ENDING)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "NARROWS_TRITON_ENV": str(ROOT / ".venv-triton")}
    done = subprocess.run(
        [*isolated(), "bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    said = "".join(f"\n== {path.name}\n{path.read_text()[-3000:]}" for path in sorted(folder.glob("*.err")))
    assert done.returncode == 0, done.stdout + done.stderr + said
    return Typed(done.stdout, folder)


def test_masks_come_of_the_processes_by_hand(typed: Typed) -> None:
    lines = [line for line in typed.printed("by-hand.out").splitlines() if line.startswith("{")]
    assert [json.loads(line)["stream"] for line in lines] == ["cam-1"] * 5


def test_the_stream_is_listed_and_the_doctor_finds_no_failure(typed: Typed) -> None:
    printed = typed.printed("by-hand.out")
    assert re.search(r"│ cam-1 \* +│", printed)
    assert re.search(r"^0 failed", printed, re.MULTILINE)


def test_what_is_waited_for_is_said(typed: Typed) -> None:
    assert "narrows: waiting: " in typed.printed("by-hand.err")


def test_the_python_snippet_prints_masks(typed: Typed) -> None:
    printed = typed.printed("snippet.out").splitlines()
    assert len(printed) == 3
    assert all(re.fullmatch(r"\d+ \(360, 480\) \[\d+(, \d+)*\]", line) for line in printed), printed


def test_the_autoscaler_is_asked(typed: Typed) -> None:
    assert typed.printed("autoscale.out")


def test_all_of_it_ends_as_the_page_says(typed: Typed) -> None:
    assert typed.ended.splitlines()[-1] == "ended"


def test_every_block_is_typed_here_or_tried_elsewhere() -> None:
    def begins(block: Block, start: str) -> bool:
        return next(shell_lines(block), "").startswith(start)

    left = [
        block
        for block in README
        if block not in (BY_HAND, SNIPPET, AUTOSCALE)
        and any(shell_lines(block))
        and not any(begins(block, start) for start in ELSEWHERE)
    ]
    assert left == []
    assert [where for where in ELSEWHERE.values() if not (ROOT / where).exists()] == []
    assert [start for start in ELSEWHERE if not any(begins(block, start) for block in README)] == []
