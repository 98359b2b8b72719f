"""The names of the policies that can be simulated."""

from __future__ import annotations

from enum import StrEnum


class PolicyName(StrEnum):
    """Ours, then the rivals."""

    NARROWS = "narrows"
    HPA = "hpa"
    KEDA = "keda"
    RAY_SERVE = "ray-serve"
    KNATIVE = "knative"
