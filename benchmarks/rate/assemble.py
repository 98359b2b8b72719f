"""Scores, costs and times of all methods, put together as one result."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.rate.codecs import STILLS
from benchmarks.rate.contenders import CONTENDERS
from benchmarks.rate.frames import Sent, send
from benchmarks.rate.plan import FROZEN, Plan, RunFolder, tuned_name
from benchmarks.rate.resnet import NAMES as RESNET_GRAPHS
from benchmarks.rate.resnet import resnet_costs
from benchmarks.rate.score import WHOLE, Judge, Scores
from benchmarks.rate.together import PAIRS
from benchmarks.rate.video import VIDEOS
from narrows.contract.errors import ConfigError
from narrows.models.export.cost import count_cost

CODECS = (*STILLS, *VIDEOS)


@dataclass(frozen=True)
class Method:
    """A row of the table: ``graph`` runs in the cloud (or nothing does), ``edge`` at the camera (or only a codec)."""

    label: str
    points: Scores
    graph: str | None
    edge: str | None
    trained: str


def check_trained(folder: RunFolder, plan: Plan) -> None:
    """See that everything that is judged or counted is there, before hours are spent on judging.

    Raises:
        ConfigError: something is not trained yet.
    """
    heads = [f"{contender.name}-{seed}" for contender in CONTENDERS for seed in plan.seeds]
    tuned = [tuned_name(codec.name, quality) for codec in CODECS for quality in codec.qualities]
    cameras = [FROZEN, *(pair.encoder for pair in PAIRS)]
    names = [*cameras, "end_to_end", WHOLE, *heads, *(pair.name for pair in PAIRS), *tuned, *RESNET_GRAPHS]
    paths = [*map(folder.graph, names), *map(folder.tables, cameras)]
    if missing := [path.stem for path in paths if not path.is_file()]:
        raise ConfigError(
            f"{folder.root} has {len(paths) - len(missing)} of {len(paths)} networks and tables, and no {missing[0]}: "
            "`make train-rate-table` goes on"
        )


def methods_of(judge: Judge, sent: Sent, plan: Plan) -> dict[str, Method]:
    """Every method with its points; ``sent`` by the frozen encoder. Scores what is not yet scored."""
    heads = {
        contender.name: Method(
            contender.label,
            _over_seeds([judge.latent_method(f"{contender.name}-{seed}", sent) for seed in plan.seeds]),
            f"{contender.name}-{plan.seeds[0]}",
            "encoder",
            "on the frozen encoder",
        )
        for contender in CONTENDERS
    }
    end_to_end = judge.latent_method("end_to_end", sent)
    as_clip = [
        {**point, "bits_per_pixel": 8 * float(sizes.mean()) / judge.pixels}
        for point, sizes in zip(end_to_end, sent.clip_bytes, strict=True)
    ]
    pictures = {
        c.name: Method(c.label, judge.pictures(c), WHOLE, None, "untuned, and tuned to a quality") for c in CODECS
    }
    pairs = {
        pair.name: Method(
            pair.label,
            judge.latent_method(pair.name, send(judge.folder, pair.encoder, pair.name, judge.frames)),
            pair.name,
            pair.encoder,
            "encoder and decoder together",
        )
        for pair in PAIRS
    }
    return {
        **heads,
        **pairs,
        **pictures,
        "mask_at_edge": Method("mask at the edge", judge.masks_at_edge(), None, WHOLE, "end to end"),
        "end_to_end": Method("joint decoder, end to end", end_to_end, "end_to_end", "encoder", "end to end"),
        "end_to_end_p": Method("the same, P packets", as_clip, "end_to_end", "encoder", "end to end"),
    }


def rows_of(methods: Mapping[str, Method], folder: RunFolder, times: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """The methods as plain values, costs and times beside the points."""
    return {
        name: {
            "label": method.label,
            "trained": method.trained,
            "cloud": _side(method.graph, folder, times) | {"codec_cpu_ms": _cloud_codec_ms(name, method, times)},
            "edge": _side(method.edge, folder, times) | {"codec_cpu_ms": _edge_codec_ms(name, method, times)},
            "points": method.points,
        }
        for name, method in methods.items()
    }


def resnet_rows(folder: RunFolder) -> dict[str, Any]:
    """ResNet-50's costs and the ratios of joint to separate decoding; nothing of it was trained."""
    costs = resnet_costs(folder)
    joint, separate = costs["resnet50_joint"], costs["resnet50_separate"]
    return {
        "trained": False,
        **{name: asdict(cost) for name, cost in costs.items()},
        "cloud_parameter_ratio": joint.parameters / separate.parameters,
        "cloud_mac_ratio": joint.macs / separate.macs,
    }


def _over_seeds(runs: Sequence[Scores]) -> Scores:
    """Seed means, the seeds beside them."""
    return [
        {**level[0], "miou": statistics.fmean(run["miou"] for run in level), "miou_by_seed": [r["miou"] for r in level]}
        for level in zip(*runs, strict=True)
    ]


def _side(graph: str | None, folder: RunFolder, times: Mapping[str, float]) -> dict[str, Any]:
    if graph is None:
        return {"parameters": 0, "macs": 0, "cpu_ms": 0.0}
    return {**asdict(count_cost(folder.graph(graph))), "cpu_ms": times[graph]}


def _cloud_codec_ms(name: str, method: Method, times: Mapping[str, float]) -> float | None:
    """Entropy or picture decoding; a video's is not told apart from its encoding."""
    if method.edge and method.graph:
        return times["latent_decode"]
    return max(0.0, times[f"{name}_both"] - times[f"{name}_encode"]) if f"{name}_encode" in times else None


def _edge_codec_ms(name: str, method: Method, times: Mapping[str, float]) -> float | None:
    if method.edge and method.graph:
        return times["latent_encode"]
    return times["mask_encode"] if method.edge else times.get(f"{name}_encode", times.get(f"{name}_both"))
