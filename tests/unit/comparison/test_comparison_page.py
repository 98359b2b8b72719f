import itertools
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from narrows.contract.errors import RecordError
from narrows.models.comparison import Results, write_page
from narrows.models.comparison.chart import rate_chart

CLAIMS = {
    "cloud_parameter_ratio": 0.05,
    "cloud_mac_ratio": 0.08,
    "mean_miou_margin": 0.4,
    "worst_miou_margin": -0.2,
    "equal_cost_margin": 1.25,
    "best_miou": 0.68,
    "miou_at_0_025_bpp": 0.65,
    "bits_ratio_avif": 0.2,
    "bits_ratio_jpeg": None,
    "bits_ratio_edge_mask": 0.9,
}


def method(label: str, *points: tuple[float, float]) -> dict[str, object]:
    cloud = {"parameters": 180_000, "macs": 190_000_000, "cpu_ms": 8.0}
    return {"label": label, "cloud": cloud, "points": [{"bits_per_pixel": b, "miou": m} for b, m in points]}


METHODS = {
    "joint": method("joint <decoder>", (0.01, 0.6), (0.05, 0.66)),
    "jpeg": method("JPEG", (0.1, 0.4), (0.9, 0.69)),
}


@pytest.fixture
def results(tmp_path: Path) -> tuple[Path, Path]:
    table, masks = tmp_path / "rate.json", tmp_path / "masks"
    masks.mkdir()
    for name in ("p.jpg", "l.png", "m.png"):
        Image.fromarray(np.zeros((6, 8), np.uint8)).save(masks / name)
    mask = {"label": "JPEG", "near_bits_per_pixel": 0.06, "bits_per_pixel": 0.1, "miou": 0.4, "file": "m.png"}
    index = [{"name": "f1", "picture": "p.jpg", "labels": "l.png", "masks": [mask]}]
    (masks / "index.json").write_text(json.dumps(index))
    table.write_text(
        json.dumps(
            {
                "command": "make bench-rate",
                "machine": "m",
                "claims": CLAIMS,
                "methods": METHODS,
                "data": {"name": "camvid", "split": "val", "frames": 101},
                "uncompressed": {"miou": 0.7},
            }
        )
    )
    return table, masks


def test_the_page_holds_everything_and_fetches_nothing(results: tuple[Path, Path], tmp_path: Path) -> None:
    write_page(Results.read(*results), tmp_path / "out.html")
    page = (tmp_path / "out.html").read_text()
    assert page.count("<img") == 3
    assert "no overlap" in page
    assert "joint &lt;decoder&gt;" in page
    assert re.findall(r"(?:src|href)=['\"](?!data:)", page) == []


def test_the_chart_is_an_svg_with_a_dot_a_point() -> None:
    drawn = ET.fromstring(rate_chart(METHODS))
    assert len(drawn.findall("circle")) == 4
    for circle in drawn.findall("circle"):
        assert 0 <= float(circle.attrib["cx"]) <= 960
        assert 0 <= float(circle.attrib["cy"]) <= 480


def test_labels_do_not_lie_on_each_other() -> None:
    same = {str(index): method(f"m{index}", (0.01, 0.6), (0.05, 0.66)) for index in range(10)}
    drawn = ET.fromstring(rate_chart(same))
    heights = sorted(float(t.attrib["y"]) for t in drawn.findall("text") if (t.text or "").startswith("m"))
    assert all(b - a >= 15 for a, b in itertools.pairwise(heights))


@pytest.mark.parametrize("missing", ["rate.json", "masks/index.json", "masks/m.png"])
def test_a_missing_file_is_named(results: tuple[Path, Path], tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).unlink()
    with pytest.raises(RecordError, match=re.escape(Path(missing).name)):
        write_page(Results.read(*results), tmp_path / "out.html")


def test_a_result_of_another_kind_is_refused(results: tuple[Path, Path]) -> None:
    table, masks = results
    table.write_text('{"command": "make bench-codec"}')
    with pytest.raises(RecordError, match="make bench-rate"):
        Results.read(table, masks)
