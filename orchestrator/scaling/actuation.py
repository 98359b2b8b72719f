"""Having done what was decided, and telling the policy how that went.

Both numbers are compared with what is there, so a target is asked for again until it is there, whoever changed it. The
lease is looked at right before each change.
"""

from __future__ import annotations

import asyncio

import structlog

from orchestrator.scaling.engines.fixed import FixedServers
from orchestrator.scaling.leader import Leadership
from orchestrator.scaling.metrics import ScaleMetrics
from orchestrator.scaling.replicas import (
    ActuationFailed,
    CapacityExhausted,
    Instances,
    Observed,
    Replicas,
    StaleLeader,
)
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import Decision
from orchestrator.scaling.steering import Steering

_log = structlog.get_logger(__name__)


class Actuation:
    """What changes servers and instances.

    Attributes:
        failure: what was not done at the last try; empty when it was.
        fixed: nobody can change the number of servers here.
    """

    def __init__(
        self,
        replicas: Replicas,
        instances: Instances | None,
        leadership: Leadership,
        metrics: ScaleMetrics,
        steering: Steering,
    ) -> None:
        self.failure = ""
        self.fixed = isinstance(replicas, FixedServers)
        self._replicas, self._instances, self._leadership = replicas, instances, leadership
        self._metrics, self._steering = metrics, steering
        self._changing: asyncio.Task[None] | None = None

    async def act(
        self, decision: Decision, observed: Observed, instances: int | None, settings: PolicySettings
    ) -> None:
        """Have both numbers, where they differ from what is there.

        Args:
            decision: what there should be.
            observed: what the engine has.
            instances: how many there are in each server; ``None``: not known, so they are left alone.
            settings: of the policy.
        """
        agreed = True
        if decision.servers != observed.wanted and not self.fixed:
            agreed = await self._scale(decision.servers, observed, settings)
        if self._instances is not None and instances is not None and decision.instances != instances:
            if self._changing is None and self._leadership.token is not None:
                self._changing = asyncio.create_task(
                    self._change_instances(self._instances, decision.instances, settings)
                )
        elif agreed and self._changing is None:
            self.failure = ""
            self._steering.succeeded(decision.servers, None if instances is None else decision.instances)

    async def close(self) -> None:
        """Wait for nothing more."""
        if self._changing is not None:
            self._changing.cancel()
            await asyncio.gather(self._changing, return_exceptions=True)

    async def _scale(self, target: int, observed: Observed, settings: PolicySettings) -> bool:
        """Answers whether the engine took it."""
        token = self._leadership.token
        if token is None:
            return False
        try:
            await self._replicas.scale(target, observed, token)
        except StaleLeader as error:
            self._failed(self._replicas.name, "stale", error)
        except CapacityExhausted as error:
            self._failed(self._replicas.name, "exhausted", error)
            self._steering.failed(settings, exhausted=True)
        except ActuationFailed as error:
            self._failed(self._replicas.name, "failed", error)
            self._steering.failed(settings, exhausted=False)
        else:
            _log.info("servers_requested", servers=target, had=observed.wanted, engine=self._replicas.name)
            self._steering.took(servers=target)  # also if instances should fail yet
            return True
        return False

    async def _change_instances(self, instances: Instances, target: int, settings: PolicySettings) -> None:
        """On the side: taking instances away takes more than a second each, and frames do not wait for it."""
        try:
            await instances.set_instances(target)
        except ActuationFailed as error:
            self._failed("instances", "failed", error)
            self._steering.failed(settings, exhausted=False)
        except Exception:  # noqa: BLE001 - a task of its own has no loop above it: said, counted, and tried again
            self._metrics.rounds.labels("crash").inc()
            _log.exception("instances_change_failed")
            self._steering.failed(settings, exhausted=False)
        else:
            _log.info("instances_changed", instances=target)
            self._steering.took(instances=target)
        finally:
            self._changing = None

    def _failed(self, engine: str, kind: str, error: ActuationFailed) -> None:
        self.failure = str(error)
        self._metrics.actuation_failures.labels(engine, kind).inc()
        _log.warning("actuation_failed", engine=engine, kind=kind, error=str(error))
