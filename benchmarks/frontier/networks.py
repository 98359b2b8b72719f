"""The network of a cell: as wide as its budgets allow, the same wherever it is built again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any, TypeVar

import torch

from benchmarks.frontier.plan import PRICES, Cell, RunFolder
from narrows.models.export.fit_to_budget import camera_shape, cloud_shape
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import WeakNetwork

camera_shape_once = cache(camera_shape)
cloud_shape_once = cache(cloud_shape)
S = TypeVar("S")


def build(cell: Cell, folder: RunFolder, size: tuple[int, int], classes: int) -> WeakNetwork:
    """A fresh network for pictures of ``size`` (height, width); its shapes are kept in the run folder."""
    path = folder.shape(cell)
    if not path.is_file():
        camera = camera_shape_once(cell.design, cell.budget_gmac * 1e9, size, classes)
        cloud = cloud_shape_once(cell.cloud_gmac * 1e9, size, classes, camera.latent_channels)
        path.write_text(json.dumps({"camera": asdict(camera), "cloud": asdict(cloud)}, indent=2) + "\n")
    kept = json.loads(path.read_text())
    torch.manual_seed(cell.seed)
    shape, decoder = _read(WeakShape, kept["camera"]), _read(CloudShape, kept["cloud"])
    return WeakNetwork(cell.design, shape, decoder, classes, len(PRICES))


def _read(kind: Callable[..., S], raw: dict[str, Any]) -> S:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()})
