"""Which networks are trained and compared, as one value; and where each lies in a run folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from narrows.contract.errors import ConfigError, RecordError
from narrows.models.nn.weak_designs import Design
from narrows.models.training.run_folder import read_settings
from narrows.runtime.writing import write_file

RUNS = Path("runs/frontier")
BUDGETS_GMAC = (0.05, 0.1, 0.2, 0.4, 0.85)
FULL_GMAC = 2.45
"""The demo's own camera, which is not trained here but by `make train-drives`."""
CLOUDS_GMAC = (0.2, 0.5, 1.0)
MIDDLE_CLOUD_GMAC = 0.5
PRICES = (0.5, 4.0, 20.0)
"""Loss that a bit per pixel is worth, a level."""


@dataclass(frozen=True)
class Cell:
    """One network: a design at a budget of the camera's, with a cloud of a size, from one seed."""

    budget_gmac: float
    design: Design
    cloud_gmac: float
    seed: int

    @property
    def network(self) -> str:
        """Which one it is, from whatever seed."""
        cloud = f"-{self.cloud_gmac:g}" if self.design.has_cloud else ""
        return f"{self.budget_gmac:g}-{self.design.value}{cloud}"

    @property
    def name(self) -> str:
        """Of its files; also what ``--only`` takes."""
        return f"{self.network}-s{self.seed}"


@dataclass(frozen=True)
class Plan:
    """How much of everything, the same for all designs.

    Attributes:
        leave_out: the drive that no network sees and all are judged on.
        check_share: of each other drive, a block that chooses between a training's checkpoints.
        pretrain_steps: in which a trunk learns the features of a network with ImageNet weights; 0 for none.
        small_share: of the steps, at two thirds of the size.
        teacher: run folder of a `narrows train` that left the same drive out, asked by all designs; or nobody.
        limit: pictures of a part at most; 0 for all.
    """

    budgets_gmac: tuple[float, ...] = BUDGETS_GMAC
    seeds: tuple[int, ...] = (1,)
    steps: int = 6000
    pretrain_steps: int = 2000
    batch: int = 8
    small_share: float = 0.6
    learning_rate: float = 2e-3
    leave_out: str = "0006R0"
    check_share: float = 0.1
    teacher: str = ""
    limit: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.pretrain_steps < 0:
            raise ConfigError(
                f"{self.steps} steps after {self.pretrain_steps} of pretraining: 1 or more, after 0 or more"
            )
        if len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds {', '.join(map(str, self.seeds))}: one stands twice, and would count twice")

    @classmethod
    def quick(cls) -> Plan:
        """Enough to see that everything runs; its figures mean nothing."""
        return cls(budgets_gmac=(0.05,), steps=3, pretrain_steps=2, batch=2, small_share=1.0, limit=6)

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """The plan of a run folder.

        Raises:
            ConfigError: there is none.
            RecordError: it is damaged.
        """
        path = folder / "plan.json"
        if not path.is_file():
            raise ConfigError(f"{path} is missing: `make train-frontier` writes it")
        raw = read_settings(path)
        try:
            return cls(**{**raw, "seeds": tuple(raw["seeds"]), "budgets_gmac": tuple(raw["budgets_gmac"])})
        except (KeyError, TypeError) as error:
            raise RecordError(f"{path} is no plan of `make train-frontier`: {error!r}") from None

    def keep(self, folder: Path) -> None:
        """Write it, or check that the run folder was begun by the same one, and add its seeds and budgets.

        Raises:
            ConfigError: by another, except for seeds and budgets.
        """
        folder.mkdir(parents=True, exist_ok=True)
        kept = self
        if (folder / "plan.json").is_file():
            before = Plan.read(folder)
            for name, value in asdict(self).items():
                if name not in {"seeds", "budgets_gmac"} and (held := getattr(before, name)) != value:
                    raise ConfigError(
                        f"{folder} was begun with {name} {held!r}, now it is {value!r}: networks of different "
                        "plans are not comparable; name another --run folder"
                    )
            kept = replace(
                self,
                seeds=tuple(dict.fromkeys((*before.seeds, *self.seeds))),
                budgets_gmac=tuple(dict.fromkeys((*before.budgets_gmac, *self.budgets_gmac))),
            )
        write_file(folder / "plan.json", json.dumps(asdict(kept), indent=2) + "\n")

    @property
    def cells(self) -> Sequence[Cell]:
        """All, those that say most first: 0.2 GMAC, then the other budgets."""
        order = sorted(self.budgets_gmac, key=lambda budget: (abs(budget - 0.2) > 1e-9, budget))
        return [cell for seed in self.seeds for budget in order for cell in _cells(budget, seed)]


def _cells(budget_gmac: float, seed: int) -> list[Cell]:
    middle = [Design.EDGE, Design.LAYERED, Design.REFINED]
    cells = [Cell(budget_gmac, design, MIDDLE_CLOUD_GMAC, seed) for design in middle]
    return cells + [Cell(budget_gmac, Design.FEATURES, cloud, seed) for cloud in CLOUDS_GMAC]


class Graphs(NamedTuple):
    """Files of a network's parts."""

    camera: Path
    camera_int8: Path
    cloud: Path


@dataclass(frozen=True)
class RunFolder:
    """Where things lie; everything in it is derived and can be made again."""

    root: Path

    def weights(self, cell: Cell) -> Path:
        """A finished training's chosen weights."""
        return self.root / "weights" / f"{cell.name}.pt"

    def trunk(self, name: str) -> Path:
        """A pretrained trunk."""
        return self.root / "trunks" / f"{name}.pt"

    def shape(self, cell: Cell) -> Path:
        """The shapes that fit the budgets."""
        return self.root / "shapes" / f"{cell.name}.json"

    def scores(self, cell: Cell) -> Path:
        """What a finished network answers on the drive that was left out."""
        return self.root / "scores" / f"{cell.name}.npz"

    def graphs(self, cell: Cell) -> Graphs:
        """The exported parts."""
        stem = self.root / "graphs" / cell.name
        return Graphs(*(stem.with_name(f"{stem.name}.{part}.onnx") for part in ("camera", "camera.int8", "cloud")))

    @property
    def pictures(self) -> Path:
        """Of what is sent as pictures."""
        return self.root / "pictures"

    def make(self) -> None:
        """Create the folders."""
        for name in ("weights", "trunks", "shapes", "scores", "graphs"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
