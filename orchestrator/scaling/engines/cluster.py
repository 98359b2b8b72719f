"""The official Kubernetes client, which blocks, asked from a thread; its answers as values, its errors as ours.

What it needs of the cluster: ``get`` and ``update`` on ``deployments/scale``, ``list`` and ``patch`` on ``pods``,
both in one namespace. The client is heavy (126 MB installed, for every API of Kubernetes): an extra, imported when
first used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from orchestrator.discovery.address import Address
from orchestrator.scaling.replicas import ActuationFailed, StaleLeader

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_TIMEOUT_S = 10
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


class ServiceGone(ActuationFailed):
    """The cluster does not know the thing (any more)."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale subresource: ``replicas`` asked for, of what ``selector`` finds, at a ``version``."""

    replicas: int
    selector: str
    version: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod that has not ended.

    Attributes:
        name: its own.
        born: when it was made.
        placed: it has a node.
        ready: it takes work.
        leaving: it was deleted, and is finishing.
        homeless_since: since when the scheduler has found no node for it.
        addresses: ``host:port``; none before it has one.
    """

    name: str
    born: datetime
    placed: bool
    ready: bool
    leaving: bool
    homeless_since: datetime | None
    addresses: tuple[str, ...]


class Cluster:
    """One namespace of a cluster, as far as scaling needs it."""

    def __init__(self, namespace: str, connect: Callable[[], ApiClient] | None = None) -> None:
        """Connect when first asked: from within a pod by its service account, else as ``kubectl`` does."""
        self._namespace, self._connect = namespace, connect or _connected
        self._client: ApiClient | None = None

    async def scale_of(self, deployment: str) -> Scale:
        """Read the scale subresource.

        Raises:
            ActuationFailed: the cluster refuses or does not answer.
        """
        return _scale(await self._ask("apps", "read_namespaced_deployment_scale", deployment))

    async def set_scale(self, deployment: str, replicas: int, version: str) -> None:
        """Write it, under the version that was seen.

        Raises:
            StaleLeader: it was changed since.
            ActuationFailed: the cluster refuses or does not answer.
        """
        metadata = {"name": deployment, "namespace": self._namespace, "resourceVersion": version}
        body = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata, "spec": {"replicas": replicas}}
        await self._ask("apps", "replace_namespaced_deployment_scale", deployment, body=body)

    async def pods(self, selector: str, port: int) -> list[Pod]:
        """The pods that have not ended.

        Raises:
            ActuationFailed: the cluster refuses or does not answer.
        """
        found = await self._ask("core", "list_namespaced_pod", label_selector=selector)
        return [_pod(each, port) for each in found.items if each.status.phase not in ("Succeeded", "Failed")]

    async def set_deletion_cost(self, pod: str, cost: int | None) -> None:
        """Say how dear a pod is when some must go: the cheapest goes first; ``None`` as any other.

        Raises:
            ServiceGone: there is no such pod.
            ActuationFailed: the cluster refuses or does not answer.
        """
        annotations = {_DELETION_COST: None if cost is None else str(cost)}
        await self._ask("core", "patch_namespaced_pod", pod, body={"metadata": {"annotations": annotations}})

    async def close(self) -> None:
        """Let the connections go."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _ask(self, group: str, method: str, *args: str, **options: Any) -> Any:  # noqa: ANN401 - its own models
        return await asyncio.to_thread(self._blocking, group, method, args, options)

    def _blocking(self, group: str, method: str, args: tuple[str, ...], options: dict[str, Any]) -> Any:  # noqa: ANN401
        from kubernetes.client import AppsV1Api, CoreV1Api  # noqa: PLC0415 - half a second, and an extra
        from kubernetes.client.exceptions import ApiException  # noqa: PLC0415
        from kubernetes.config import ConfigException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            if self._client is None:
                self._client = self._connect()
            api = {"apps": AppsV1Api, "core": CoreV1Api}[group](self._client)
            return getattr(api, method)(*args, namespace=self._namespace, _request_timeout=_TIMEOUT_S, **options)
        except ApiException as error:
            raise _named(error.status, f"Kubernetes refuses {method}: {error.status} {error.reason}") from None
        except (HTTPError, ConfigException, OSError) as error:
            raise ActuationFailed(f"Kubernetes does not answer: {error}") from None


def _named(status: int, message: str) -> ActuationFailed:
    if status == 409:
        return StaleLeader(f"{message}: it was changed since")
    if status == 403:
        return ActuationFailed(
            f"{message}; the service account needs get and update on deployments/scale, list and patch on pods"
        )
    return (ServiceGone if status == 404 else ActuationFailed)(message)


def _connected() -> ApiClient:
    from kubernetes import client, config  # noqa: PLC0415 - as above

    configuration = client.Configuration()
    configuration.proxy = None  # of the environment; a kubeconfig's proxy-url is the operator's word
    try:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return client.ApiClient(configuration)


def _scale(raw: Any) -> Scale:  # noqa: ANN401 - a V1Scale
    return Scale(raw.spec.replicas or 0, raw.status.selector, raw.metadata.resource_version)


def _pod(raw: Any, port: int) -> Pod:  # noqa: ANN401 - a V1Pod
    conditions = {each.type: each for each in raw.status.conditions or []}
    ready, scheduled = conditions.get("Ready"), conditions.get("PodScheduled")
    homeless = scheduled is not None and scheduled.status == "False" and scheduled.reason == "Unschedulable"
    return Pod(
        name=raw.metadata.name,
        born=raw.metadata.creation_timestamp,
        placed=bool(raw.spec.node_name),
        ready=ready is not None and ready.status == "True",
        leaving=raw.metadata.deletion_timestamp is not None,
        homeless_since=scheduled.last_transition_time if scheduled is not None and homeless else None,
        addresses=(str(Address(raw.status.pod_ip, port)),) if raw.status.pod_ip else (),
    )
