"""The tools of Prometheus and Alertmanager accept what is mounted into them, and alerts fire when they should."""

import shutil
import subprocess
from pathlib import Path

import pytest

MONITORING = Path(__file__).parents[3] / "monitoring"


def run(tool: str, *arguments: object) -> None:
    """Run a Debian tool to its good end; skip where it is not."""
    found = shutil.which(tool)
    if found is None:
        pytest.skip(f"there is no {tool}: apt-get install prometheus prometheus-alertmanager")
    done = subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration_and_every_rule(tmp_path: Path) -> None:
    shutil.copytree(MONITORING / "rules", tmp_path / "rules")
    (tmp_path / "http-token").write_text("a token")
    mounted = (MONITORING / "prometheus.yml").read_text()
    assert "/run/secrets/http-token" in mounted
    (tmp_path / "prometheus.yml").write_text(mounted.replace("/run/secrets/", f"{tmp_path}/"))
    run("promtool", "check", "config", tmp_path / "prometheus.yml")
    run("promtool", "check", "rules", *sorted((MONITORING / "rules").glob("*.yml")))


def test_prometheus_takes_the_configuration_of_the_one_above_several_installs() -> None:
    run("promtool", "check", "config", MONITORING / "federation.yml")


@pytest.mark.parametrize(
    "tested", sorted((MONITORING / "rules" / "tests").glob("*_test.yml")), ids=lambda path: path.stem
)
def test_alerts_fire_when_they_should_and_else_stay_silent(tested: Path) -> None:
    run("promtool", "test", "rules", tested)


def test_alertmanager_takes_its_configuration() -> None:
    run("amtool", "check-config", MONITORING / "alertmanager.yml")


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [("severity=critical", "pager"), ("severity=warning", "tickets"), ("severity=info", "notes")],
)
def test_alerts_go_to_whom_their_severity_says(labels: str, receiver: str) -> None:
    run(
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={MONITORING / 'alertmanager.yml'}",
        f"--verify.receivers={receiver}",
        labels,
    )
