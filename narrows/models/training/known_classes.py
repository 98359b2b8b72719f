"""Which classes the network of a run folder or a bundle tells apart: as many are not the same ones.

A teacher, or whoever labels, whose classes have other names or another order teaches wrong in silence.
"""

from __future__ import annotations

from pathlib import Path

from narrows.contract.bundle import Bundle, is_bundle
from narrows.contract.errors import WeightsMismatch
from narrows.models.training.run_folder import CONFIG, read_settings


def known_classes(folder: Path) -> tuple[str, ...] | None:
    """Their names in their order; ``None`` of a run that was begun before these were kept, or that is none.

    Raises:
        BundleError: the bundle is damaged.
        RecordError: the run's record is.
    """
    if is_bundle(folder):
        return Bundle.open(folder).manifest.classes
    path = folder / CONFIG
    if not path.is_file():
        return None
    names = read_settings(path).get("classes")
    return tuple(map(str, names)) if isinstance(names, list) else None


def check_known(folder: Path, wanted: tuple[str, ...], data: Path) -> None:
    """See that a network knows the classes of the data, in their order.

    Raises:
        WeightsMismatch: it knows others.
    """
    known = known_classes(folder)
    if known is not None and known != wanted:
        raise WeightsMismatch(
            f"{folder} segments {len(known)} classes, {', '.join(known)}; {data} has {len(wanted)}: {', '.join(wanted)}"
        )
