"""Four pictures to train on."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four pictures whose left half is bright and labelled 1."""
    return four_pictures(tmp_path / "data")


def four_pictures(root: Path) -> Path:
    """Written below ``root``."""
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    chance = np.random.default_rng(0)
    names = [f"s{i}" for i in range(4)]
    for name in names:
        picture = chance.integers(0, 60, (48, 64, 3), dtype=np.uint8)
        picture[:, :32] += 150
        labels = np.zeros((48, 64), np.uint8)
        labels[:, :32] = 1
        Image.fromarray(picture).save(root / f"images/train/{name}.png")
        Image.fromarray(labels).save(root / f"labels/train/{name}.png")
    (root / "train.txt").write_text("\n".join(names))
    classes = {"classes": ["dark", "bright", "void"], "ignore_index": 2, "size": [64, 48], "palette": [[0, 0, 0]] * 3}
    (root / "classes.json").write_text(json.dumps(classes))
    return root
