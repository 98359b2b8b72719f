"""The compose project under test: the unchanged files, other ports; its secrets are those that it made itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.e2e.waiting import StackError
from narrows.cli.secret_options import resolved
from narrows.runtime.direct import open_url

ROOT = Path(__file__).parents[2]
PROJECT = "narrows-e2e"
PROMETHEUS = "http://127.0.0.1:19090"
_SETTINGS = {
    "COMPOSE_PROJECT_NAME": PROJECT,
    "COMPOSE_FILE": "docker-compose.yml:deploy/compose.cpu.yml",
    "REDIS_LISTEN": "127.0.0.1:16379",
    "REDIS_PUBLIC": "rediss://localhost:16379/0",
    "PAGE_LISTEN": "127.0.0.1:18090",
    "GRAFANA_LISTEN": "127.0.0.1:13000",
    "PROMETHEUS_LISTEN": "127.0.0.1:19090",
    "ALERTMANAGER_LISTEN": "127.0.0.1:19093",
    "TRITON_CPUS": "0.25",
    "TRITON_SLOTS": "2",
    "MAX_INSTANCES": "1",
    "CAMERAS": "2",
    "CAMERA_FPS": "4",
}


class Stack:
    """``docker compose`` with these settings; more of them may be given as the scenario goes on."""

    def __init__(self, bundles: Path) -> None:
        self.settings = _SETTINGS | {"BUNDLES_FOLDER": str(bundles)}
        self._people: dict[str, str] = {}

    def compose(self, *words: str, most_s: float = 900.0) -> str:
        """Run ``docker compose --profile demo WORDS``; answers what it printed.

        Raises:
            StackError: it failed; the message has its last words.
        """
        command = ["docker", "compose", "--env-file", "/dev/null", "--profile", "demo", *words]
        environment = os.environ | self.settings
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=most_s
        )
        if done.returncode:
            raise StackError(f"docker compose {' '.join(words)}: {done.stderr[-1500:]}")
        return done.stdout

    def up(self, *services: str, options: tuple[str, ...] = ()) -> float:
        """``up --detach --wait``; answers how long it took, in seconds."""
        begun_s = time.monotonic()
        self.compose("up", "--detach", "--wait", "--pull", "never", *options, *services)
        return time.monotonic() - begun_s

    def redis_url(self, user: str) -> str:
        """The address of the user `viewer` or `operator`, fetched from the vault as docs/operations.md says."""
        if user not in self._people:
            folder = Path(self.settings["BUNDLES_FOLDER"]) / "people"
            folder.mkdir(mode=0o700, exist_ok=True)
            self.compose("cp", f"secrets:/secrets/vault/people/{user}", str(folder))
            address = resolved({"redis_url": f"file:{folder / user / 'redis.url'}"})
            self._people[user] = str(address["redis_url"])
        return self._people[user]

    def down(self) -> None:
        """Remove containers, networks and volumes, those of further Tritons too."""
        self.compose("down", "--volumes", "--timeout", "5")

    def containers(self, service: str) -> list[dict[str, Any]]:
        """What the engine says of a service's containers that run."""
        ids = self.compose("ps", "--quiet", service).split()
        if not ids:
            return []
        done = subprocess.run(["docker", "inspect", *ids], capture_output=True, text=True, check=False)
        return [each for each in json.loads(done.stdout or "[]") if each["State"]["Running"]]

    def kill(self, service: str) -> None:
        """SIGKILL the first process of its first container, as a crash would; the engine takes a `kill` for a wish."""
        os.kill(int(self.containers(service)[0]["State"]["Pid"]), signal.SIGKILL)

    def well(self, service: str, number: int) -> bool:
        """Whether so many of it run and are healthy, as far as they have a check."""
        found = self.containers(service)
        states = [each["State"].get("Health", {}).get("Status", "healthy") for each in found]
        return len(states) == number and set(states) <= {"healthy"}


def firing() -> set[str]:
    """The alerts that fire, by Prometheus."""
    try:
        with open_url(f"{PROMETHEUS}/api/v1/alerts", 5) as answer:
            alerts = json.load(answer)["data"]["alerts"]
    except OSError:
        return set()
    return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}
