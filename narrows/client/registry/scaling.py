"""Ordering servers, or none of it, with an audit; and reading what the autoscaler says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from msgspec.structs import replace

from narrows.client.registry.audit import ScaleEvent, write_scale_audit
from narrows.contract.wire.keys import ScaleKeys
from narrows.contract.wire.scale_order import MAX_WHO_CHARACTERS, ScaleOrder


@dataclass(frozen=True, slots=True)
class ScaleRegistry:
    """The operator's side of scaling. The audit event is written *before* the change, as for streams."""

    client: redis.Redis

    def order(self) -> ScaleOrder:
        """The standing order.

        Raises:
            RecordError: what is stored cannot be read.
        """
        return _parsed(self.client.get(ScaleKeys.COMMAND)) or ScaleOrder()

    def set_servers(self, servers: int | None, *, who: str) -> ScaleOrder:
        """Order so many servers; ``None`` gives the number back to the policy. Answers what now stands.

        Raises:
            RecordError: what was stored cannot be read, or the number cannot be ordered.
        """
        return self._change(lambda order: replace(order, servers=servers), "set", who)

    def freeze(self, *, frozen: bool, who: str) -> ScaleOrder:
        """Order that nothing is changed, or lift that. Answers what now stands.

        Raises:
            RecordError: what was stored cannot be read.
        """
        return self._change(lambda order: replace(order, frozen=frozen), "freeze" if frozen else "unfreeze", who)

    def _change(self, change: Callable[[ScaleOrder], ScaleOrder], action: str, who: str) -> ScaleOrder:
        """Change the record as it is; another operator who changes it at the same time is not overwritten."""
        ordered: list[ScaleOrder] = []

        def attempt(pipe: redis.client.Pipeline) -> None:
            before = _parsed(pipe.get(ScaleKeys.COMMAND))
            seconds, micros = self.client.time()
            dated = replace(
                change(before or ScaleOrder()), who=who[:MAX_WHO_CHARACTERS], at_ms=seconds * 1000 + micros // 1000
            )
            after = ScaleOrder.parse(dated.to_json())
            write_scale_audit(self.client, ScaleEvent(who, action, before, after))
            pipe.multi()
            pipe.set(ScaleKeys.COMMAND, after.to_json())
            ordered.append(after)

        self.client.transaction(attempt, ScaleKeys.COMMAND)
        return ordered[-1]


def _parsed(stored: Any) -> ScaleOrder | None:  # noqa: ANN401 - as redis types its answers
    return None if stored is None else ScaleOrder.parse(stored)
