"""What a search is for, as one value: it is written into the run folder, and holds for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from narrows.models.nn.weak_designs import Design
from narrows.models.search.cost import CameraLimits
from narrows.models.search.space import Space
from narrows.models.training.run_folder import CONFIG, keep_settings

MAY_GROW = frozenset({"trials", "trained"})
"""What a run that goes on may be given more of."""


@dataclass(frozen=True)
class SearchConfig:
    """How much is tried, within what, by which rule.

    Attributes:
        design: of the networks, as in :mod:`narrows.models.nn.weak_designs`.
        size: (height, width) of the camera's pictures.
        trials: networks to look at.
        proxy: what orders them before any is trained.
        trained: of the best, to train briefly; then accuracy orders these.
        samples: that it learns from and judges on, as :attr:`narrows.models.dataset.FolderDataset.samples` says it.
        check_share: of them, to judge on.
        most_bits_per_pixel: at which they are judged.
        cloud_gmac: of the decoder in the cloud, in designs that have one.
        prices: loss that a bit per pixel is worth, a level.
    """

    design: Design
    size: tuple[int, int]
    classes: int
    samples: str = ""
    check_share: float = 0.1
    device: str = "local"
    limits: CameraLimits = field(default_factory=CameraLimits)
    space: Space = field(default_factory=Space)
    trials: int = 200
    proxy: str = "synflow"
    population: int = 24
    trained: int = 8
    steps: int = 600
    batch: int = 8
    small_share: float = 0.6
    learning_rate: float = 2e-3
    most_bits_per_pixel: float = 0.05
    cloud_gmac: float = 0.5
    prices: tuple[float, ...] = (0.5, 4.0, 20.0)
    seed: int = 1

    def keep(self, folder: Path) -> None:
        """Write it, or check that the run folder was begun by the same one.

        Raises:
            ConfigError: by another, except for how much is tried.
            RecordError: what it holds was changed by hand, or damaged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / CONFIG
        keep_settings(path, self.record, may_change=MAY_GROW, begun=path.is_file())

    @property
    def record(self) -> dict[str, Any]:
        """As JSON has it."""
        limits = asdict(self.limits) | {"operators": sorted(self.limits.operators or ()) or None}
        plain: Mapping[str, Any] = {**asdict(self), "limits": limits, "design": self.design.value}
        record: dict[str, Any] = json.loads(json.dumps(plain))
        return record
