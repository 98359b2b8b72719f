"""The layouts by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from narrows.models.promptable.data.coco_panoptic import CocoPanopticDataset
from narrows.models.promptable.data.instances import InstanceDataset
from narrows.models.promptable.data.masks import MasksDataset
from narrows.models.promptable.data.polygons import PolygonsDataset
from narrows.models.promptable.data.regions import RegionsDataset


class Layout(StrEnum):
    """How a data set lies on disk."""

    COCO_PANOPTIC = "coco-panoptic"
    REGIONS = "regions"
    POLYGONS = "polygons"
    MASKS = "masks"


LAYOUTS: Mapping[Layout, Callable[[Path, str], InstanceDataset]] = {
    Layout.COCO_PANOPTIC: CocoPanopticDataset.open,
    Layout.REGIONS: RegionsDataset.open,
    Layout.POLYGONS: PolygonsDataset.open,
    Layout.MASKS: MasksDataset.open,
}


def open_instances(root: Path, layout: Layout, split: str) -> InstanceDataset:
    """Open one split.

    Raises:
        DatasetError: the folder does not have this layout, or not this split.
    """
    return LAYOUTS[layout](root, split)
