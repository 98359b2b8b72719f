"""What was judged as the rows of a table, and as contenders at each budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.frontier.costs import Costs
from benchmarks.frontier.margins import Contender
from benchmarks.frontier.plan import Cell
from benchmarks.frontier.score import Scored

PICTURES = "pictures"


@dataclass(frozen=True)
class Judged:
    """A finished network: its cost, and each way to send that it has."""

    cell: Cell
    costs: Costs
    ways: Mapping[str, Scored]


@dataclass(frozen=True)
class JudgedPictures:
    """Pictures that a network in the cloud reads: what that costs, and each way to code them."""

    cloud_macs: int
    cloud_ms: float
    ways: Mapping[str, Scored]


def rows_of(judged: Sequence[Judged], pixels: int) -> list[dict[str, Any]]:
    """A row for each budget, design, cloud and way; mIoU is the mean of its seeds."""
    rows: dict[tuple[float, str, float, str], list[tuple[Judged, Scored]]] = {}
    for each in judged:
        cell = each.cell
        for way, scored in each.ways.items():
            key = (cell.budget_gmac, cell.design.value, cell.cloud_gmac if cell.design.has_cloud else 0.0, way)
            rows.setdefault(key, []).append((each, scored))
    return [_row(key, some, pixels) for key, some in sorted(rows.items())]


def _row(key: tuple[float, str, float, str], some: Sequence[tuple[Judged, Scored]], pixels: int) -> dict[str, Any]:
    budget_gmac, design, cloud_gmac, way = key
    costs = some[0][0].costs
    return {
        "budget_gmac": budget_gmac,
        "design": design,
        "cloud_budget_gmac": cloud_gmac,
        "way": way,
        "camera_gmac": costs.camera.macs / 1e9,
        "camera_ms": fmean(each.costs.camera_ms for each, _ in some),
        "camera_parameters": costs.camera.parameters,
        "camera_int8_bytes": costs.camera_int8_bytes,
        "peak_mb": costs.camera.peak_bytes / 1e6,
        "bits_per_pixel": fmean(_bits_per_pixel(scored, pixels) for _, scored in some),
        "cloud_gmac": 0.0 if costs.cloud is None else costs.cloud.macs / 1e9,
        "cloud_ms": 0.0 if costs.cloud_ms is None else costs.cloud_ms,
        "miou": fmean(scored.miou for _, scored in some),
        "seeds": sorted(each.cell.seed for each, _ in some),
    }


def picture_rows(pictures: JudgedPictures | None, pixels: int) -> list[dict[str, Any]]:
    """A row for each way to code pictures. What coding takes a camera is not counted: most do it in hardware."""
    if pictures is None:
        return []
    return [
        {
            "budget_gmac": 0.0,
            "design": PICTURES,
            "cloud_budget_gmac": round(pictures.cloud_macs / 1e9, 2),
            "way": way,
            "camera_gmac": 0.0,
            "camera_ms": None,
            "camera_parameters": 0,
            "camera_int8_bytes": 0,
            "peak_mb": None,
            "bits_per_pixel": _bits_per_pixel(scored, pixels),
            "cloud_gmac": pictures.cloud_macs / 1e9,
            "cloud_ms": pictures.cloud_ms,
            "miou": scored.miou,
            "seeds": [1],
        }
        for way, scored in pictures.ways.items()
    ]


def contenders(judged: Sequence[Judged], pixels: int) -> dict[float, dict[str, list[Contender]]]:
    """By budget and design; seeds of one network are one contender."""
    networks: dict[str, list[Judged]] = {}
    for each in judged:
        networks.setdefault(each.cell.network, []).append(each)
    found: dict[float, dict[str, list[Contender]]] = {}
    for name, of_seeds in networks.items():
        cell = of_seeds[0].cell
        seeds = "+".join(str(each.cell.seed) for each in of_seeds)
        some = found.setdefault(cell.budget_gmac, {}).setdefault(cell.design.value, [])
        some += [
            _contender(f"{name}-s{seeds} {way}", [each.ways[way] for each in of_seeds], pixels)
            for way in of_seeds[0].ways
        ]
    return found


def picture_contenders(pictures: JudgedPictures | None, pixels: int) -> list[Contender]:
    """Pictures at every way to code them."""
    return [] if pictures is None else [_contender(way, [scored], pixels) for way, scored in pictures.ways.items()]


def _contender(name: str, seeds: Sequence[Scored], pixels: int) -> Contender:
    return Contender(name, fmean(_bits_per_pixel(scored, pixels) for scored in seeds), tuple(seeds))


def _bits_per_pixel(scored: Scored, pixels: int) -> float:
    return 8 * float(scored.frame_bytes.mean()) / pixels
