"""A model's decoder as a batcher has it: with who reads its load, and how the servers behind it stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from narrows.contract.records.report import ServerReport
from orchestrator.inference.contract import Decoder
from orchestrator.inference.load import LoadReading


class Meter(Protocol):
    """What reads the decoder's load."""

    def observe_offered(self, frames: int) -> None:
        """See :meth:`orchestrator.inference.LoadMeter.observe_offered`."""
        ...

    async def poll(self) -> LoadReading:
        """See :meth:`orchestrator.inference.LoadMeter.poll`."""
        ...


def _no_servers() -> Mapping[str, ServerReport]:
    return {}


async def _no_heads() -> None:
    """Heads that never change."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A decoder, who reads its load, how the servers behind it stand, by address, and who sees that heads changed."""

    decoder: Decoder
    meter: Meter | None = None
    servers: Callable[[], Mapping[str, ServerReport]] = _no_servers
    look_at_heads: Callable[[], Awaitable[None]] = _no_heads


Connect = Callable[[], Awaitable[Connected]]
