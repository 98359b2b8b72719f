"""Six labelled pictures of 96x64, made up, in the folder layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from narrows.models.dataset import FolderDataset

SIZE = (96, 64)


def made_up(root: Path, labels: int, classes: Mapping[str, Any]) -> FolderDataset:
    """Written to ``root``, with values below ``labels``; ``classes``: what ``classes.json`` says beside the size."""
    chance = np.random.default_rng(1)
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    names = [f"s{i}" for i in range(6)]
    for name in names:
        picture = np.kron(chance.integers(0, 255, (8, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(picture).save(root / f"images/train/{name}.png")
        values = chance.integers(0, labels, (64, 96), dtype=np.uint8)
        Image.fromarray(values).save(root / f"labels/train/{name}.png")
    (root / "train.txt").write_text("\n".join(names))
    (root / "classes.json").write_text(json.dumps({**classes, "size": SIZE}))
    return FolderDataset.open(root, "train")
