"""The cluster as scenes see it: the release in its namespace, by the official client and by `kubectl`."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes import client

from benchmarks.e2e.waiting import until
from benchmarks.e2e_kubernetes.chart import RELEASE, Chart, Manifest, as_json
from benchmarks.e2e_kubernetes.control_plane import NAMESPACE, ControlPlane
from benchmarks.e2e_kubernetes.kubelet import Kubelets

TRITON, DISPATCHER, AUTOSCALER = (f"{RELEASE}-{part}" for part in ("triton", "dispatcher", "autoscaler"))
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_SETTLE_S = 300.0


@dataclass(frozen=True)
class Stage:
    """Where scenes play.

    Attributes:
        redis_url: a real Redis, for marks, leases and fences.
        version: the API server's.
    """

    plane: ControlPlane
    chart: Chart
    kubectl_program: Path
    redis_url: str
    version: str
    kubelets: Kubelets

    @property
    def apps(self) -> Any:  # noqa: ANN401 - it takes JSON too, which its types do not say
        """Deployments, as one who may do everything."""
        return client.AppsV1Api(self.plane.client())

    @property
    def core(self) -> Any:  # noqa: ANN401 - it takes JSON too, which its types do not say
        """Pods, as one who may do everything."""
        return client.CoreV1Api(self.plane.client())

    def kubectl(self, *words: str, given: str | None = None) -> str:
        """Run ``kubectl WORDS`` in the namespace; answers what it printed."""
        command = [str(self.kubectl_program), "--kubeconfig", str(self.plane.kubeconfig()), *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=300)
        return done.stdout

    def apply(self, manifests: Sequence[Manifest]) -> None:
        """Apply them as an operator would. Their fields are held to newer schemas elsewhere."""
        self.kubectl("apply", "--validate=false", "--filename", "-", given=as_json(list(manifests)))

    def deployment(self, name: str) -> Any:  # noqa: ANN401 - the client's model
        """What the cluster says of a Deployment."""
        return self.apps.read_namespaced_deployment(name, NAMESPACE)

    def settled(self, name: str, replicas: int | None = None) -> float:
        """Wait until a Deployment is what it is meant to be, with no pod too many; answers the seconds."""
        what = f"{name} has {replicas or 'all its'} pods ready and no others"
        return until(lambda: self._is_settled(name, replicas), what, _SETTLE_S)

    def pods(self, deployment: str) -> list[Any]:
        """Its pods that are not being deleted, oldest first."""
        selector = self.deployment(deployment).spec.selector.match_labels
        labels = ",".join(f"{name}={value}" for name, value in selector.items())
        found = self.core.list_namespaced_pod(NAMESPACE, label_selector=labels).items
        staying = [each for each in found if each.metadata.deletion_timestamp is None]
        return sorted(staying, key=lambda each: (each.metadata.creation_timestamp, each.metadata.name))

    def ready(self, deployment: str) -> list[str]:
        """Names of the pods that take work."""
        return [each.metadata.name for each in self.pods(deployment) if _is_ready(each)]

    def write_scale(self, deployment: str, replicas: int) -> None:
        """As `kubectl scale` does: whoever wrote before."""
        self.apps.patch_namespaced_deployment_scale(deployment, NAMESPACE, {"spec": {"replicas": replicas}})

    def may_evict(self, name: str) -> None:
        """Wait until the disruption budget of a Deployment lets one pod go."""
        path = f"/apis/policy/v1beta1/namespaces/{NAMESPACE}/poddisruptionbudgets/{name}"
        until(
            lambda: self.plane.get(path)["status"].get("disruptionsAllowed") == 1, f"{name} may lose a pod", _SETTLE_S
        )

    def _is_settled(self, name: str, replicas: int | None) -> bool:
        found = self.deployment(name)
        wanted, status = found.spec.replicas, found.status
        counts = (status.replicas or 0, status.ready_replicas or 0, status.updated_replicas or 0)
        seen = (status.observed_generation or 0) >= found.metadata.generation
        return seen and replicas in (None, wanted) and counts == (wanted,) * 3 and len(self.pods(name)) == wanted


def _is_ready(pod: Any) -> bool:  # noqa: ANN401 - the client's model
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def served(plane: ControlPlane) -> dict[str, frozenset[str]]:
    """Each version that the cluster serves, with its kinds."""
    groups = plane.get("/apis")["groups"]
    paths = {each["groupVersion"]: f"/apis/{each['groupVersion']}" for group in groups for each in group["versions"]}
    resources = {version: plane.get(path)["resources"] for version, path in ({"v1": "/api/v1"} | paths).items()}
    return {version: frozenset(each["kind"] for each in found) for version, found in resources.items()}
