"""What a bundle says of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Labelling:
    """What a bundle says of itself beside its tensors."""

    name: str
    version: str
    licence: str
    provenance: str
