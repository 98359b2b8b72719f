"""The network of a cell: as wide as its budgets allow, the same wherever it is built again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from benchmarks.frontier.plan import PRICES, Cell, RunFolder
from narrows.contract.errors import RecordError
from narrows.contract.json_text import decode_object
from narrows.models.export.fit_to_budget import camera_shape, cloud_shape
from narrows.models.nn.cloud_decoder import CloudShape
from narrows.models.nn.weak import WeakShape
from narrows.models.nn.weak_designs import WeakNetwork
from narrows.runtime.writing import write_file

camera_shape_once = cache(camera_shape)
cloud_shape_once = cache(cloud_shape)
S = TypeVar("S")
_MOST_BYTES = 1 << 22
_UNFIT = (AttributeError, KeyError, TypeError, ValueError)
"""What records of something else raise."""


def build(cell: Cell, folder: RunFolder, size: tuple[int, int], classes: int) -> WeakNetwork:
    """A fresh network for pictures of ``size`` (height, width); its shapes are kept in the run folder.

    Raises:
        ConfigError: nothing fits the cell's budgets.
        RecordError: what the run folder holds of it is damaged.
    """
    path = folder.shape(cell)
    if not path.is_file():
        camera = camera_shape_once(cell.design, cell.budget_gmac * 1e9, size, classes)
        cloud = cloud_shape_once(cell.cloud_gmac * 1e9, size, classes, camera.latent_channels)
        _keep(path, camera, cloud)
    kept = decode_object(path.read_bytes(), what=str(path), most_bytes=_MOST_BYTES)
    try:
        shape, decoder = _read(WeakShape, kept["camera"]), _read(CloudShape, kept["cloud"])
    except _UNFIT as error:
        raise RecordError(f"{path} holds no shapes of a network: {error!r}; remove it to have it made anew") from None
    torch.manual_seed(cell.seed)
    return WeakNetwork(cell.design, shape, decoder, classes, len(PRICES))


def take_found_shapes(found: Path, cells: Sequence[Cell], folder: RunFolder, size: tuple[int, int], many: int) -> None:
    """For cells that were not begun: the best that `narrows search` found of their design within their budget.

    What sees pictures at another resolution than theirs is not taken.

    Raises:
        RecordError: it is missing, or no front of a search.
    """
    rows = _front(found)
    for cell in cells:
        fitting = [
            row for row in rows if row.design == cell.design and row.resolution == 1 and row.gmac <= cell.budget_gmac
        ]
        if fitting and not folder.shape(cell).is_file():
            camera = max(fitting, key=lambda row: row.worth).shape
            cloud = cloud_shape_once(cell.cloud_gmac * 1e9, size, many, camera.latent_channels)
            _keep(folder.shape(cell), camera, cloud)


class _Row(NamedTuple):
    """Of a front: a camera's shape, and what it was found to be worth."""

    design: str
    resolution: float
    gmac: float
    worth: float
    shape: WeakShape


def _front(path: Path) -> list[_Row]:
    if not path.is_file():
        raise RecordError(f"{path} is missing: `narrows search` writes RUN/front.json")
    record = decode_object(path.read_bytes(), what=str(path), most_bytes=_MOST_BYTES)
    try:
        return [
            _Row(
                str(row["design"]),
                float(row["resolution"]),
                float(row["camera_gmac"]),
                float(row["proxy"] if row["miou"] is None else row["miou"]),
                _read(WeakShape, row["shape"]),
            )
            for row in record["rows"]
        ]
    except _UNFIT as error:
        raise RecordError(f"{path} is no front of `narrows search`: {error!r}") from None


def _keep(path: Path, camera: WeakShape, cloud: CloudShape) -> None:
    write_file(path, json.dumps({"camera": asdict(camera), "cloud": asdict(cloud)}, indent=2) + "\n")


def _read(kind: Callable[..., S], raw: dict[str, Any]) -> S:
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()})
