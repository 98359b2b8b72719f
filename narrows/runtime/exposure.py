"""What a program shows over HTTP, whatever serves it: metrics for Prometheus, and the two probes.

======== ======================= ====================================================
path     with the token          without it, where there is one
======== ======================= ====================================================
/metrics 200, the exposition     401
/healthz 200, what it says       200, ``{}``
/readyz  200 or 503, and why not 200 or 503
======== ======================= ====================================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, disable_created_metrics, generate_latest

from narrows.runtime.listening import brings

PATHS = ("/metrics", "/healthz", "/readyz")
UNAUTHORIZED_TEXT = "A token is needed: Authorization: Bearer TOKEN"
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for


class HealthProbe(Protocol):
    """What the probes ask of a program."""

    def alive(self) -> dict[str, object]:
        """The body of ``/healthz``."""
        ...

    def reasons_not_ready(self) -> list[str]:
        """Why no work should be expected of it; empty if it is ready."""
        ...


class Reply(NamedTuple):
    """An answer, headers aside that every answer has."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Exposure:
    """The three answers of one program.

    Attributes:
        token: what a visitor has to know; ``None``: nothing.
    """

    registry: CollectorRegistry
    health: HealthProbe
    token: str | None = field(default=None, repr=False)

    def reply(self, path: str, authorization: str) -> Reply:
        """The answer to a GET of a path, with the header ``Authorization`` or an empty text."""
        known = brings(authorization, self.token)
        match path:
            case "/healthz":
                return _json(HTTPStatus.OK, self.health.alive() if known else {})
            case "/readyz":
                reasons = self.health.reasons_not_ready()
                status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
                return _json(status, {"ready": not reasons, "reasons": reasons if known else []})
            case _ if not known:
                return unauthorized()
            case "/metrics":
                return Reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(self.registry))
        return Reply(HTTPStatus.NOT_FOUND, "text/plain", f"{', '.join(PATHS)} are all there is\n".encode())


def unauthorized(also: str = "") -> Reply:
    """The answer to who did not bring the token."""
    text, challenge = f"{UNAUTHORIZED_TEXT}{also}.\n", (("WWW-Authenticate", "Bearer"),)
    return Reply(HTTPStatus.UNAUTHORIZED, "text/plain", text.encode(), challenge)


def _json(status: HTTPStatus, value: object) -> Reply:
    return Reply(status, "application/json; charset=utf-8", json.dumps(value).encode())
