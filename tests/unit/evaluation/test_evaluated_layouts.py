"""``narrows evaluate`` reads the public layouts as they are; a bundle of other classes is told so."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.cli.evaluate import evaluate
from narrows.contract.errors import BundleError

DEMO = Path(__file__).parents[3] / "bundles" / "demo"


def test_cityscapes_is_found_by_its_layout(tmp_path: Path) -> None:
    for kind, suffix, shape in (
        ("leftImg8bit", "leftImg8bit", (4, 8, 3)),
        ("gtFine", "gtFine_labelIds", (4, 8)),
    ):
        path = tmp_path / f"{kind}/val/aachen/aachen_000000_000019_{suffix}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(np.full(shape, 7, np.uint8)).save(path)
    with pytest.raises(BundleError, match="the data name road, sidewalk, building, wall"):
        evaluate(data=tmp_path, bundle=DEMO)
