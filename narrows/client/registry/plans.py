"""Which design of a split network a camera uses, and holding it to one: the operator's side of planning."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from narrows.client.registry.registry import StreamRegistry
from narrows.contract.errors import DesignUnknown, RecordError
from narrows.contract.schedule import Explanation
from narrows.contract.wire import StreamKeys, StreamSettings
from narrows.contract.wire.keys import PACKET_FIELD


@dataclass(frozen=True, slots=True)
class PlanSeen:
    """What a camera said last of its plan, and what it is held to.

    Attributes:
        pinned: the design that an operator holds it to; ``None``: it plans.
        explanation: ``None``: it never said any, or none that can be read.
        age_s: since it was said, by the Redis server's clock.
    """

    pinned: str | None
    explanation: Explanation | None
    age_s: float

    @property
    def follows(self) -> bool:
        """Whether the camera uses what it is held to, where it is held to something."""
        said = self.explanation
        return self.pinned is None or (said is not None and said.chosen.design == self.pinned)


def look_at_plan(registry: StreamRegistry, stream: str) -> PlanSeen:
    """What a camera said last of its plan.

    Raises:
        StreamIdInvalid: the id cannot be used.
    """
    keys = StreamKeys.of(stream, registry.install.shards)
    settings = registry.get_if_readable(stream) or StreamSettings()
    entries: Any = registry.client.xrevrange(keys.plan, count=1)
    explanation, age_s = None, 0.0
    if entries:
        entry, fields = entries[0]
        now: Any = registry.client.time()
        age_s = max(0.0, int(now[0]) + int(now[1]) * 1e-6 - int(entry.partition(b"-")[0]) / 1000)
        with suppress(RecordError):  # what a camera writes costs its operators nothing
            explanation = Explanation.parse(fields.get(PACKET_FIELD, b""))
    return PlanSeen(settings.pinned, explanation, age_s)


def pin(registry: StreamRegistry, stream: str, design: str, *, who: str) -> PlanSeen:
    """Hold a camera to a design, whatever it measures; answers what it said before. An audit event is kept.

    Raises:
        DesignUnknown: the camera said which designs it has, and this is none of them.
        StreamIdInvalid, RecordError: the id, or the design's name.
    """
    seen = look_at_plan(registry, stream)
    designs = () if seen.explanation is None else seen.explanation.designs
    if designs and design not in designs:
        raise DesignUnknown(f"{stream} has no design {design!r}; it has: {'; '.join(designs)}")
    current = registry.get_if_readable(stream) or StreamSettings()
    registry.set(stream, replace(current, design=design), who=who)
    return seen


def unpin(registry: StreamRegistry, stream: str, *, who: str) -> str | None:
    """Let a camera plan again; answers what it was held to. An audit event is kept where it was.

    Raises:
        StreamIdInvalid: the id cannot be used.
    """
    current = registry.get_if_readable(stream) or StreamSettings()
    if current.pinned is not None:
        registry.set(stream, replace(current, design=UNSET), who=who)
    return current.pinned
