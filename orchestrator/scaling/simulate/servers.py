"""Servers that take their time to come and to go."""

from __future__ import annotations

from collections import deque

from orchestrator.scaling.simulate.world import World


class Servers:
    """What an engine would hold. A slot is occupied from the asking until the drain is over."""

    def __init__(self, world: World, ready: int) -> None:
        self.ready = ready
        self.occupied_s = 0.0
        self._world = world
        self._ready_at_s: deque[float] = deque()
        self._gone_at_s: deque[float] = deque()

    @property
    def starting(self) -> int:
        """On their way up."""
        return len(self._ready_at_s)

    @property
    def draining(self) -> int:
        """On their way out."""
        return len(self._gone_at_s)

    @property
    def coming(self) -> int:
        """Ready or on their way up."""
        return self.ready + len(self._ready_at_s)

    def scale(self, target: int, now_s: float) -> None:
        """Have ``target`` servers: those that still start go first, then ready ones drain."""
        while self.coming < target:
            self._ready_at_s.append(now_s + self._world.startup_s)
        while self.coming > target and self._ready_at_s:
            self._ready_at_s.pop()
        while self.ready > target:
            self.ready -= 1
            self._gone_at_s.append(now_s + self._world.drain_s)

    def lose(self, count: int) -> None:
        """So many ready ones are gone at once, with their slots."""
        self.ready -= min(count, self.ready)

    def step(self, now_s: float) -> None:
        """Let who is due become ready or go, and count the occupied slots for the step from ``now_s``."""
        while self._ready_at_s and self._ready_at_s[0] <= now_s:
            self._ready_at_s.popleft()
            self.ready += 1
        while self._gone_at_s and self._gone_at_s[0] <= now_s:
            self._gone_at_s.popleft()
        self.occupied_s += (self.ready + len(self._ready_at_s) + len(self._gone_at_s)) * self._world.step_s
