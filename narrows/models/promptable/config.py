"""How a training goes, as one value: written into the run folder, and what a resumed run must agree with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import DatasetError
from narrows.models.promptable.data import Layout

_SOURCE = re.compile(
    r"(?P<layout>[a-z-]+):(?P<root>[^:]+):(?P<split>[^:]+)(?::(?P<weight>\d+(?:\.\d*)?))?(?P<parts>:parts)?"
)


@dataclass(frozen=True)
class Source:
    """One split of a data set, and how often it is drawn from beside the others.

    Attributes:
        parts: its masks are parts of things, or regions, and no whole things. A single point on a door means the car,
            so nothing here is ever pointed at with one point alone.

    Example:
        >>> Source.parse("regions:data/regions:train:2:parts")  # doctest: +NORMALIZE_WHITESPACE
        Source(layout=<Layout.REGIONS: 'regions'>, root=PosixPath('data/regions'), split='train', weight=2.0,
               parts=True)
    """

    layout: Layout
    root: Path
    split: str
    weight: float = 1.0
    parts: bool = False

    @classmethod
    def parse(cls, text: str) -> Source:
        """Read ``LAYOUT:DIR:SPLIT[:WEIGHT][:parts]``.

        Raises:
            DatasetError: it is not of that form.
        """
        layouts = [layout.value for layout in Layout]
        parts = _SOURCE.fullmatch(text)
        if parts is None or parts["layout"] not in layouts or float(parts["weight"] or 1) <= 0:
            raise DatasetError(f"{text!r} is not LAYOUT:DIR:SPLIT[:WEIGHT][:parts]; layouts are {', '.join(layouts)}")
        weight, in_parts = float(parts["weight"] or 1), parts["parts"] is not None
        return cls(Layout(parts["layout"]), Path(parts["root"]), parts["split"], weight, in_parts)


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
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup_steps: int = 40
    average_decay: float = 0.99
    seed: int = 20261129
    threads: int = 1
    bfloat16: bool = True
