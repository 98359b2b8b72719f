"""What a bundle says about itself: ``manifest.json``, parsed into frozen values."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct, to_builtins

from narrows.contract.errors import BundleError, RecordError
from narrows.contract.wire.feature import LatentShape
from narrows.contract.wire.record import Count, decode_object, decode_record

SCHEMA_VERSION = 1
ENCODER_INT8, ENCODER_FLOAT = "encoder.int8.onnx", "encoder.float.onnx"
DECODER, TABLES = "decoder.onnx", "tables.bin"
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 8 << 20
"""256 levels of 1024 gains, in decimal digits."""
_Side = Annotated[int, Meta(ge=1, le=1 << 16)]
_Byte = Annotated[int, Meta(ge=0, le=255)]


class InputSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """The picture that the encoder takes: uint8 RGB ``(1, height, width, 3)``, normalised inside the network."""

    width: _Side
    height: _Side
    mean: float
    deviation: float


class RateLevel(Struct, frozen=True, forbid_unknown_fields=True):
    """One point on the rate curve. ``gain`` has one positive float a channel.

    ``bits_per_pixel`` is what whole packets measured on the pictures that the tables were counted on.
    """

    gain: tuple[float, ...]
    bits_per_pixel: float


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the bundle, pinned. A file that is not required may be left out where space is short."""

    sha256: str
    size_bytes: Count
    required: bool = True


@dataclass(frozen=True)
class Manifest:
    """Everything that both ends must know of a model. Level 0 is the finest."""

    name: str
    version: str
    classes: tuple[str, ...]
    palette: tuple[tuple[_Byte, _Byte, _Byte], ...]
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
        return (json.dumps(to_builtins(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
        """
        try:
            raw = decode_object(data, what=MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
            if raw.get("schema") != SCHEMA_VERSION:
                found = repr(raw.get("schema"))[:40]
                raise BundleError(f"bundle schema {found}; this build speaks {SCHEMA_VERSION}: upgrade it")
            manifest = decode_record(data, cls, what=MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
        except RecordError as error:
            raise BundleError(str(error)) from None
        _check(manifest)
        return manifest

    def finest_level_within(self, bits_per_pixel: float) -> int:
        """The finest level whose measured rate keeps within a budget; the coarsest if none does."""
        for index, level in enumerate(self.levels):
            if level.bits_per_pixel <= bits_per_pixel:
                return index
        return len(self.levels) - 1


def _check(manifest: Manifest) -> None:
    channels = manifest.latent.channels
    if not all(1 <= side <= most for side, most in zip(manifest.latent.as_tuple(), (1024, 2048, 2048), strict=True)):
        raise BundleError(f"a latent shape of {manifest.latent.as_tuple()} is beyond what a packet can carry")
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
