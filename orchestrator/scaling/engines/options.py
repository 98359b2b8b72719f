"""Which engine runs the servers, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EngineName(StrEnum):
    """What may stand after ``--engine``."""

    LOCAL = "local"
    COMPOSE = "compose"
    SWARM = "swarm"
    KUBERNETES = "kubernetes"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What only some engines need.

    Attributes:
        service: of compose or Swarm, or the deployment of Kubernetes.
        project: of compose.
        network: of the compose file, on which servers are reached.
        namespace: of Kubernetes.
        docker_url: the engine's socket, or the proxy before it.
        docker_token: what that proxy asks for.
        port: of gRPC in each server.
        slots: servers that the compose host can hold.
        gpus: of the compose host, one to a server.
        drain_s: how long a server may take to finish its work.
    """

    service: str = "triton"
    project: str = "narrows"
    network: str = "default"
    namespace: str = "default"
    docker_url: str = "unix:///var/run/docker.sock"
    docker_token: str | None = None
    port: int = 8001
    slots: int | None = None
    gpus: tuple[str, ...] = ()
    drain_s: float = 30.0
