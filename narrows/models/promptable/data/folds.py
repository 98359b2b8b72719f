"""Five folds by picture: things of one picture are never on both sides.

Pictures are ordered by a hash of the seed and their name, and dealt out in turn. So folds hardly differ in size, are
the same on every machine, and need no file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from narrows.contract.errors import DatasetError

FOLDS = 5
SEED = "narrows-promptable-1"
"""Another seed is another experiment: figures of the two are not comparable."""


def fold_of(names: Sequence[str]) -> dict[str, int]:
    """The fold, 0 to 4, of each picture of a split."""
    ordered = sorted(names, key=_hash)
    return {name: place % FOLDS for place, name in enumerate(ordered)}


def in_fold(names: Sequence[str], fold: int) -> tuple[str, ...]:
    """The pictures that a network of this fold has never seen, in the order of ``names``.

    Raises:
        DatasetError: there is no such fold.
    """
    return _where(names, fold, inside=True)


def without_fold(names: Sequence[str], fold: int) -> tuple[str, ...]:
    """The pictures that a network of this fold is trained on.

    Raises:
        DatasetError: there is no such fold.
    """
    return _where(names, fold, inside=False)


def _where(names: Sequence[str], fold: int, *, inside: bool) -> tuple[str, ...]:
    if not 0 <= fold < FOLDS:
        raise DatasetError(f"fold {fold}: there are folds 0 to {FOLDS - 1}")
    folds = fold_of(names)
    return tuple(name for name in names if (folds[name] == fold) is inside)


def _hash(name: str) -> str:
    return hashlib.sha256(f"{SEED}/{name}".encode()).hexdigest()
