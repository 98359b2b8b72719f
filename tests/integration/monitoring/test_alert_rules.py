"""Alerts: Prometheus' own tool accepts them, and they fire when they should."""

import shutil
import subprocess
from pathlib import Path

import pytest

RULES = Path(__file__).parents[3] / "monitoring" / "rules"


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("there is no promtool: apt-get install prometheus")
    return found


@pytest.mark.parametrize("tested", sorted(RULES.glob("*_test.yml")), ids=lambda path: path.stem)
def test_alerts_fire_when_they_should(promtool: str, tested: Path) -> None:
    rules = tested.with_name(tested.name.replace("_test", ""))
    for command in (["check", "rules", str(rules)], ["test", "rules", str(tested)]):
        done = subprocess.run([promtool, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
