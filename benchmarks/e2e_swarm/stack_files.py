"""The stack's files as this machine can run them; what differs from ``deploy/swarm`` is named here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.e2e_swarm.images import ROOT

MONITORING = ("prometheus", "alertmanager", "grafana", "redis-exporter")
"""Left out: `make e2e` runs them, and nothing in a swarm asks them."""
_PATIENCE = {"timeout": "30s", "retries": 24}
_FOLDER = ROOT / "deploy" / "swarm"


def write_stack(folder: Path, *, encrypted: bool) -> Path:
    """Write the stack without monitoring, and without encryption between nodes where the kernel has none."""
    path = folder / "stack.yml"
    path.write_text(yaml.safe_dump(adapted(_read("stack.yml"), encrypted=encrypted)))
    return path


def adapted(stack: Mapping[str, Any], *, encrypted: bool) -> dict[str, Any]:
    """The stack that is run; paths are from the root, because it lies elsewhere.

    Health checks may be late and fail for longer, for Swarm ends a task for it: all share this machine's cores.
    """
    services = {name: _patient(service) for name, service in stack["services"].items() if name not in MONITORING}
    configs = {name: _from_root(each) for name, each in stack["configs"].items()}
    networks = {name: each if encrypted else _open(each) for name, each in stack["networks"].items()}
    return {**stack, "services": services, "configs": configs, "networks": networks}


def _from_root(config: Mapping[str, Any]) -> dict[str, Any]:
    return {**config, "file": str((_FOLDER / config["file"]).resolve())}


def _patient(service: Mapping[str, Any]) -> dict[str, Any]:
    return {**service, "healthcheck": {**service.get("healthcheck", {}), **_PATIENCE}}


def _open(network: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in network.items() if key != "driver_opts"}


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((_FOLDER / name).read_text())
    return loaded
