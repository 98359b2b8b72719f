"""What several dispatcher processes show at one address: their metrics together, ready where all are."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from narrows.contract.errors import RecordError, ServiceError
from narrows.contract.records.readiness import Readiness
from narrows.runtime.exposure import Exposure, Reply
from narrows.runtime.listening import brings
from orchestrator.processes.exposition import merged
from orchestrator.processes.metrics import ProcessMetrics
from orchestrator.processes.process import DispatcherProcess

_ANSWER_S = 0.7
"""The page gives a dispatcher 0.9 s for everything; a process that takes longer is missing from this answer."""


class ProcessesExposure:
    """Answers by asking every process, each time: what they say is never older than the question."""

    def __init__(self, processes: Sequence[DispatcherProcess], metrics: ProcessMetrics, token: str | None) -> None:
        self.stopping = False
        self._processes, self._metrics, self._token = processes, metrics, token
        self._not_ready: list[str] = []
        self._own = Exposure(metrics.registry, self, token)

    async def reply(self, path: str, authorization: str) -> Reply:
        """As :meth:`narrows.runtime.exposure.Exposure.reply`."""
        if path == "/metrics" and brings(authorization, self._token):
            return Reply(HTTPStatus.OK, CONTENT_TYPE_LATEST, await self._metrics_of_all())
        if path == "/readyz":
            answers = await asyncio.gather(*map(_readiness, self._processes))
            self._not_ready = reasons({p.number: each for p, each in zip(self._processes, answers, strict=True)})
        return self._own.reply(path, authorization)

    def alive(self) -> dict[str, object]:
        """The body of ``/healthz``: the supervisor's. It kills and starts again what is silent of its processes."""
        return {"alive": True, "processes": len(self._processes)}

    def reasons_not_ready(self) -> list[str]:
        """As the processes said just now."""
        return (["stopping"] if self.stopping else []) + self._not_ready

    async def _metrics_of_all(self) -> bytes:
        answers = await asyncio.gather(*map(_exposition, self._processes))
        for process, answer in zip(self._processes, answers, strict=True):
            self._metrics.up.labels(str(process.number)).set(answer is not None)
        texts = {str(p.number): text for p, text in zip(self._processes, answers, strict=True) if text is not None}
        return merged(generate_latest(self._metrics.registry).decode(), texts).encode()


def reasons(answers: Mapping[int, Readiness | str]) -> list[str]:
    """Why not all processes are ready; empty where they are. Pure.

    Args:
        answers: of each process, or why there is none.
    """
    found = []
    for number, answer in answers.items():
        if isinstance(answer, str):
            found.append(f"process {number}: {answer}")
        elif not answer.ready:
            found += [f"process {number}: {reason}" for reason in answer.reasons or ("not ready",)]
    return found


async def _exposition(process: DispatcherProcess) -> str | None:
    try:
        status, body = await process.ask("/metrics", _ANSWER_S)
    except ServiceError:
        return None
    return body.decode() if status == HTTPStatus.OK else None


async def _readiness(process: DispatcherProcess) -> Readiness | str:
    try:
        _, body = await process.ask("/readyz", _ANSWER_S)
        return Readiness.parse(body)
    except ServiceError as error:
        return str(error)
    except RecordError as error:
        return f"what it answers cannot be read: {error}"
