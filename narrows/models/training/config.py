"""How a training goes, as one value: it is written into the run folder and read back on resume."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path

import msgspec

from narrows.contract.errors import RecordError
from narrows.models.training.run_folder import read_settings
from narrows.runtime.writing import write_file

UNSTATED = "unstated"


@dataclass(frozen=True)
class TrainingPhase:
    """A stretch of epochs at one picture size (width, height)."""

    epochs: int
    size: tuple[int, int]
    zoom: tuple[float, float]


def phases_for(size: tuple[int, int], epochs: int, full_epochs: int) -> tuple[TrainingPhase, ...]:
    """The plan for pictures of ``size`` (width, height): ``epochs`` at two thirds of it, then all of it.

    What is thin is gone at two thirds: the second stretch is where poles are learned.
    """
    small = (_multiple_of_16(size[0] * 2 / 3), _multiple_of_16(size[1] * 2 / 3))
    return TrainingPhase(epochs, small, (0.67, 1.6)), TrainingPhase(full_epochs, size, (1.0, 2.0))


def _multiple_of_16(length: float) -> int:
    return max(16, 16 * round(length / 16))


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that a run depends on beside the data and the code.

    Attributes:
        leave_out: shell pattern of sample names that the run never sees: a drive to judge it on.
        check_share: share of each drive's frames that are not trained on, but measured while the run goes on.
        frozen_norms: batch norms keep the statistics that they began with. For a run that goes on from a bundle: the
            statistics of a small batch, half of it bad pictures, are far from those that the weights were made for.
        level_shares: how often each rate level is drawn; all alike without.
        quantisation_aware: the encoder is rounded as `narrows export` will round it.
        teacher: run folder of a trained network, or a bundle's.
        bad_share: share of the views that are bad pictures: noise, blur, darkness, glare, rain, JPEG.
        licence: terms of the data, and so of the weights.
    """

    data: Path
    split: str
    pretrained: Path | None
    leave_out: str | None = None
    check_share: float = 0.0
    bad_share: float = 0.5
    begin_from: Path | None = None
    teacher: Path | None = None
    teacher_share: float = 1.0
    feature_share: float = 0.0
    phases: tuple[TrainingPhase, ...] = phases_for((480, 360), 45, 45)
    batch: int = 8
    learning_rate: float = 1.2e-3
    trunk_share: float = 0.3
    scale_share: float = 8.0
    weight_decay: float = 0.02
    warmup_steps: int = 60
    rounded_tail: float = 0.1
    latent_channels: int = 48
    prices: tuple[float, ...] = (0.12, 0.5, 2.2, 9.5, 40.0)
    frozen_norms: bool = False
    quantisation_aware: bool = False
    level_shares: tuple[float, ...] | None = None
    overlap_share: float = 1.0
    average_decay: float = 0.995
    seed: int = 20260720
    threads: int = 0
    device: str = "cpu"
    bfloat16: bool = True
    licence: str = UNSTATED

    @property
    def epochs(self) -> int:
        """Of all phases."""
        return sum(phase.epochs for phase in self.phases)

    def write(self, path: Path) -> None:
        """Store as JSON."""
        write_file(path, json.dumps(asdict(self), indent=2, default=str) + "\n")

    @classmethod
    def read(cls, path: Path) -> TrainingConfig:
        """Read what :meth:`write` stored.

        Raises:
            RecordError: it was changed by hand, or damaged.
        """
        raw = read_settings(path)
        try:
            return msgspec.convert(OF_OLD_RUNS | raw, cls, dec_hook=lambda kind, value: kind(value))
        except msgspec.ValidationError as error:
            raise RecordError(f"{path}: {error}") from None


OF_OLD_RUNS = {f.name: f.default for f in fields(TrainingConfig) if f.default is not MISSING and f.name != "phases"} | {
    "bad_share": 0.0
}
"""How runs were trained from before an option was: without bad pictures, and else as it is by default."""
