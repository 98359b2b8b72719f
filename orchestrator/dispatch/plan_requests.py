"""What a camera with a split network is told, for its planning: pin, the servers' load, and which cuts are served."""

from __future__ import annotations

from typing import Any

from narrows.contract.bundle import SplitBundle
from narrows.contract.wire.control import MOST_SERVED_CUTS
from narrows.contract.wire.streams import StreamSettings


def plan_fields(bundle: SplitBundle, settings: StreamSettings, load_ratio: float) -> dict[str, Any]:
    """Fields of its control record. Pure.

    Args:
        bundle: that its latest frame named.
        settings: the stream's.
        load_ratio: of all servers, by the demand of all cameras.
    """
    served = tuple(tail.number for tail in bundle.tails)
    all_served = len(served) == len(bundle.manifest.cuts) or len(served) > MOST_SERVED_CUTS
    return {
        "design": settings.pinned,
        "cloud_load": round(load_ratio, 2),
        "cuts": None if all_served else served,
    }
