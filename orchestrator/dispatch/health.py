"""Whether a dispatcher lives, and whether it works: what the probes are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from orchestrator.telemetry.pause import PERIOD_S, PROCESS, PauseWatch


@dataclass
class DispatcherHealth:
    """Written by the dispatcher's loops, read by the probes.

    Attributes:
        loop_lag_s: by how much the event loop was last late.
        redis_ok: whether the last round with Redis succeeded.
        shards_away: the shards whose node of a cluster cannot be reached.
        shards_owned, shards_due: how many shards are owned, and how many should be.
        decoders_ready: readiness by bundle id.
        install: why the install is not the one that this process began with; empty while it is.
        stopping: whether the process is about to end.
    """

    loop_lag_s: float = 0.0
    ticked_s: float = field(default_factory=time.monotonic)
    redis_ok: bool = False
    shards_away: list[int] = field(default_factory=list)
    shards_owned: int = 0
    shards_due: int = 0
    decoders_ready: dict[str, bool] = field(default_factory=dict)
    install: str = ""
    stopping: bool = False

    async def watch_loop(self, stood_still: Callable[[float], None], pause: PauseWatch = PROCESS) -> None:
        """Measure how late the event loop is, for ever; ``stood_still`` is told for how many seconds it did."""
        while True:
            if still_s := pause.tick():
                stood_still(still_s)
            before_s = time.monotonic()
            await asyncio.sleep(PERIOD_S)
            self.ticked_s = time.monotonic()
            self.loop_lag_s = max(0.0, self.ticked_s - before_s - PERIOD_S)

    def alive(self) -> dict[str, object]:
        """The body of ``/healthz``: that it is answered at all says that the loop runs."""
        age_s = time.monotonic() - self.ticked_s
        return {"alive": True, "loop_lag_s": round(self.loop_lag_s, 4), "loop_age_s": round(age_s, 3)}

    def reasons_not_ready(self) -> list[str]:
        """Why no work should be expected of this process; empty if it is ready."""
        reasons = []
        if self.stopping:
            reasons.append("stopping")
        if not self.redis_ok:
            reasons.append("Redis does not answer")
        if self.shards_away:
            reasons.append(f"Redis does not answer for shards {', '.join(map(str, self.shards_away))}")
        if self.install:
            reasons.append(self.install)
        if self.shards_owned < self.shards_due:
            reasons.append(f"owns {self.shards_owned} shards, should own {self.shards_due}")
        reasons += [
            f"Triton: bundle {bundle} is not ready" for bundle, ready in self.decoders_ready.items() if not ready
        ]
        return reasons
