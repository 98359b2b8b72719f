"""The policy with its memory: it decides, and hears what became of what it decided."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from orchestrator.scaling.policy import PolicySettings, PolicyState, after_failure, after_success, after_taking, decide
from orchestrator.scaling.signals import Decision, Orders, Signals


class Steering:
    """Owns the state that the pure policy takes and returns; nobody else changes it.

    Attributes:
        state: what is remembered; ``None``: nothing, for this process does not lead.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.state: PolicyState | None = None
        self._monotonic = monotonic

    def decide(
        self,
        signals: Signals,
        orders: Orders,
        settings: PolicySettings,
        *,
        instances_known: bool = True,
        servers_fixed: bool = False,
    ) -> Decision:
        """What there should be.

        Args:
            signals: as they are now.
            orders: of the operator.
            settings: bounds and knobs.
            instances_known: where not, what is remembered of instances is forgotten.
            servers_fixed: others start and stop the servers, so their number is no decision to remember.
        """
        decision, state = decide(signals, orders, self.state or PolicyState(), settings, self._monotonic())
        if not instances_known:
            state = replace(state, instances=None, applied=None)
        if servers_fixed:
            state = replace(state, servers=None)
        self.state = state
        return decision

    def forget(self) -> None:
        """Another process leads now: what was remembered here grows stale."""
        self.state = None

    def took(self, *, servers: int | None = None, instances: int | None = None) -> None:
        """The engine took these numbers; ``None`` is one that it was not asked for."""
        if self.state is not None:
            self.state = after_taking(self.state, servers=servers, instances=instances)

    def succeeded(self, servers: int, instances: int | None) -> None:
        """The engine has all that was decided last. ``None``: instances are not known."""
        if self.state is not None:
            self.state = after_success(self.state, servers, instances)

    def failed(self, settings: PolicySettings, *, exhausted: bool) -> None:
        """The engine failed to do what was decided; ``exhausted``: it has no slot left."""
        if self.state is not None:
            self.state = after_failure(self.state, settings, self._monotonic(), exhausted=exhausted)
