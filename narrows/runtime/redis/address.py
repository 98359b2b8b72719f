"""An address of Redis, taken apart: one server, a master that Sentinels watch, or a cluster.

Sentinel and cluster addresses list servers to begin with; what else there is, these say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.url import check_url, hosts_of

_PORTS = {"redis": 6379, "sentinel": 26379, "cluster": 6379}
_OF_SENTINEL = ("sentinel_username", "sentinel_password")


class Topology(StrEnum):
    """How the servers behind an address stand to each other."""

    SINGLE = "redis"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """What an address says.

    Attributes:
        url: as it was given.
        servers: the Sentinels, or members of the cluster to begin with; of one server none is named here.
        service: the name by which Sentinels know the master.
        sentinel: the user and password of the Sentinels themselves, as redis-py names them.
    """

    url: str
    topology: Topology
    servers: tuple[Endpoint, ...] = ()
    service: str = ""
    sentinel: Mapping[str, str] | None = None

    @classmethod
    def parse(cls, url: str) -> Address:
        """Take an address apart.

        Raises:
            ServiceError: it is none; the message has nothing of it but its scheme.
        """
        parts = urlsplit(check_url(url))
        topology = Topology(parts.scheme.partition("+")[2] or Topology.SINGLE)
        if topology is Topology.SINGLE:
            return cls(url, topology)
        servers = tuple(_endpoint(each, _PORTS[topology]) for each in hosts_of(parts))
        if topology is Topology.CLUSTER:
            return cls(url, topology, servers)
        given = {name: value for name, value in parse_qsl(parts.query) if name in _OF_SENTINEL}
        sentinel = {name.removeprefix("sentinel_"): value for name, value in given.items()}
        return cls(url, topology, servers, parts.path.split("/")[1], sentinel)

    def of_server(self, server: Endpoint) -> str:
        """The address of one of the servers that hold the data, with the user and the options that were given."""
        parts = urlsplit(self.url)
        userinfo, at, _ = parts.netloc.rpartition("@")
        query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _OF_SENTINEL]
        return SplitResult(
            parts.scheme.partition("+")[0],
            f"{userinfo}{at}{server}",
            f"/{self._database(parts.path)}",
            urlencode(query, safe="/"),
            "",
        ).geturl()

    def _database(self, path: str) -> str:
        return (path.split("/")[2:] or ["0"])[0] or "0" if self.topology is Topology.SENTINEL else "0"


def _endpoint(text: str, default_port: int) -> Endpoint:
    host, _, port = text.rpartition(":") if not text.endswith("]") and ":" in text else (text, "", "")
    number = int(port) if port else default_port
    if number == 0:
        raise ServiceError("--redis-url has the port 0, on which no server listens")
    return Endpoint(host.strip("[]"), number)
