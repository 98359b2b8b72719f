"""What a bundle says about itself: ``manifest.json``, parsed into frozen values."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from narrows.errors import BundleError
from narrows.wire.feature import LatentShape

SCHEMA_VERSION = 1
ENCODER_INT8, ENCODER_FLOAT = "encoder.int8.onnx", "encoder.float.onnx"
DECODER, TABLES = "decoder.onnx", "tables.bin"


@dataclass(frozen=True)
class InputSpec:
    """The picture that the encoder takes: uint8 RGB ``(1, height, width, 3)``, normalised inside the network."""

    width: int
    height: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class RateLevel:
    """One point on the rate curve. ``gain`` has one positive float a channel.

    ``bits_per_pixel`` is what whole packets measured on the pictures that the tables were counted on.
    """

    gain: tuple[float, ...]
    bits_per_pixel: float


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle, pinned. A file that is not required may be left out where space is short."""

    sha256: str
    size_bytes: int
    required: bool = True


@dataclass(frozen=True)
class Manifest:
    """Everything that both ends must know of a model. Level 0 is the finest."""

    name: str
    version: str
    classes: tuple[str, ...]
    palette: tuple[tuple[int, int, int], ...]
    input: InputSpec
    latent: LatentShape
    levels: tuple[RateLevel, ...]
    coding_order: str
    licence: str
    provenance: str
    files: dict[str, FileEntry]
    schema: int = SCHEMA_VERSION

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes whose hash is the bundle's id."""
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
        """
        try:
            raw = json.loads(data)
            if raw["schema"] != SCHEMA_VERSION:
                raise BundleError(f"bundle schema {raw['schema']!r}; this build speaks {SCHEMA_VERSION}: upgrade it")
            manifest = cls(
                name=str(raw["name"]),
                version=str(raw["version"]),
                classes=tuple(str(name) for name in raw["classes"]),
                palette=tuple((int(r), int(g), int(b)) for r, g, b in raw["palette"]),
                input=InputSpec(**raw["input"]),
                latent=LatentShape(**raw["latent"]),
                levels=tuple(_level(item) for item in raw["levels"]),
                coding_order=str(raw["coding_order"]),
                licence=str(raw["licence"]),
                provenance=str(raw["provenance"]),
                files={str(name): FileEntry(**entry) for name, entry in raw["files"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BundleError(f"manifest.json cannot be read: {type(error).__name__}: {error}") from None
        _check(manifest)
        return manifest

    def finest_level_within(self, bits_per_pixel: float) -> int:
        """The finest level whose measured rate keeps within a budget; the coarsest if none does."""
        for index, level in enumerate(self.levels):
            if level.bits_per_pixel <= bits_per_pixel:
                return index
        return len(self.levels) - 1


def _level(raw: dict[str, Any]) -> RateLevel:
    return RateLevel(tuple(float(g) for g in raw["gain"]), float(raw["bits_per_pixel"]))


def _check(manifest: Manifest) -> None:
    channels = manifest.latent.channels
    if not 1 <= len(manifest.levels) <= 256:
        raise BundleError(f"a bundle has 1 to 256 rate levels, not {len(manifest.levels)}")
    if not 1 <= len(manifest.classes) <= 255 or len(manifest.classes) != len(manifest.palette):
        raise BundleError("a bundle has 1 to 255 classes and a palette colour for each")
    for index, level in enumerate(manifest.levels):
        if len(level.gain) != channels or not all(math.isfinite(g) and g > 0 for g in level.gain):
            raise BundleError(f"rate level {index} needs {channels} positive gains")
    for name in (ENCODER_INT8, DECODER, TABLES):
        if name not in manifest.files:
            raise BundleError(f"the manifest does not list {name}")
    for name in manifest.files:
        if "/" in name or name.startswith("."):
            raise BundleError(f"a bundle is one flat folder; {name!r} is not a file name")
