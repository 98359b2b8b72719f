"""A real Prometheus that scrapes the running local stack by the configuration that is mounted in compose."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator.servers import Guarded
from orchestrator.servers.ports import LOOPBACK, free_ports

MONITORING = Path(__file__).parents[3] / "monitoring"
_READY_S = 60.0


@dataclass(frozen=True)
class Prometheus:
    """Its API."""

    address: str

    def ask(self, path: str, **parameters: object) -> Any:
        """The ``data`` of an answer."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20.0) as answer:
            return json.load(answer)["data"]

    def values(self, expression: str, over_s: float) -> list[float]:
        """Every value of a range query that is a number."""
        end_s = time.time()
        found = self.ask("query_range", query=expression, start=end_s - over_s, end=end_s, step=2)
        values = [float(value) for series in found["result"] for _, value in series["values"]]
        return [value for value in values if value == value]  # noqa: PLR0124 - NaN is not itself

    def targets(self) -> dict[str, str]:
        """The health of each target, by its job."""
        return {each["labels"]["job"]: each["health"] for each in self.ask("targets")["activeTargets"]}


@contextmanager
def watching(targets: Mapping[str, Mapping[str, str]], folder: Path) -> Iterator[Prometheus]:
    """Prometheus with ``monitoring/prometheus.yml``: compose names replaced by addresses, its pace raised, no token.

    Args:
        targets: for each job, ``address`` and further labels; jobs that are not named are left out.
        folder: for its configuration, data and log.
    """
    own = f"{LOOPBACK}:{free_ports(1)[0]}"
    jobs = dict(targets) | {"prometheus": {"address": own}}
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config.pop("alerting")
    config["scrape_configs"] = [
        _found(job, jobs[job["job_name"]]) for job in config["scrape_configs"] if job["job_name"] in jobs
    ]
    shutil.copytree(MONITORING / "rules", folder / "rules")
    for path in (folder / "rules").glob("*.yml"):
        path.write_text(re.sub(r"interval: 1m$", "interval: 2s", path.read_text(), flags=re.MULTILINE))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={own}",
        "--log.level=warn",
    ]
    with Guarded.start(command, log=folder / "prometheus.log") as process:
        _wait_ready(process, own)
        yield Prometheus(own)


def expanded(query: str, over_s: float) -> str:
    """A panel's query with its variables as Grafana fills them in: all groups, bundles and replicas."""
    now_ms = int(time.time() * 1000)
    filled = {
        "$__rate_interval": "20s",
        "$__interval": "20s",
        "$__from": str(now_ms - int(over_s * 1000)),
        "$__to": str(now_ms),
        "$group": ".*",
        "$bundle": ".*",
        "$replica": ".*",
        "$dispatcher": ".*",
        "$price": "1",
    }
    for name, value in filled.items():
        query = query.replace(name, value)
    assert "$" not in query, query
    return query


def _found(job: dict[str, Any], target: Mapping[str, str]) -> dict[str, Any]:
    labels = {name: value for name, value in target.items() if name != "address"}
    job = {name: value for name, value in job.items() if not name.endswith("_sd_configs") and name != "authorization"}
    return job | {"static_configs": [{"targets": [target["address"]], "labels": labels}]}


def _wait_ready(process: Guarded, address: str) -> None:
    give_up_s = time.monotonic() + _READY_S
    while time.monotonic() < give_up_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready", timeout=1.0):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"Prometheus does not get ready:\n{process.tail()}")
