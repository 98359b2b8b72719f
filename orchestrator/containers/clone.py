"""One more replica of a compose service: what the engine is asked for, made from what it says of a replica.

Pure, and used at both ends: the actuator asks for it, and the proxy before the Docker socket works it out again and
lets nothing else pass. Taken from the replica: the image by its id (a tag may have moved meanwhile), configuration,
host configuration, labels, aliases. Its own alone: name, container number, hostname, the GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Inspected = Mapping[str, Any]  # as GET /containers/{id}/json answers
PROJECT, SERVICE, NUMBER, ONE_OFF = (
    f"com.docker.compose.{each}" for each in ("project", "service", "container-number", "oneoff")
)


def label_filters(project: str, service: str) -> list[str]:
    """What finds the replicas of a service, and not what ``docker compose run`` left."""
    return [f"{PROJECT}={project}", f"{SERVICE}={service}", f"{ONE_OFF}=False"]


def belongs(labels: Mapping[str, str], project: str, service: str) -> bool:
    """Whether a container with these labels is a replica of the service."""
    return (labels.get(PROJECT), labels.get(SERVICE), labels.get(ONE_OFF)) == (project, service, "False")


def number_of(labels: Mapping[str, str]) -> int:
    """A replica's container number; 0 where it has none."""
    text = labels.get(NUMBER, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def name_of(project: str, service: str, number: int) -> str:
    """A replica's name, as compose gives it."""
    return f"{project}-{service}-{number}"


def creation_of(replica: Inspected, number: int, gpu: str | None = None) -> dict[str, Any]:
    """The body of ``POST /containers/create`` for replica ``number``, on its first network.

    Args:
        replica: the one to copy.
        number: of the new one.
        gpu: the device that it shall have in place of the copied one's.
    """
    config, host = dict(replica["Config"]), dict(replica["HostConfig"])
    config.pop("MacAddress", None)
    if config.get("Hostname") == replica["Id"][:12]:
        del config["Hostname"]  # the engine's own choice
    if gpu is not None:
        host["DeviceRequests"] = [_on(gpu, each) for each in host.get("DeviceRequests") or []]
    first = networks_of(replica)[:1]
    return config | {
        "Image": replica["Image"],
        "Labels": replica["Config"]["Labels"] | {NUMBER: str(number)},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {network: endpoint_of(replica, network, number) for network in first}},
    }


def networks_of(replica: Inspected) -> list[str]:
    """Names of its networks: first the one that it is created on, then those that it is connected to before it starts.

    One at a time, because engines before API 1.44 take no more at creation.
    """
    first = replica["HostConfig"].get("NetworkMode", "")
    return sorted(replica["NetworkSettings"]["Networks"], key=lambda network: (network != first, network))


def endpoint_of(replica: Inspected, network: str, number: int) -> dict[str, Any]:
    """How replica ``number`` is attached to a network: under the aliases of the copied one, but for its own.

    ``links``, which Docker calls a legacy, are not copied.
    """
    labels = replica["Config"]["Labels"]
    old, new = (name_of(labels[PROJECT], labels[SERVICE], each) for each in (number_of(labels), number))
    endpoint = replica["NetworkSettings"]["Networks"][network]
    shared = [each for each in endpoint.get("Aliases") or [] if each not in (replica["Id"][:12], old, new)]
    options = endpoint.get("DriverOpts")
    return {"Aliases": [new, *shared]} | ({"DriverOpts": options} if options else {})


def gpus_of(replica: Inspected) -> list[str]:
    """Ids of the GPUs that a replica was given by id."""
    requests: Sequence[Mapping[str, Any]] = replica["HostConfig"].get("DeviceRequests") or []
    return [gpu for each in requests if _is_gpu(each) for gpu in each.get("DeviceIDs") or []]


def _on(gpu: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return dict(request) | ({"Count": 0, "DeviceIDs": [gpu]} if _is_gpu(request) else {})


def _is_gpu(request: Mapping[str, Any]) -> bool:
    return any("gpu" in each for each in request.get("Capabilities") or [])
