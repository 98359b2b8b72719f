"""What is tried of each rival's parameters: the ones that its documentation tells operators to tune.

The values span what makes sense for this place: a server does 104 frames/s in full batches and then holds 12 frames.
HPA's sync period, the tick and the polling interval are their controllers' own and stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from orchestrator.scaling.simulate.policy_name import PolicyName
from orchestrator.scaling.simulate.world import World

Parameters = dict[str, float | int | str]

_WINDOWS_S = (0.0, 60.0, 120.0, 300.0)
_LOADS = (0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
_IN_FLIGHT = (2.0, 3.0, 4.0, 5.0, 6.0, 8.0)

RIVALS = (PolicyName.HPA, PolicyName.KEDA, PolicyName.RAY_SERVE, PolicyName.KNATIVE)


def settings_of(rival: PolicyName, world: World) -> list[Parameters]:
    """The default (empty) first, then the grid."""
    capacity = world.server_frames_per_s(world.useful_instances)
    grids: dict[PolicyName, Iterator[Parameters]] = {
        PolicyName.HPA: _hpa(),
        PolicyName.KEDA: _keda(),
        PolicyName.RAY_SERVE: _ray_serve(),
        PolicyName.KNATIVE: _knative(capacity),
    }
    return [{}, *grids[rival]]


def _hpa() -> Iterator[Parameters]:
    metrics = [("utilisation", load) for load in (0.3, 0.5, 0.7, 0.9)] + [("frames", load) for load in _LOADS]
    for (metric, target), window_s, pods in product(metrics, _WINDOWS_S, (4, 32)):
        yield {"metric": metric, "target": target, "down_stabilisation_s": window_s, "up_pods": pods}


def _keda() -> Iterator[Parameters]:
    metrics = [("pending", entries) for entries in (*_IN_FLIGHT, 10.0)] + [
        ("lag", entries) for entries in (1.0, 5.0, 20.0)
    ]
    for (metric, entries), window_s, pods in product(metrics, _WINDOWS_S, (4, 32)):
        yield {"metric": metric, "entries": entries, "down_stabilisation_s": window_s, "up_pods": pods}


def _ray_serve() -> Iterator[Parameters]:
    for target, up_s, down_s, (window_s, push_s) in product(
        _IN_FLIGHT, (0.0, 10.0, 30.0), (30.0, 60.0, 120.0, 300.0, 600.0), ((30.0, 10.0), (10.0, 2.0))
    ):
        yield {
            "target_ongoing_requests": target,
            "upscale_delay_s": up_s,
            "downscale_delay_s": down_s,
            "look_back_period_s": window_s,
            "metrics_interval_s": push_s,
        }


def _knative(server_frames_per_s: float) -> Iterator[Parameters]:
    metrics = [("concurrency", target) for target in _IN_FLIGHT]
    metrics += [("rps", load * server_frames_per_s) for load in _LOADS]
    for (metric, target), window_s, delay_s in product(metrics, (6.0, 20.0, 60.0), (0.0, 30.0, 60.0, 120.0, 300.0)):
        yield {
            "metric": metric,
            "target": target,
            "target_utilisation": 1.0,
            "stable_window_s": window_s,
            "scale_down_delay_s": delay_s,
        }
