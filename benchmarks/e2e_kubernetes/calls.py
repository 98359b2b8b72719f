"""Single calls to the API server, and how it answers them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from benchmarks.e2e_kubernetes.cluster import DELETION_COST, DISPATCHER, TRITON, Stage
from benchmarks.e2e_kubernetes.control_plane import NAMESPACE

Calls = dict[str, Callable[[], object]]


def status_of(call: Callable[[], object]) -> int:
    """Its HTTP status; 200 for any success."""
    try:
        call()
    except ApiException as error:
        return int(error.status)
    return 200


def write_under(stage: Stage, version: str, replicas: int) -> int:
    """Write the decoders' scale under a version; answers the HTTP status."""
    metadata = {"name": TRITON, "namespace": NAMESPACE, "resourceVersion": version}
    body = {"metadata": metadata, "spec": {"replicas": replicas}}
    return status_of(partial(stage.apps.replace_namespaced_deployment_scale, TRITON, NAMESPACE, body))


def evict(stage: Stage, pod: str) -> int:
    """Ask for a pod's eviction, as `kubectl drain` does; answers the HTTP status."""
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
    return status_of(partial(stage.plane.post, path, body))


def needed(api_client: client.ApiClient, pod: str) -> Calls:
    """What the autoscaler cannot do without."""
    apps, core = _apis(api_client)
    mark = {"metadata": {"annotations": {DELETION_COST: None}}}
    return {
        "get scale": partial(apps.read_namespaced_deployment_scale, TRITON, NAMESPACE),
        "put scale": lambda: apps.replace_namespaced_deployment_scale(
            TRITON, NAMESPACE, {"metadata": {"name": TRITON, "namespace": NAMESPACE}, "spec": {"replicas": 1}}
        ),
        "list pods": partial(core.list_namespaced_pod, NAMESPACE),
        "patch pod": partial(core.patch_namespaced_pod, pod, NAMESPACE, mark),
    }


def forbidden(api_client: client.ApiClient, pod: str) -> Calls:
    """What it has no business with."""
    apps, core = _apis(api_client)
    scale = {"spec": {"replicas": 0}}
    made = {"metadata": {"name": "made"}, "spec": {"containers": [{"name": "made", "image": "made"}]}}
    return {
        "scale another deployment": partial(apps.patch_namespaced_deployment_scale, DISPATCHER, NAMESPACE, scale),
        "get another deployment's scale": partial(apps.read_namespaced_deployment_scale, DISPATCHER, NAMESPACE),
        "get scale in another namespace": partial(apps.read_namespaced_deployment_scale, TRITON, "default"),
        "get deployment": partial(apps.read_namespaced_deployment, TRITON, NAMESPACE),
        "patch deployment": partial(apps.patch_namespaced_deployment, TRITON, NAMESPACE, scale),
        "delete deployment": partial(apps.delete_namespaced_deployment, DISPATCHER, NAMESPACE),
        "delete pod": partial(core.delete_namespaced_pod, pod, NAMESPACE),
        "create pod": partial(core.create_namespaced_pod, NAMESPACE, made),
        "list secrets": partial(core.list_namespaced_secret, NAMESPACE),
        "list pods in another namespace": partial(core.list_namespaced_pod, "default"),
        "list nodes": core.list_node,
    }


def _apis(api_client: client.ApiClient) -> tuple[Any, Any]:
    """Deployments' and pods'; they take JSON as well as their own models, which their types do not say."""
    return client.AppsV1Api(api_client), client.CoreV1Api(api_client)
