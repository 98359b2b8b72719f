"""The figures of ``benchmarks/results/robustness.json`` in documents."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import table
from benchmarks.robustness.cells import FEATURE_LEVELS
from benchmarks.robustness.claims import AIMS, NOISE_STRENGTH

_WAYS = {
    **{f"features_{level}": f"features, level {level}" for level in FEATURE_LEVELS},
    "camera_mask": "mask made at the camera",
    "picture": "AVIF of as many bits",
}
_TOLD = {
    "kept_share": "share of clean mIoU kept, mean of all cells, features",
    "kept_share_unlike_training": "the same, of fog, dirt and turned cameras, which no training shows",
    "kept_share_camera_mask": "the same, mask made at the camera",
    "kept_share_picture": "the same, picture",
    "worst_over_picture": "points over the picture, worst cell",
    "mean_over_picture": "points over the picture, mean",
    "mean_over_camera_mask": "points over the mask made at the camera, mean",
    "worst_bits_ratio": f"bits beside clean ones, worst kind at strength {NOISE_STRENGTH}",
}


def render(result: dict[str, Any]) -> str:
    """What the cells come to, then mIoU by kind at strengths 1, 3 and 5."""
    shown = [cell for cell in result["cells"] if cell["strength"] in {0, 1, 3, 5}]
    rows = [
        [
            f"{cell['kind'].replace('_', ' ')} {cell['strength'] or ''}".strip(),
            *(f"{cell[way]['miou']:.1%} at {cell[way]['bits_per_pixel']:.3f}" for way in _WAYS),
        ]
        for cell in shown
    ]
    claimed = [[_TOLD[name], f"{value:.2f}", AIMS.get(name, "")] for name, value in result["claims"].items()]
    judged = f"Judged on {'; '.join(result['judged_on'])}. mIoU at bits per pixel:"
    return "\n\n".join([table(["", "measured", "aim"], claimed), judged, table(["pictures", *_WAYS.values()], rows)])
