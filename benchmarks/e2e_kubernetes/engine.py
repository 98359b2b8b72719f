"""Our Kubernetes engine as the autoscaler has it: the account's rights, marks and fence in a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from benchmarks.e2e.waiting import StackError
from benchmarks.e2e_kubernetes.cluster import AUTOSCALER, TRITON, Stage
from benchmarks.e2e_kubernetes.control_plane import NAMESPACE
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines.kubernetes import KubernetesScale
from orchestrator.scaling.replicas import Observed

_DRAIN_S, _WAIT_S, _LOOK_S = 5.0, 180.0, 0.3


class Engine:
    """One autoscaler's, with a store of its own; several may stand beside each other."""

    def __init__(self, stage: Stage) -> None:
        """For the release's Tritons."""
        token = stage.plane.account_token(AUTOSCALER)
        self._stage, self.store = stage, Store.connect(stage.redis_url)
        self.scaling = KubernetesScale(
            NAMESPACE, TRITON, self.store, drain_s=_DRAIN_S, connect=lambda: stage.plane.client(token)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.scaling.close()
        await self.store.close()

    async def lead(self) -> int:
        """Lead from now on; answers the fencing token."""
        token = await self.store.call("INCR", ScaleKeys.FENCE)
        if not isinstance(token, int):
            raise StackError(f"Redis answers INCR by {token!r}")
        return token

    async def scale(self, target: int, token: int) -> None:
        """Scale from what is seen now."""
        await self.scaling.scale(target, await self.scaling.observe(), token)

    async def emptied(self) -> list[str]:
        """Names of the pods that are being emptied, which have marks in Redis."""
        marked = {address.decode() for address in await self.store.hash_of(ScaleKeys.DRAINING)}
        pods = self._stage.pods(TRITON)
        return sorted(each.metadata.name for each in pods if f"{each.status.pod_ip}:8001" in marked)

    async def until(self, holds: Callable[[Observed], bool], what: str) -> None:
        """Wait until what is seen is so.

        Raises:
            StackError: it is not in time.
        """
        try:
            async with asyncio.timeout(_WAIT_S):
                while not holds(await self.scaling.observe()):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise StackError(f"{what}: not within {_WAIT_S:.0f} s") from None
