"""The engines that run servers, each behind the contract :mod:`orchestrator.scaling.replicas`.

Their clients are imported when they are chosen: whoever scales with one does not install the others', and whoever only
reads the names (the configuration file, on a camera) installs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.contract.errors import ServiceError
from orchestrator.scaling.engines.options import EngineName, EngineOptions

if TYPE_CHECKING:
    from narrows.runtime.redis.store import Store
    from orchestrator.scaling.replicas import Replicas

__all__ = ["EngineName", "EngineOptions", "make_engine"]


def make_engine(name: EngineName, options: EngineOptions, store: Store) -> Replicas:
    """The engine of this name; connects when it is first asked.

    Raises:
        ServiceError: its client is not installed; the message says what to install.
    """
    try:
        return _make(name, options, store)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"docker", "kubernetes"}:
            raise
        extra = "kubernetes" if name is EngineName.KUBERNETES else "docker"
        raise ServiceError(
            f"--engine {name} needs {error.name}, which is not installed: pip install 'narrows[{extra}]'"
        ) from None


def _make(name: EngineName, options: EngineOptions, store: Store) -> Replicas:
    match name:
        case EngineName.LOCAL:
            from orchestrator.scaling.engines.local import LocalServers  # noqa: PLC0415 - so are all of these: lazy

            return LocalServers(store)
        case EngineName.COMPOSE:
            from orchestrator.scaling.engines.compose import ComposeService  # noqa: PLC0415

            return ComposeService(
                options.project,
                options.service,
                store,
                docker_url=options.docker_url,
                docker_token=options.docker_token,
                port=options.port,
                network=options.network,
                slots=options.slots,
                gpus=options.gpus,
                drain_s=options.drain_s,
            )
        case EngineName.SWARM:
            from orchestrator.scaling.engines.swarm import SwarmService  # noqa: PLC0415

            return SwarmService(
                options.service,
                store,
                docker_url=options.docker_url,
                docker_token=options.docker_token,
                port=options.port,
            )
        case EngineName.KUBERNETES:
            import kubernetes  # noqa: F401, PLC0415 - asked for now, or the first look would fail

            from orchestrator.scaling.engines.kubernetes import KubernetesScale  # noqa: PLC0415

            return KubernetesScale(
                options.namespace, options.service, store, port=options.port, drain_s=options.drain_s
            )
        case EngineName.NONE:
            from orchestrator.scaling.engines.fixed import FixedServers  # noqa: PLC0415
            from orchestrator.scaling.reports import Reports  # noqa: PLC0415

            return FixedServers(Reports(store))
