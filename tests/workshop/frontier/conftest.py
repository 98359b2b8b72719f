"""A data set of two drives, small enough to train on in a test."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drives of eight pictures, the left half bright and of label 1; of `b` half is in either split."""
    root, chance = tmp_path_factory.mktemp("drives"), np.random.default_rng(0)
    names = {
        "train": [f"a_{n}" for n in range(8)] + [f"b_{n}" for n in range(4)],
        "val": [f"b_{n}" for n in range(4, 8)],
    }
    for split, listed in names.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for name in listed:
            picture = chance.integers(0, 60, (64, 96, 3), dtype=np.uint8)
            picture[:, :48] += 150
            labels = np.zeros((64, 96), np.uint8)
            labels[:, :48] = 1
            Image.fromarray(picture).save(root / f"images/{split}/{name}.png")
            Image.fromarray(labels).save(root / f"labels/{split}/{name}.png")
        (root / f"{split}.txt").write_text("\n".join(listed))
    classes = {"classes": ["dark", "bright", "void"], "ignore_index": 2, "size": [96, 64], "palette": [[0, 0, 0]] * 3}
    (root / "classes.json").write_text(json.dumps(classes))
    return root
