"""Values as JSON for the browser: rounded, named with their units, absent as null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from narrows.client.painting import Legend
from narrows.contract.wire import MaskPacket
from orchestrator.page.fleet import FleetView
from orchestrator.page.latest_masks import LatestMask
from orchestrator.page.rows import Row
from orchestrator.page.states import StreamState

_ERROR_CHARACTERS = 300


def fleet_json(fleet: FleetView) -> dict[str, Any]:
    """The figures and the chart."""
    line = fleet.line
    return {
        "streams": fleet.streams,
        "dispatchers": fleet.dispatchers,
        "dispatchers_away": len(fleet.away),
        "load": _rounded(fleet.load, 4),
        "busy": _rounded(fleet.busy, 4),
        "instances": fleet.instances,
        "capacity_frames_per_s": _rounded(fleet.capacity_frames_per_s, 1),
        "in_time_share": _rounded(fleet.in_time_share, 5),
        "frames_due": fleet.frames_due,
        "backlog_frames": fleet.backlog_frames,
        "backlog_age_s": _rounded(fleet.backlog_age_s, 2),
        "masks_per_s": _rounded(fleet.masks_per_s, 2),
        "kbit_per_s": _rounded(fleet.kbit_per_s, 2),
        "points": [[point.streams, _rounded(point.load, 4)] for point in fleet.points],
        "line": line
        and {
            "slope": line.slope,
            "intercept": line.intercept,
            "through_zero": line.through_zero,
            "capacity_streams": _rounded(line.capacity_streams, 1),
        },
        "trends": {name: [_rounded(value, 2) for value in values] for name, values in fleet.trends.items()},
    }


def row_json(row: Row, latest_mask: LatestMask, now_ms: float, *, filmed: bool) -> dict[str, Any]:
    """One stream."""
    error, alive, seen = row.error, row.state is not StreamState.DEAD, _seen(latest_mask)
    return {
        "id": row.stream,
        "state": row.state,
        "silent_s": _rounded(row.silent_s, 1),
        "mask_age_s": _rounded(row.mask_age_s, 1),
        "masks_per_s": _rounded(row.masks_per_s, 2) if alive else 0.0,
        "frames_per_s": _rounded(row.frames_per_s, 2) if alive else 0.0,
        "skipped_per_s": _rounded(row.skipped_per_s, 2),
        "kbit_per_s": _rounded(latest_mask.kbit_per_s(row.frames_per_s if alive else 0.0), 2),
        "latency_ms": _rounded(latest_mask.latency_ms, 1),
        "sends": row.sends,
        "asked_for_masks": row.asked_for_masks,
        "policy": row.settings.policy,
        "group": row.settings.group,
        "weight": row.settings.weight,
        "registered": row.registered,
        "waiting": row.pulse.waiting,
        "ledger": {
            "masks": row.pulse.masks,
            "skipped": row.pulse.skipped,
            "refused": row.pulse.refused,
            "lost": row.pulse.lost,
        },
        "error": error
        and {
            "reason": error.reason,
            "detail": error.detail[:_ERROR_CHARACTERS],
            "ago_s": max(0, round((now_ms - error.at_ms) / 1000)),
        },
        "mask": seen,
        "filmed": filmed and seen is not None,
        "design": _design_json(row, latest_mask, now_ms),
    }


def _seen(latest_mask: LatestMask) -> dict[str, Any] | None:
    """What of the newest frame can be shown; of a camera that sends objects alone, ``largest`` is null."""
    mask = latest_mask.mask
    objects = None if mask is None else mask.objects
    if isinstance(mask, MaskPacket):
        (height, width), largest = mask.labels.shape, _largest(mask.areas.tolist())
    elif mask is not None and objects is not None:
        height, width, largest = objects.height, objects.width, None
    else:
        return None
    return {
        "entry": latest_mask.entry,
        "bundle": f"{mask.bundle_id:016x}",
        "epoch": str(mask.identity.epoch),
        "sequence": mask.identity.sequence,
        "width": width,
        "height": height,
        "largest": largest,
        "objects": [each.prompt for each in objects.masks] if objects else [],
        "outputs": [{"name": each.output.name, "kind": each.output.kind} for each in mask.outputs],
    }


def _design_json(row: Row, latest: LatestMask, now_ms: float) -> dict[str, Any] | None:
    """Which design of a split network its camera uses, and why; ``None`` where it says nothing of any."""
    said = latest.plan
    if said is None or row.state is StreamState.DEAD:
        return None
    said_ago_s = max(0.0, (now_ms - int(latest.plan_entry.partition("-")[0])) / 1000)
    return {
        "name": said.chosen.design,
        "reason": said.reason,
        "objective": said.objective,
        "for_s": _rounded(said.for_s + said_ago_s, 1),
        "broken": list(said.broken),
        "next_best": said.next_best and said.next_best.design,
        "pinned": row.settings.pinned,
    }


def states_json(counts: Mapping[StreamState, int]) -> dict[str, int]:
    """How many streams stand how."""
    return {state.value: count for state, count in counts.items()}


def legends_json(legends: Sequence[Legend]) -> list[dict[str, Any]]:
    """Names and colours of the classes of each bundle."""
    return [
        {"bundle": f"{legend.bundle_id:016x}", "names": legend.names, "colours": legend.colours}
        for legend in legends
        if legend.bundle_id is not None
    ]


def _largest(areas: Sequence[int], most: int = 3) -> list[list[float]]:
    """The largest classes and their shares: what a mask shows, for those who do not see it."""
    whole = sum(areas) or 1
    ranked = sorted(range(len(areas)), key=lambda label: -areas[label])[:most]
    return [[label, round(areas[label] / whole, 3)] for label in ranked if areas[label]]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
