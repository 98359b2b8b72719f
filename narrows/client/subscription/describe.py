"""An outcome as a flat record: what ``narrows masks tail`` prints a line of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import asdict
from numpy.typing import NDArray

from narrows.client.subscription.subscription import Outcome
from narrows.contract.bundle import format_id
from narrows.contract.outputs import OutputValue
from narrows.contract.outputs.boxes import KIND as BOXES
from narrows.contract.outputs.heatmaps import KIND as HEATMAPS
from narrows.contract.outputs.labels import KIND as LABELS
from narrows.contract.outputs.objects import KIND as OBJECTS
from narrows.contract.outputs.objects import Objects
from narrows.contract.outputs.scores import KIND as SCORES
from narrows.contract.wire import MaskPacket, ResultPacket, Skip
from narrows.contract.wire.output_packet import OutputPacket

_MOST_GREATEST = 32


def describe(outcome: Outcome, names: Sequence[str], *, received_ms: float) -> dict[str, Any]:
    """The record of one outcome.

    Args:
        outcome: what was read.
        names: the classes of the bundle that made it; where they do not reach, a label's number is its name.
        received_ms: when it was read, Unix milliseconds; the latency is counted to it from the camera's clock.
    """
    if isinstance(outcome, MaskPacket):
        return _describe_mask(outcome, names, received_ms)
    if isinstance(outcome, ResultPacket):
        return _describe_result(outcome, names, received_ms)
    identity = outcome.identity
    return {
        "kind": "skipped" if isinstance(outcome, Skip) else "refused",
        "epoch": identity and identity.epoch,
        "sequence": identity and identity.sequence,
        "reason": outcome.reason,
    } | ({} if isinstance(outcome, Skip) else {"detail": outcome.detail})


def _describe_result(result: ResultPacket, names: Sequence[str], received_ms: float) -> dict[str, Any]:
    told = [_describe_further(packet) for packet in result.further]
    if told and (best := _best(result.further[0], names)) is not None:
        told[0] |= best
    return {
        "kind": "result",
        "epoch": result.identity.epoch,
        "sequence": result.identity.sequence,
        "bundle": format_id(result.bundle_id),
        "cut": result.cut,
        "level": result.level,
        "feature_bytes": result.feature_bytes,
        "capture_ms": result.capture_ms,
        "latency_ms": round(received_ms - result.capture_ms, 1),
        "timings_us": asdict(result.timings),
        "outputs": told,
    }


def _best(packet: OutputPacket, names: Sequence[str]) -> dict[str, Any] | None:
    """What scores say of the picture: the class of the greatest."""
    if packet.value.output.kind != SCORES:
        return None
    label = int(packet.value.values.argmax())
    score = round(float(packet.value.values[label]), 6)
    return {"best": names[label] if label < len(names) else str(label), "score": score}


def _describe_mask(mask: MaskPacket, names: Sequence[str], received_ms: float) -> dict[str, Any]:
    height, width = mask.labels.shape
    areas = {names[i] if i < len(names) else str(i): int(area) for i, area in enumerate(mask.areas)}
    return {
        "kind": "mask",
        "epoch": mask.identity.epoch,
        "sequence": mask.identity.sequence,
        "bundle": format_id(mask.bundle_id),
        "made_by": "camera" if mask.timings.made_at_camera else "cloud",
        "level": mask.level,
        "size": [width, height],
        "feature_bytes": mask.feature_bytes,
        "bits_per_pixel": round(8 * mask.feature_bytes / (width * height), 4),
        "capture_ms": mask.capture_ms,
        "latency_ms": round(received_ms - mask.capture_ms, 1),
        "timings_us": asdict(mask.timings),
        "areas": areas,
        "outputs": [
            {"name": mask.outputs[0].output.name, "kind": mask.outputs[0].output.kind},
            *map(_describe_further, mask.further),
        ],
    }


def _describe_further(packet: OutputPacket) -> dict[str, Any]:
    value = packet.value
    told: dict[str, Any] = {"name": value.output.name, "kind": value.output.kind, "version": packet.version}
    if value.output.kind == LABELS:
        counts = np.bincount(value.values.reshape(-1), minlength=len(value.output.classes))
        told["areas"] = {str(label): int(count) for label, count in enumerate(counts) if count}
    elif value.output.kind == OBJECTS:
        told |= _describe_objects(Objects.parse(value.values.tobytes()))
    elif value.output.kind in {HEATMAPS, BOXES}:
        told |= _describe_grid(value)
    else:
        told["scores"] = [round(float(score), 6) for score in value.values.reshape(-1)]
    return told


def _describe_grid(value: OutputValue) -> dict[str, Any]:
    """Too many numbers for a line: their shape, and the greatest of each channel or column."""
    axes = (1, 2) if value.output.kind == HEATMAPS else (0,)
    greatest = value.values.max(axis=axes).reshape(-1)[:_MOST_GREATEST]
    return {"shape": list(value.output.shape), "greatest": [round(float(each), 6) for each in greatest]}


def _describe_objects(objects: Objects) -> dict[str, Any]:
    """Each thing with its share of the picture's area, or ``lost``; the window is x, y and side in the source."""
    area = objects.width * objects.height
    return {
        "source": [objects.width, objects.height],
        "objects": [
            {"prompt": each.prompt, "version": each.version, "window": [each.x, each.y, each.side]}
            | ({"lost": True} if each.mask is None else {"share": _share(each.mask, each.side, area)})
            for each in objects.masks
        ],
    }


def _share(mask: NDArray[np.bool_], side: int, area: int) -> float:
    return round(float(mask.mean()) * side**2 / area, 6)
