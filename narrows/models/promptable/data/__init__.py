"""Pictures with masks of single things, from four layouts, one at a time."""

from narrows.models.promptable.data.folds import fold_of, in_fold, without_fold
from narrows.models.promptable.data.instances import AnnotatedPicture, Instance, InstanceDataset
from narrows.models.promptable.data.layouts import LAYOUTS, Layout, open_instances

__all__ = [
    "LAYOUTS", "AnnotatedPicture", "Instance", "InstanceDataset", "Layout", "fold_of", "in_fold", "open_instances",
    "without_fold",
]  # fmt: skip
