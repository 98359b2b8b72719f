"""A training that takes a second."""

import json
from pathlib import Path

from narrows.models.training.config import TrainingConfig, TrainingPhase


def config(data: Path, epochs: int) -> TrainingConfig:
    return TrainingConfig(
        data=data,
        split="train",
        pretrained=None,
        phases=(TrainingPhase(epochs, (64, 48), (1.0, 1.2)),),
        batch=2,
        warmup_steps=2,
        latent_channels=4,
        prices=(0.1, 1.0),
        threads=1,
    )


def progress(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]
