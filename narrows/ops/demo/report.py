"""The report: what was sent, how it ended, how good and how fast it was."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narrows.models.evaluation import ConfusionMatrix
from narrows.ops.demo.account import faults
from narrows.ops.demo.stream_play import StreamPlay
from narrows.runtime.writing import write_file

INTERRUPTED = 130
_PERCENTILES = (50, 95, 99)


def make_report(
    plays: Sequence[StreamPlay], *, wall_s: float, triton: dict[str, str], redis: dict[str, str]
) -> dict[str, Any]:
    """The report's fields. Latency is counted from capture to the mask's arrival at a subscriber, milliseconds."""
    dropped: Counter[str] = Counter()
    for play in plays:
        dropped.update(play.account.dropped_by_reason)
    latencies_ms = [value for play in plays for value in play.latencies_ms]
    return {
        "frames_sent": sum(len(play.account.arrived) for play in plays),
        "masks_received": sum(len(play.account.masks) for play in plays),
        "masks_made_by": _made_by(plays),
        "frames_dropped": dict(sorted(dropped.items())),
        "duplicates": sum(play.account.duplicates for play in plays),
        "unaccounted": sum(len(play.account.unaccounted) for play in plays),
        "faults": [fault for play in plays for fault in faults(play.stream, play.account)],
        "miou": _finite(_whole_matrix(plays).miou, 4),
        "bits_per_pixel": _finite(_bits_per_pixel(plays), 5),
        "kbps_per_stream": _finite(sum(play.kbit_per_s for play in plays) / len(plays), 2),
        "latency_ms": _latency(latencies_ms),
        "triton": triton,
        "redis": redis,
        "streams": len(plays),
        "wall_s": round(wall_s, 2),
        "per_stream": {play.stream: _stream(play) for play in plays},
    }


def adds_up(report: dict[str, Any]) -> bool:
    """Whether every frame that was sent ended once, and nothing else did."""
    ended = report["masks_received"] + sum(report["frames_dropped"].values())
    return report["frames_sent"] == ended and not report["faults"]


def exit_status(report: dict[str, Any], *, cut_short: bool) -> int:
    """1 if it does not add up, 130 if a bounded demo was cut short by Ctrl-C, else 0."""
    if not adds_up(report):
        return 1
    return INTERRUPTED if cut_short else 0


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write it as JSON.

    Raises:
        FileUnwritable: it cannot be.
    """
    write_file(path, json.dumps(report, indent=2) + "\n")


def _stream(play: StreamPlay) -> dict[str, Any]:
    account = play.account
    return {
        "frames_sent": len(account.arrived),
        "masks_received": len(account.masks),
        "masks_made_by": account.masks_made_by,
        "frames_dropped": account.dropped_by_reason,
        "given_up_by_camera": dict(sorted(account.given_up.items())),
        "miou": _finite(play.matrix.miou, 4),
        "kbps": _finite(play.kbit_per_s, 2),
        "latency_ms": _latency(play.latencies_ms),
    }


def _made_by(plays: Sequence[StreamPlay]) -> dict[str, int]:
    made = [play.account.masks_made_by for play in plays]
    return {who: sum(each[who] for each in made) for who in ("camera", "cloud")}


def _whole_matrix(plays: Sequence[StreamPlay]) -> ConfusionMatrix:
    whole = ConfusionMatrix(plays[0].matrix.classes, plays[0].matrix.ignore_index)
    for play in plays:
        whole.merge(play.matrix)
    return whole


def _bits_per_pixel(plays: Sequence[StreamPlay]) -> float:
    """Bits of whole FeaturePackets over pixels, of the frames that ended in a mask."""
    pixels = sum(play.pixels for play in plays)
    return 8 * sum(play.masked_bytes for play in plays) / pixels if pixels else math.nan


def _latency(values_ms: Sequence[float]) -> dict[str, float | None]:
    return {f"p{p}": round(float(np.percentile(values_ms, p)), 1) if values_ms else None for p in _PERCENTILES}


def _finite(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None
