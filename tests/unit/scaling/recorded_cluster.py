"""A Kubernetes API in this process: shapes after the API reference (``recorded/kubernetes.json``), no real cluster.

It compares resourceVersions, and deletes pods in the order of a ReplicaSet (no node, not ready, deletion cost, age).
"""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from tests.unit.scaling.recorded_docker import RECORDED

KUBERNETES = json.loads((RECORDED / "kubernetes.json").read_text())
COST = "controller.kubernetes.io/pod-deletion-cost"
_SCALE = "/apis/apps/v1/namespaces/narrows/deployments/triton/scale"
_PODS = "/api/v1/namespaces/narrows/pods"


class RecordedCluster:
    """One Deployment of so many ready pods."""

    def __init__(self, replicas: int) -> None:
        self.scale: dict[str, Any] = copy.deepcopy(KUBERNETES["scale"])
        self.scale["spec"]["replicas"] = replicas
        self.pods: dict[str, dict[str, Any]] = {}
        self.puts: list[int] = []
        self.forbidden = False
        for _ in range(replicas):
            self.add()

    def add(self, *, homeless_s: float | None = None) -> str:
        """A further pod: ready, or without a node for so long; answers its name."""
        pod, number = copy.deepcopy(KUBERNETES["pod"]), len(self.pods) + 1
        pod["metadata"] |= {"name": f"triton-{number}", "creationTimestamp": f"2026-11-23T09:00:{number:02}Z"}
        pod["status"]["podIP"] = f"10.42.0.{number}"
        if homeless_s is not None:
            del pod["spec"]["nodeName"]
            pod["status"] = copy.deepcopy(KUBERNETES["homeless_status"])
            since = datetime.now(UTC) - timedelta(seconds=homeless_s)
            pod["status"]["conditions"][0]["lastTransitionTime"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.pods[pod["metadata"]["name"]] = pod
        return str(pod["metadata"]["name"])

    def touch(self) -> None:
        """The Deployment changes: somebody, or its own status."""
        self.scale["metadata"]["resourceVersion"] = str(int(self.scale["metadata"]["resourceVersion"]) + 1)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """One request."""
        if self.forbidden:
            return 403, KUBERNETES["conflict"] | {"code": 403, "reason": "Forbidden", "message": "forbidden"}
        if path == _SCALE:
            return self._scale(method, body)
        if path == _PODS:
            return 200, KUBERNETES["pods"] | {"items": list(self.pods.values())}
        pod = self.pods.get(path.removeprefix(f"{_PODS}/"))
        if method != "PATCH" or pod is None:
            return 404, KUBERNETES["conflict"] | {"code": 404, "reason": "NotFound", "message": "not found"}
        annotations = pod["metadata"].get("annotations", {}) | body["metadata"]["annotations"]
        pod["metadata"]["annotations"] = {key: each for key, each in annotations.items() if each is not None}
        return 200, pod

    def _scale(self, method: str, body: Any) -> tuple[int, Any]:
        if method == "PUT":
            if body["metadata"]["resourceVersion"] != self.scale["metadata"]["resourceVersion"]:
                return 409, KUBERNETES["conflict"]
            self.puts.append(body["spec"]["replicas"])
            self.scale["spec"]["replicas"] = body["spec"]["replicas"]
            self.touch()
            while len(self.pods) < self.puts[-1]:
                self.add()
            for name in sorted(self.pods, key=self._order)[: max(0, len(self.pods) - self.puts[-1])]:
                del self.pods[name]
        return 200, self.scale

    def _order(self, name: str) -> tuple[bool, bool, int, str]:
        pod = self.pods[name]
        cost = int(pod["metadata"].get("annotations", {}).get(COST, 0))
        return "nodeName" in pod["spec"], "podIP" in pod["status"], cost, name


@asynccontextmanager
async def served_cluster(cluster: RecordedCluster) -> AsyncIterator[str]:
    """The API at a port of this machine; yields its URL."""

    async def handle(request: web.BaseRequest) -> web.Response:
        text = await request.text()
        status, value = cluster.answer(request.method, request.path, json.loads(text) if text else None)
        return web.json_response(value, status=status)

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
