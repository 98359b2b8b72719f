"""The ideas, each one change to the same short run that goes on from a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from narrows.models.training.config import TrainingConfig, TrainingPhase

PLAIN = "plain"
CHECK_SHARE = 0.1
LEARNING_RATE = 6e-4
SIZE, ZOOM = (320, 240), (0.67, 1.6)


@dataclass(frozen=True)
class Idea:
    """What is changed, in words and in the run's settings."""

    told: str
    changes: Mapping[str, Any]


IDEAS: Mapping[str, Idea] = MappingProxyType(
    {
        PLAIN: Idea("the shipped recipe, some steps more", {}),
        "bad-pictures": Idea("half of the views are bad pictures", {"bad_share": 0.5}),
        "few-bad-pictures": Idea("a fifth of the views are bad pictures", {"bad_share": 0.2}),
        "coarse-levels": Idea(
            "the two coarsest levels drawn twice as often", {"level_shares": (0.15, 0.15, 0.15, 0.275, 0.275)}
        ),
        "cross-entropy": Idea("cross-entropy without the overlap loss", {"overlap_share": 0.0}),
        "moving-norms": Idea("batch norms learn their statistics again", {"frozen_norms": False}),
        "fast-trunk": Idea("the trunk learns as fast as the rest", {"trunk_share": 1.0}),
    }
)


def settings(idea: Idea, data: Path, begin_from: Path, epochs: int) -> TrainingConfig:
    """The run that tells what an idea brings."""
    plain = TrainingConfig(
        data=data,
        split="train",
        pretrained=None,
        begin_from=begin_from,
        check_share=CHECK_SHARE,
        bad_share=0.0,
        phases=(TrainingPhase(epochs, SIZE, ZOOM),),
        learning_rate=LEARNING_RATE,
        warmup_steps=20,
        frozen_norms=True,
        threads=1,
    )
    return replace(plain, **idea.changes)
