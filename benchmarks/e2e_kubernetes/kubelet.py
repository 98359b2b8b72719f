"""Nodes and their kubelets, played: pods that have a node become ready, and those that are deleted end gracefully.

Nothing runs in them. What the control plane does with pods it does all the same, for it knows only what is told here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

BROKEN = "broken"
"""An image with this word in its name cannot be pulled."""
_LOOK_S = 0.3
_FIRST_ADDRESS = IPv4Address("10.244.0.2")
_CAPACITY = {"cpu": "8", "memory": "32Gi", "pods": "64", "ephemeral-storage": "64Gi"}


class Kubelets:
    """Those of every node, in one thread."""

    def __init__(self, api_client: client.ApiClient) -> None:
        """Play with this client, which may do everything."""
        self._api: Any = client.CoreV1Api(api_client)  # it takes JSON too, which its types do not say
        self._addresses = (str(_FIRST_ADDRESS + number) for number in range(10_000))
        self._given: dict[str, str] = {}
        self._over, self._playing = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, nodes: int) -> None:
        """Join so many nodes, each in a zone of its own, and begin."""
        for number in range(1, nodes + 1):
            self._join(f"node-{number}", f"zone-{number}")
        self._thread.start()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Meanwhile no pod becomes ready, and none ends."""
        with self._playing:
            yield

    def close(self) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _join(self, name: str, zone: str) -> None:
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone, "kubernetes.io/os": "linux"}
        self._api.create_node({"metadata": {"name": name, "labels": labels}})
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "played"}
        status = {"capacity": _CAPACITY, "allocatable": _CAPACITY, "conditions": [ready]}
        self._api.patch_node_status(name, {"status": status})
        self._api.patch_node(name, {"spec": {"taints": None}})  # the API server marks each new node as not ready

    def _run(self) -> None:
        while not self._over.wait(_LOOK_S):
            try:
                with self._playing:
                    self._look()
            except (ApiException, HTTPError):
                continue  # the API server is slow, or a pod was changed meanwhile: look again

    def _look(self) -> None:
        for pod in self._api.list_pod_for_all_namespaces(_request_timeout=10).items:
            self._look_after(pod)

    def _look_after(self, pod: Any) -> None:  # noqa: ANN401 - the client's model
        name, namespace = pod.metadata.name, pod.metadata.namespace
        if not pod.spec.node_name:
            return
        if pod.metadata.deletion_timestamp is not None:
            self._api.delete_namespaced_pod(name, namespace, body={"gracePeriodSeconds": 0})
        elif pod.status.phase == "Pending" and not (pod.status.container_statuses or ()):
            address = self._given.setdefault(pod.metadata.uid, next(self._addresses))
            self._api.patch_namespaced_pod_status(name, namespace, {"status": status_of(pod.spec, address)})


def status_of(spec: Any, address: str) -> dict[str, Any]:  # noqa: ANN401 - the client's model
    """What a kubelet says of a pod that it has started, or that it cannot start for want of an image."""
    now = datetime.now(UTC).isoformat()
    pulled = not any(BROKEN in container.image for container in spec.containers)
    conditions = {"Initialized": True, "PodScheduled": True, "ContainersReady": pulled, "Ready": pulled}
    state = {"running": {"startedAt": now}} if pulled else {"waiting": {"reason": "ImagePullBackOff"}}
    return {
        "phase": "Running" if pulled else "Pending",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": [
            {"type": name, "status": str(holds), "lastTransitionTime": now} for name, holds in conditions.items()
        ],
        "containerStatuses": list(_containers(spec, state, ready=pulled)),
    }


def _containers(spec: Any, state: dict[str, Any], *, ready: bool) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    for each in spec.containers:
        yield {"name": each.name, "image": each.image, "imageID": each.image, "ready": ready, "started": ready,
               "restartCount": 0, "state": state}  # fmt: skip
