"""What a cluster of another version takes of the chart, what a played kubelet says, and what is compiled."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from benchmarks.e2e_kubernetes.build import Builder, Progress
from benchmarks.e2e_kubernetes.chart import taken_by, unknown_fields
from benchmarks.e2e_kubernetes.kubelet import BROKEN, status_of

KNOWN = {"apps/v1": frozenset({"Deployment"}), "policy/v1beta1": frozenset({"PodDisruptionBudget"})}


@pytest.mark.parametrize(
    ("version", "kind", "taken"),
    [
        ("apps/v1", "Deployment", "apps/v1"),
        ("policy/v1", "PodDisruptionBudget", "policy/v1beta1"),
        ("monitoring.coreos.com/v1", "PodMonitor", None),
        ("apps/v1", "DaemonSet", None),
    ],
)
def test_a_cluster_takes_what_it_knows(version: str, kind: str, taken: str | None) -> None:
    manifest = {"apiVersion": version, "kind": kind, "spec": {"replicas": 1}}
    expected = manifest | {"apiVersion": taken} if taken else None
    assert taken_by(manifest, KNOWN) == expected


@pytest.mark.parametrize(
    ("sent", "stored", "unknown"),
    [
        ({"a": 1}, {"a": 1, "default": 2}, []),
        ({"a": {"b": 1}}, {"a": {}}, ["a.b"]),
        ({"a": [{"b": 1}, {"c": 1}]}, {"a": [{"b": 1}, {}]}, ["a[].c"]),
        ({"a": {}, "b": None}, {}, []),
        ({"a": {"b": 1}}, {}, ["a"]),
    ],
)
def test_fields_that_a_cluster_forgot_are_named(sent: Any, stored: Any, unknown: list[str]) -> None:
    assert list(unknown_fields(sent, stored)) == unknown


@pytest.mark.parametrize(("image", "phase", "ready"), [("triton:1", "Running", True), (BROKEN, "Pending", False)])
def test_a_pod_is_ready_where_its_image_can_be_pulled(image: str, phase: str, *, ready: bool) -> None:
    spec = SimpleNamespace(
        containers=[SimpleNamespace(name="one", image="one"), SimpleNamespace(name="two", image=image)]
    )
    status = status_of(spec, "10.244.0.2")
    conditions = {each["type"]: each["status"] for each in status["conditions"]}
    assert (status["phase"], status["podIP"], conditions["Ready"]) == (phase, "10.244.0.2", str(ready))
    assert [each["ready"] for each in status["containerStatuses"]] == [ready, ready]


def test_the_packages_that_are_described_are_kubernetes_own(tmp_path: Path) -> None:
    builder = Builder(tmp_path, Console(quiet=True))
    marked, staging = "// +k8s:openapi-gen=true\n", "staging/src/k8s.io"
    files = {
        f"{staging}/api/core/v1/doc.go": marked,
        f"{staging}/api/core/v1/zz_generated.deepcopy.go": marked,
        f"{staging}/sample-apiserver/pkg/apis/doc.go": marked,
        f"{staging}/code-generator/_examples/doc.go": marked,
        "pkg/apis/abac/v0/doc.go": marked,
        "pkg/other/doc.go": "package other\n",
        "plugin/doc.go": "package plugin\n",
        "cmd/doc.go": "package cmd\n",
    }
    for name, text in files.items():
        (builder.source / name).parent.mkdir(parents=True, exist_ok=True)
        (builder.source / name).write_text(text)
    assert builder.described() == ["k8s.io/kubernetes/pkg/apis/abac/v0", "k8s.io/kubernetes/vendor/k8s.io/api/core/v1"]


def test_a_build_says_every_half_minute_how_long_it_takes_from_here() -> None:
    progress = Progress(needed=1000, done=100)
    told = [progress.one_more(now_s) for now_s in range(0, 64, 2)]  # a package every two seconds
    assert {at: said for at, said in enumerate(told) if said} == {
        15: "116 of 1000 packages compiled, about 29 minutes left",
        30: "131 of 1000 packages compiled, about 29 minutes left",
    }


def test_a_build_that_goes_on_counts_what_is_left_alone() -> None:
    progress = Progress(needed=100, done=99)
    assert [progress.one_more(now_s) for now_s in (0.0, 60.0)][1].endswith("about 0 minutes left")
