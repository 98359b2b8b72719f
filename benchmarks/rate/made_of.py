"""What a kept file was made of: it is made anew once that is another."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from narrows.models.dataset import LabelledPicture


def digest(*paths: Path) -> str:
    """SHA-256 over files."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()


def digest_of(samples: Iterable[LabelledPicture]) -> str:
    """SHA-256 over names, pixels and labels, in order: as many pictures are not the same ones."""
    total = hashlib.sha256()
    for sample in samples:
        total.update(repr((sample.name, sample.picture.shape)).encode())
        total.update(sample.picture.tobytes() + sample.labels.tobytes())
    return total.hexdigest()
