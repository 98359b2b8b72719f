"""``narrows evaluate`` of a split network's bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from narrows.contract.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrows.contract.bundle import SplitBundle
    from narrows.models.evaluation.score import Evaluation, Segment
    from narrows.models.split.evaluation import SplitEvaluation


def evaluate_split_bundle(
    bundle: SplitBundle,
    data: Path,
    split: str,
    cut: int,
    rate: int | None,
    progress: Callable[[int, int], None],
    segment: Segment | None = None,
) -> Evaluation | SplitEvaluation:
    """Label maps against labels; all else against the same network unrounded, and scores against folders' names.

    ``segment`` decodes elsewhere than in this process, through a running stack say.

    Raises:
        BundleError: the bundle has no such cut or level, or was made for other classes than the data's.
        DatasetError: there is nothing to judge on.
    """
    from narrows.models.split.evaluation import SplitDecoder, evaluate_split, pictures_below
    from narrows.ops.camera_packets import split_camera

    manifest = bundle.manifest
    level = manifest.default_level if rate is None else rate
    if cut >= len(manifest.cuts) or level >= len(manifest.levels):
        raise BundleError(
            f"cut {cut}, level {level}; bundle {bundle.hex_id} has cuts 0 to {len(manifest.cuts) - 1}, "
            f"levels 0 to {len(manifest.levels) - 1}"
        )
    decoder = SplitDecoder(bundle, cut)
    head, encode = split_camera(bundle, cut, level)
    if not manifest.classes:
        folder = data / split if (data / split).is_dir() else data
        return evaluate_split(decoder, level, head, encode, pictures_below(folder), progress, segment)
    from narrows.models.dataset import FolderDataset
    from narrows.models.evaluation.evaluate import evaluate_labels
    from narrows.models.evaluation.score import HERE, TRITON

    found = FolderDataset.open(data, split)
    via = HERE if segment is None else TRITON
    return evaluate_labels(
        bundle.hex_id, manifest.classes, found, level, encode, segment or decoder, via, progress=progress
    )
