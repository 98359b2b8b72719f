"""The Docker SDK, which blocks, asked from a thread; its errors as ours."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from narrows.runtime.redact import redact
from orchestrator.scaling.replicas import ActuationFailed

DEFAULT_DOCKER_URL = "unix:///var/run/docker.sock"
_TIMEOUT_S = 30


class ContainerGone(ActuationFailed):
    """The engine does not know the thing (any more)."""


class Refused(ActuationFailed):
    """The engine, or the proxy before it, answered with an error; ``status`` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Direct(docker.APIClient):  # type: ignore[misc]  # it has no types
    """The SDK's client, which obeys no proxy variable and no ``.netrc``: it asks the address that was named.

    With every request, its first one too, it brings the token that `narrows engine-proxy` asks for.
    """

    def __init__(self, token: str | None, **options: object) -> None:
        self._token_headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        super().__init__(**options)

    def request(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - as the library has it
        """One request; see :meth:`requests.Session.request`."""
        headers = {**self._token_headers, **(options.pop("headers", None) or {})}
        return super().request(method, url, headers=headers, **options)

    @property
    def trust_env(self) -> bool:
        """Never: see :mod:`narrows.runtime.direct`."""
        return False

    @trust_env.setter
    def trust_env(self, _wanted: bool) -> None:
        """What requests.Session sets for a start."""


class DockerEngine:
    """One Docker engine (or the proxy before it); connects when first asked."""

    def __init__(self, url: str = DEFAULT_DOCKER_URL, token: str | None = None, timeout_s: int = _TIMEOUT_S) -> None:
        self.url = url
        self._token = token
        self._timeout_s = timeout_s
        self._client: docker.APIClient | None = None
        self._making = threading.Lock()

    async def ask(self, method: str, /, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - JSON, as the SDK answers
        """Call a method of :class:`docker.APIClient`.

        Raises:
            ContainerGone: there is no such container, service or network.
            Refused: it answered with an error.
            ActuationFailed: it does not answer.
        """
        return await asyncio.to_thread(self._ask, method, args, options)

    async def close(self) -> None:
        """Let the connections go."""
        client, self._client = self._client, None
        if client is not None:
            await asyncio.to_thread(client.close)

    def _ask(self, method: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        try:
            return getattr(self._connected(), method)(*args, **options)
        except NotFound as error:
            raise ContainerGone(f"Docker at {redact(self.url)}: {error.explanation}") from None
        except APIError as error:
            message = f"Docker at {redact(self.url)} refuses {method}: {error.explanation}"
            raise Refused(message, error.status_code or 0) from None
        except (DockerException, RequestException, OSError) as error:
            raise ActuationFailed(
                f"Docker at {redact(self.url)} does not answer: {redact(str(error))}; check the address"
            ) from None

    def _connected(self) -> docker.APIClient:
        with self._making:
            if self._client is None:
                self._client = _Direct(self._token, base_url=self.url, version="auto", timeout=self._timeout_s)
            return self._client
