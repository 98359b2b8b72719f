"""What label values are called and which colour they are painted in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Manifest, SplitManifest, bundle_id_of, is_split_manifest
from narrows.contract.errors import BundleError

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Legend:
    """Names and RGB colours of a bundle's classes; without a bundle, numbers and a colour wheel."""

    bundle_id: int | None = None
    names: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()

    @classmethod
    def of_bundle(cls, folder: Path) -> Self:
        """The legend in a bundle's manifest; its other files are not needed.

        Raises:
            BundleError: the manifest is missing or cannot be read.
        """
        try:
            data = (folder / _MANIFEST).read_bytes()
        except OSError as error:
            raise BundleError(f"{folder / _MANIFEST}: {error.strerror}; a bundle's folder is expected") from None
        if is_split_manifest(data):
            split = SplitManifest.parse(data)
            return cls(bundle_id_of(data), split.outputs[0].classes, split.palette)
        manifest = Manifest.parse(data)
        return cls(bundle_id_of(data), manifest.classes, manifest.palette)

    def for_bundle(self, bundle_id: int) -> Legend:
        """This legend if it is that bundle's, else the legend of an unknown bundle."""
        return self if self.bundle_id == bundle_id else Legend()

    def name(self, label: int) -> str:
        """What a label value is called."""
        return self.names[label] if label < len(self.names) else str(label)

    def palette(self) -> NDArray[np.uint8]:
        """RGB of every label value, ``(256, 3)`` uint8."""
        palette = colour_wheel()
        if self.colours:
            palette[: len(self.colours)] = self.colours
        return palette


def colour_wheel() -> NDArray[np.uint8]:
    """256 distinct colours ``(256, 3)`` uint8, as PASCAL VOC numbers them: bit by bit over the three channels."""
    labels = np.arange(256)
    shifts = np.arange(8)
    channels = [((labels[:, None] >> (3 * shifts + c) & 1) << (7 - shifts)).sum(axis=1) for c in range(3)]
    return np.stack(channels, axis=1).astype(np.uint8)
