"""Grafana's own types take the dashboards; a panel that they do not know is refused."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from monitoring.grafana.write import FOLDER

CHECK = Path(__file__).parents[3] / "tools" / "grafana_schema"

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (CHECK / "node_modules").is_dir(),
    reason="node or Grafana's types are not there: make check-dashboards",
)


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["node", CHECK / "check.mjs", *paths], capture_output=True, text=True, check=False)


def test_the_dashboards_are_valid() -> None:
    done = check(*sorted(FOLDER.glob("*.json")))
    assert done.returncode == 0, done.stderr


def test_what_grafana_does_not_know_is_named(tmp_path: Path) -> None:
    board = json.loads((FOLDER / "fleet.json").read_text())
    board["panels"][0]["options"]["mapping"] = "by hand"
    board["panels"][1]["options"]["colour"] = "red"
    (tmp_path / "wrong.json").write_text(json.dumps(board))
    done = check(tmp_path / "wrong.json")
    assert done.returncode == 1
    assert "options/mapping" in done.stderr
    assert "colour" in done.stderr
