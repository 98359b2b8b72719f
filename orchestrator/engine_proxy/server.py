"""The proxy's HTTP side: every request goes to the gate; what does not pass is counted and said."""

from __future__ import annotations

import json

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest

from narrows.runtime.http import token_needed
from narrows.runtime.listening import brings
from orchestrator.engine_proxy.asked import MOST_BODY_BYTES, Denied, read_line
from orchestrator.engine_proxy.gate import Gate

_METRICS, _PING = "/metrics", "/_ping"  # the latter is how a health check asks whether it lives
_log = structlog.get_logger(__name__)


class Door:
    """Takes requests in, and has its own ``/metrics``; :func:`narrows.runtime.http.serve` serves it."""

    def __init__(self, gate: Gate, token: str | None = None) -> None:
        self._gate, self._token = gate, token
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "narrows_engine_proxy_requests",
            "Requests for the container engine: passed, or why not.",
            ("action", "verdict"),
            registry=self._registry,
        )

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        target = request.raw_path
        if target != _PING and not brings(request.headers.get("Authorization", ""), self._token):
            self._requests.labels("other", "token").inc()
            raise token_needed()
        if request.method == "GET" and target == _METRICS:
            return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
        action = "other"
        try:
            asked = read_line(request.method, target)
            action = asked.action.value
            answer = await self._gate.answer(asked, await _body_of(request))
        except Denied as denied:
            self._requests.labels(action, denied.reason).inc()
            _log.warning("request_denied", action=action, reason=denied.reason, detail=str(denied),
                         method=request.method[:10], target=target[:200])  # fmt: skip
            return _json(denied.status, {"message": f"narrows engine-proxy: {denied}"})
        self._requests.labels(action, "passed").inc()
        if request.method == "GET":
            _log.debug("request_passed", action=action, subject=asked.subject[:12], status=answer.status)
        else:
            _log.info("request_passed", action=action, subject=asked.subject[:12], status=answer.status)
        return web.Response(status=answer.status, body=answer.body, content_type=answer.kind)


async def _body_of(request: web.BaseRequest) -> bytes:
    data = b""
    async for chunk in request.content.iter_chunked(1 << 16):
        data += chunk
        if len(data) > MOST_BODY_BYTES:
            raise Denied("body_size", f"a body of more than {MOST_BODY_BYTES} bytes", 413)
    return data


def _json(status: int, value: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=json.dumps(value).encode(), content_type="application/json")
