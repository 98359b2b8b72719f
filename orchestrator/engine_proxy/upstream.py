"""The real Docker socket, asked for what this process put together itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp

from narrows.contract.errors import ServiceError
from orchestrator.engine_proxy.asked import Denied

MOST_ANSWER_BYTES = 8 << 20
_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)  # a stop waits for the container's grace


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine answered: JSON, or nothing."""

    status: int
    body: bytes
    kind: str = "application/json"


class Engine(Protocol):
    """A Docker engine."""

    async def ask(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Answer:  # noqa: ANN401 - JSON
        """One request, its whole answer.

        Raises:
            Denied: the engine does not answer, or too much.
        """
        ...


class DockerSocket:
    """The engine behind ``unix:///var/run/docker.sock`` or ``tcp://host:port``."""

    def __init__(self, url: str) -> None:
        scheme, _, place = url.partition("://")
        if scheme not in ("unix", "tcp") or not place:
            raise ServiceError(f"Docker at {url!r}: write unix:///var/run/docker.sock or tcp://HOST:PORT")
        connector = aiohttp.UnixConnector(place) if scheme == "unix" else aiohttp.TCPConnector()
        self._base = "http://docker" if scheme == "unix" else f"http://{place}"
        self._session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, auto_decompress=False)
        self._url = url

    async def ask(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Answer:  # noqa: ANN401
        """See :meth:`Engine.ask`."""
        try:
            async with self._session.request(
                method, self._base + path, params=query, json=body, allow_redirects=False
            ) as reply:
                data = await reply.content.read(MOST_ANSWER_BYTES + 1)
                while len(data) <= MOST_ANSWER_BYTES and (more := await reply.content.read(MOST_ANSWER_BYTES)):
                    data += more
                if len(data) > MOST_ANSWER_BYTES:
                    raise Denied("answer_size", f"the engine's answer is longer than {MOST_ANSWER_BYTES} bytes", 502)
                return Answer(reply.status, data, reply.content_type)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Denied("engine", f"Docker at {self._url} does not answer: {error}", 502) from None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()
