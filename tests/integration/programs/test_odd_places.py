"""Programs run from any folder, as any user: blanks and quotes in paths, no entry in passwd, no home, a checkout that
cannot be written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import redis

from narrows.client.registry import read_audit, read_scale_audit
from orchestrator.servers import LocalRedis

ROOT = Path(__file__).resolve().parents[3]
ODD = 'my clone ä: "it\'s" $(touch hacked) %s;&'
UID = 12345
NOBODY = (  # may read what root may, as this Python may lie in root's home, and write nothing
    *("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all,+dac_read_search"),
    *("--bounding-set=-all,+dac_read_search", "--ambient-caps=+dac_read_search"),
)
pytestmark = pytest.mark.timeout(300)


def _can_be_nobody() -> bool:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return False
    return subprocess.run([*NOBODY, "true"], check=False, capture_output=True).returncode == 0


as_nobody = pytest.mark.skipif(not _can_be_nobody(), reason="needs root, setpriv and the capability to read all files")


def narrows(
    arguments: Sequence[str], folder: Path, *, nobody: bool, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``narrows ARGUMENTS`` in ``folder`` with an empty environment, but for the path and ``variables``."""
    return subprocess.run(
        [*(NOBODY if nobody else ()), sys.executable, "-m", "narrows.cli", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | dict(variables or {}),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may enter, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix="narrows-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def checkout(place: Path) -> Path:
    """A copy of this checkout in a folder with an odd name, which only root may write."""
    folder = place / ODD
    for name in ("narrows", "orchestrator", "edge_client", "bundles", "samples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv-triton").symlink_to(ROOT / ".venv-triton")
    return folder


@pytest.fixture
def own(place: Path) -> Path:
    """A folder of nobody's, with an odd name too."""
    folder = place / f"own {ODD}"
    folder.mkdir()
    if os.getuid() == 0:
        os.chown(folder, UID, UID)
    return folder


def test_the_whole_stack_runs_from_odd_folders_for_a_user_without_name_and_home(checkout: Path, own: Path) -> None:
    arguments = ["demo", "--headless", "--frames", "4", "--streams", "1", "--out", str(own / "out")]
    done = narrows(arguments, checkout, nobody=_can_be_nobody())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 sent = 4 masks" in done.stdout
    assert not list(checkout.parent.rglob("hacked"))
    assert not list((own / "out").glob("stack-*"))


@as_nobody
def test_an_audit_names_the_user_by_number_who_has_no_name(own: Path, client: redis.Redis) -> None:
    url = "redis://127.0.0.1:{port}/0".format_map(client.connection_pool.connection_kwargs)
    for command in (["streams", "set", "cam", "--weight", "2"], ["scale", "freeze"]):
        done = narrows([*command, "--redis-url", url], own, nobody=True, variables={"PYTHONPATH": str(ROOT)})
        assert done.returncode == 0, done.stderr
    whos = [*(each.who for each in read_audit(client)), *(each.who for each in read_scale_audit(client))]
    assert [who.partition("@")[0] for who in whos] == [f"uid-{UID}"] * 2


@as_nobody
@pytest.mark.parametrize("home", [{}, {"HOME": "/nonexistent"}, {"HOME": "/"}, {"XDG_STATE_HOME": "relative"}])
def test_a_camera_without_a_home_says_what_to_give(home: dict[str, str], own: Path, server: LocalRedis) -> None:
    arguments = ["edge", "--source", str(ROOT / "samples/images/val"), "--stream-id", "cam", "--frames", "1"]
    place = ["--redis-url", server.url, "--bundle", str(ROOT / "bundles/demo"), "--shards", "4"]
    done = narrows([*arguments, *place], own, nobody=True, variables=home | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 1
    assert "--state-dir" in done.stderr
    assert "Traceback" not in done.stderr
    state = ["--state-dir", str(own / "state")]
    done = narrows([*arguments, *place, *state], own, nobody=True, variables=home | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["streams", "scale", "edge", "orchestrate", "supervise", "doctor", "demo", "page"])
@as_nobody
def test_every_program_explains_itself_to_who_has_no_home(command: str, own: Path) -> None:
    done = narrows([command, "--help"], own, nobody=True, variables={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
