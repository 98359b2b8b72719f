"""No program opens a port to others without a token, whichever it is; it says so before it does anything else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = ["--redis-url", "redis://127.0.0.1:1/0"]
PROGRAMS = {
    "orchestrate": ["--bundle", "bundles/demo", *NOWHERE, "--http", "0.0.0.0:0"],
    "autoscale": ["--engine", "none", *NOWHERE, "--http", "0.0.0.0:0"],
    "edge": ["--source", "samples", "--stream-id", "a", "--bundle", "bundles/demo", *NOWHERE, "--http", "0.0.0.0:0"],
    "engine-proxy": ["--project", "a", "--service", "b", "--listen", "0.0.0.0:0"],
    "page": [*NOWHERE, "--orchestrator", "http://127.0.0.1:1", "--listen", "0.0.0.0:0"],
}


@pytest.mark.parametrize("program", [*PROGRAMS, "orchestrate --processes 2"])
def test_an_open_port_without_a_token_is_refused_in_the_same_words(program: str, tmp_path: Path) -> None:
    state = {"NARROWS_EDGE_STATE_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-m", "narrows.cli", *program.split(), *PROGRAMS[program.split(maxsplit=1)[0]]],
        env=os.environ | state,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "0.0.0.0:0 is open to others, so a token is needed: give --" in ended.stderr
    assert ended.stderr.count("\n") == 1
