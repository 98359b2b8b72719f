"""A data set of white discs on black, and a run that has seen it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.models.promptable.config import PromptableConfig, Source
from narrows.models.promptable.data import Layout
from narrows.models.promptable.train import train_promptable
from tests.unit.promptable.things import disc

PICTURES = 10


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Ten pictures, a disc in each, a mask beside it."""
    root = tmp_path_factory.mktemp("discs")
    (root / "one").mkdir()
    chance = np.random.default_rng(0)
    for place in range(PICTURES):
        x, y, radius = chance.uniform((16, 16, 6), (32, 32, 14))
        mask = disc(x, y, radius)
        picture = np.where(mask, 220, 30).astype(np.uint8)
        Image.fromarray(np.stack([picture] * 3, axis=-1)).save(root / f"one/d{place}.jpg", quality=95)
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / f"one/d{place}.png")
    return Source(Layout.MASKS, root, "one")


@pytest.fixture(scope="session")
def config(discs: Source) -> PromptableConfig:
    """Two epochs that take seconds."""
    return PromptableConfig((discs,), fold=0, epochs=2, views=16, batch=8, warmup_steps=2, bfloat16=False)


@pytest.fixture(scope="session")
def trained_run(config: PromptableConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that is done."""
    run = tmp_path_factory.mktemp("run")
    train_promptable(replace(config, threads=1), run, lambda _: None)
    return run
