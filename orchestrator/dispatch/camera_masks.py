"""Which streams send masks that their cameras made, and which are asked to: names for the dispatcher's report."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from narrows.contract.records.report import MOST_NAMED_STREAMS, CameraMasks
from orchestrator.dispatch.stream import Stream

AUDITED_WITHIN_S = 600.0
"""One mask in a hundred, say, is audited: of a camera of one frame a second that is one in two minutes."""


def camera_masks_of(streams: Collection[Stream], now_s: float) -> CameraMasks:
    """What is said of streams that sent a frame lately; ``now_s`` is monotonic."""
    made = [stream for stream in streams if stream.makes_masks]
    return CameraMasks(
        made=_names(made),
        audited=_names(stream for stream in made if now_s - stream.audited_s < AUDITED_WITHIN_S),
        asked=_names(stream for stream in streams if stream.asked_for_masks),
    )


def _names(streams: Iterable[Stream]) -> tuple[str, ...]:
    return tuple(sorted(stream.id for stream in streams)[:MOST_NAMED_STREAMS])
