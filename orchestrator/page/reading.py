"""What answers as a dispatcher, one process or several: its ``/metrics``, parsed for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from narrows.contract.errors import ServiceError
from orchestrator.processes.exposition import LABEL

OBJECTIVE_S = 0.5
"""A realtime frame's mask is due so long after its Redis entry id."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What only grows: frames by their ends, bytes read, masks timed, and those of them within the objective."""

    masks: float = 0.0
    skipped: float = 0.0
    refused: float = 0.0
    payload_bytes: float = 0.0
    timed: float = 0.0
    in_time: float = 0.0

    def since(self, before: Counted) -> Counted:
        """What was counted since ``before``; a count that fell began anew with its process."""
        pairs = [(getattr(self, each.name), getattr(before, each.name)) for each in fields(self)]
        if any(now < then for now, then in pairs):
            return self
        return Counted(*(now - then for now, then in pairs))

    def __add__(self, other: Counted) -> Counted:
        return Counted(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def in_time_share(self) -> float | None:
        """Frames whose mask came within the objective, of those that should have one; ``None`` without any.

        A frame that policy skipped because it was stale has missed it.
        """
        due = self.timed + self.skipped
        return self.in_time / due if due > 0 else None


@dataclass(frozen=True, slots=True)
class DispatcherReading:
    """One dispatcher at one moment. What is by bundle has hexadecimal bundle ids as its keys."""

    counted: Counted = Counted()
    streams: int = 0
    backlog_frames: int = 0
    backlog_age_s: float = 0.0
    load: Mapping[str, float] = field(default_factory=dict)
    capacity: Mapping[str, float] = field(default_factory=dict)
    busy: Mapping[str, float] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)
    not_ready: tuple[str, ...] = ()


class Exposed(NamedTuple):
    """What one address exposes: a dispatcher under the name ``""``, or several processes of one by their numbers.

    Attributes:
        down: processes that did not answer.
    """

    readings: dict[str, DispatcherReading]
    down: tuple[str, ...]


def parse_metrics(text: str, not_ready: tuple[str, ...] = ()) -> Exposed:
    """Read an exposition.

    Raises:
        ServiceError: it is no Prometheus text, or of another program.
    """
    try:
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    except ValueError as error:
        raise ServiceError(f"/metrics cannot be read: {error}") from None
    by_process: dict[str, list[Sample]] = {}
    for each in samples:
        by_process.setdefault(each.labels.get(LABEL, ""), []).append(each)
    found = {
        process: _reading(of_one, not_ready)
        for process, of_one in by_process.items()
        if any(each.name == "narrows_active_streams" for each in of_one)
    }
    up = {each.labels[LABEL]: each.value for each in samples if each.name == "narrows_dispatcher_process_up"}
    if not (found or up):
        raise ServiceError("/metrics is not that of a dispatcher: give the address of `narrows orchestrate --http`")
    return Exposed(found, tuple(process for process, is_up in up.items() if not is_up))


def _reading(samples: Sequence[Sample], not_ready: tuple[str, ...]) -> DispatcherReading:
    def total(name: str, **labels: str) -> float:
        chosen = (each for each in samples if each.name == name)
        return math.fsum(each.value for each in chosen if labels.items() <= each.labels.items())

    def by_bundle(name: str) -> dict[str, float]:
        found = (each for each in samples if each.name == name and math.isfinite(each.value))
        return {each.labels["bundle"]: each.value for each in found}

    return DispatcherReading(
        counted=Counted(
            masks=total("narrows_frames_total", outcome="mask"),
            skipped=total("narrows_frames_total", outcome="skipped"),
            refused=total("narrows_frames_total", outcome="refused"),
            payload_bytes=total("narrows_payload_bytes_total"),
            timed=total("narrows_stage_seconds_count", stage="total"),
            in_time=total("narrows_stage_seconds_bucket", stage="total", le=str(OBJECTIVE_S)),
        ),
        streams=int(total("narrows_active_streams")),
        backlog_frames=int(total("narrows_backlog_frames")),
        backlog_age_s=total("narrows_backlog_age_seconds"),
        load=by_bundle("narrows_decoder_load_ratio"),
        capacity=by_bundle("narrows_capacity_frames_per_second"),
        busy=by_bundle("narrows_decoder_busy_ratio"),
        instances={bundle: int(count) for bundle, count in by_bundle("narrows_decoder_instances").items()},
        not_ready=not_ready,
    )
