"""How a training goes, as one value: written into the run folder, and what a resumed run must agree with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import DatasetError
from narrows.models.promptable.data import Layout

_SOURCE = re.compile(r"(?P<layout>[a-z-]+):(?P<root>[^:]+):(?P<split>[^:]+)(?::(?P<weight>\d+(?:\.\d*)?))?")


@dataclass(frozen=True)
class Source:
    """One split of a data set, and how often it is drawn from beside the others.

    Example:
        >>> Source.parse("regions:data/regions:train:2")
        Source(layout=<Layout.REGIONS: 'regions'>, root=PosixPath('data/regions'), split='train', weight=2.0)
    """

    layout: Layout
    root: Path
    split: str
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``LAYOUT:DIR:SPLIT[:WEIGHT]``.

        Raises:
            DatasetError: it is not of that form.
        """
        layouts = [layout.value for layout in Layout]
        parts = _SOURCE.fullmatch(text)
        if parts is None or parts["layout"] not in layouts or float(parts["weight"] or 1) <= 0:
            raise DatasetError(f"{text!r} is not LAYOUT:DIR:SPLIT[:WEIGHT]; layouts are {', '.join(layouts)}")
        return cls(Layout(parts["layout"]), Path(parts["root"]), parts["split"], float(parts["weight"] or 1))


@dataclass(frozen=True)
class PromptableConfig:
    """Everything that a run depends on beside the data and the code.

    Attributes:
        fold: pictures of this fold are never seen, in any source; ``None`` sees all.
        begin_from: a run folder whose weights to begin with.
        teacher: a run folder of a larger network to learn from as well.
        views: crops an epoch.
    """

    sources: tuple[Source, ...]
    fold: int | None = None
    pretrained: Path | None = None
    begin_from: Path | None = None
    teacher: Path | None = None
    taught_share: float = 0.5
    large: bool = False
    epochs: int = 60
    views: int = 2048
    batch: int = 32
    learning_rate: float = 2e-3
    trunk_share: float = 0.3
    weight_decay: float = 0.02
    warmup_steps: int = 40
    average_decay: float = 0.99
    seed: int = 20261129
    threads: int = 1
    bfloat16: bool = True
