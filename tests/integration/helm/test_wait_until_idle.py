"""The pre-stop hook of a Triton pod, with a clock, a curl and a sleep that the test moves."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.helm.chart import CHART

HOOK = CHART / "files" / "wait-until-idle.sh"


def waited_s(tmp_path: Path, busy_s: int, most_s: int, *, every_s: int = 1) -> int:
    """How long the hook waits where somebody asks for ``busy_s`` seconds more, every so many seconds."""
    (tmp_path / "clock").write_text("1000")
    programs = {
        "date": 'cat "$HERE/clock"',
        "sleep": 'echo $(($(cat "$HERE/clock") + $1)) > "$HERE/clock"',
        "curl": f'now=$(($(cat "$HERE/clock") - 1000)); [ "$now" -lt {busy_s} ] || now={busy_s}; '
        'echo "# HELP"; echo "nv_inference_request_success{model=\\"a\\"} $((now / EVERY * 10))"; '
        'echo "nv_inference_request_failure{model=\\"a\\"} 1"',
    }
    for name, body in programs.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body.replace('EVERY', str(every_s))}\n")
        path.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HERE": str(tmp_path)}
    subprocess.run(["sh", HOOK, str(most_s)], check=True, env=environment, timeout=60)
    return int((tmp_path / "clock").read_text()) - 1000


@pytest.mark.parametrize(
    ("busy_s", "most_s", "waits_s"),
    [
        pytest.param(0, 45, 3, id="nobody asks: three quiet seconds"),
        pytest.param(5, 45, 8, id="three quiet seconds after the last question"),
        pytest.param(1000, 6, 6, id="whoever does not move away is not waited for without end"),
    ],
)
def test_it_waits_until_nobody_asks(tmp_path: Path, busy_s: int, most_s: int, waits_s: int) -> None:
    assert waited_s(tmp_path, busy_s, most_s) == waits_s


def test_who_asks_now_and_then_is_waited_for_too(tmp_path: Path) -> None:
    assert waited_s(tmp_path, busy_s=9, most_s=45, every_s=3) == 12
