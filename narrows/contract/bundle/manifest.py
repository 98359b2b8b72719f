"""What a bundle says about itself: ``manifest.json``, parsed into frozen values."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from typing import Annotated, Any

from msgspec import Meta, Struct, to_builtins

from narrows.contract.codec.label_layout import MAX_LABELS, MIN_LABELS
from narrows.contract.errors import BundleError, RecordError
from narrows.contract.json_text import decode_object
from narrows.contract.outputs import Output, check_outputs
from narrows.contract.outputs.labels import KIND as LABELS
from narrows.contract.outputs.labels import labels_output
from narrows.contract.wire.feature import LatentShape
from narrows.contract.wire.record import Count, decode_record

SCHEMAS = (1, 2)
"""Schema 1 has one cut, the bottleneck, and one output, a label map of the picture's size; schema 2 declares both."""
ENCODER_INT8, ENCODER_FLOAT = "encoder.int8.onnx", "encoder.float.onnx"
DECODER, TABLES = "decoder.onnx", "tables.bin"
CAMERA_DECODER, LABEL_TABLES = "camera_decoder.int8.onnx", "labels.bin"
"""Optional, schema 2: what masks are made with at the camera, and the tables that their label maps are coded with."""
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 8 << 20
"""256 levels of 1024 gains, in decimal digits."""
MOST_CUTS = 256
"""A packet's field for the cut has one byte."""
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


class Cut(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the network is split, and the latent that crosses there. Packets name a cut by its place in the list."""

    name: str
    latent: LatentShape


@dataclass(frozen=True)
class Manifest:
    """Everything that both ends must know of a model. Level 0 is the finest.

    Attributes:
        latent: of the first cut, the bottleneck.
        cuts: where cameras may split the network. Empty where none are declared: the bottleneck is the only one.
        outputs: what the decoder answers with, in the order of its graph's outputs, the published label map first.
    """

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
    schema: int = 1
    cuts: tuple[Cut, ...] = ()
    outputs: tuple[Output, ...] = ()

    def __post_init__(self) -> None:
        """Fill in what schema 1 leaves unsaid."""
        if not self.cuts:
            object.__setattr__(self, "cuts", (Cut("bottleneck", self.latent),))
        if not self.outputs:
            labels = labels_output(self.input.height, self.input.width, self.classes)
            object.__setattr__(self, "outputs", (labels,))

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes whose hash is the bundle's id.

        Raises:
            ValueError: more cuts or outputs than schema 1 can say.
        """
        fields = to_builtins(self)
        if self.schema == 1:
            declared = fields.pop("cuts"), fields.pop("outputs")
            implied = replace(self, cuts=(), outputs=())
            if declared != (to_builtins(implied.cuts), to_builtins(implied.outputs)):
                raise ValueError("cuts and outputs are declared in schema 2: Manifest(..., schema=2)")
        return (json.dumps(fields, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read a manifest.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
        """
        try:
            raw = decode_object(data, what=MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
            _check_schema(raw)
            manifest = decode_record(data, cls, what=MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
        except RecordError as error:
            raise BundleError(str(error)) from None
        _check(manifest)
        return manifest

    @property
    def symbols_sha256(self) -> str:
        """What symbols mean, as a hash: encoder, picture, latent and gains. Whatever reads symbols is made for one.

        Names, tables, rates and decoders are not in it: bundles that differ in those have the same symbols.
        """
        meaning = {
            "encoder": self.files[ENCODER_INT8].sha256,
            "gains": [level.gain for level in self.levels],
            "input": to_builtins(self.input),
            "latent": self.latent.as_tuple(),
        }
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def finest_level_within(self, bits_per_pixel: float) -> int:
        """The finest level whose measured rate keeps within a budget; the coarsest if none does."""
        for index, level in enumerate(self.levels):
            if level.bits_per_pixel <= bits_per_pixel:
                return index
        return len(self.levels) - 1


def _check_schema(raw: dict[str, Any]) -> None:
    if "network_sha256" in raw:
        raise BundleError("a split network's bundle, which has no symbols: `narrows split export` wrote it")
    schema = raw.get("schema")
    if schema not in SCHEMAS or isinstance(schema, bool):
        raise BundleError(f"bundle schema {repr(schema)[:40]}; this build speaks {SCHEMAS}: upgrade it")
    for name in ("cuts", "outputs"):
        if schema == 1 and name in raw:
            raise BundleError(f"a manifest of schema 1 declares no {name}: schema 2 does")
        if schema != 1 and not raw.get(name):
            raise BundleError(f"a manifest of schema {schema} declares its {name}")


def _check(manifest: Manifest) -> None:
    channels = manifest.latent.channels
    _check_cuts(manifest)
    _check_outputs(manifest)
    check_camera_masks(manifest)
    if not 1 <= len(manifest.levels) <= 256:
        raise BundleError(f"a bundle has 1 to 256 rate levels, not {len(manifest.levels)}")
    if not 1 <= len(manifest.classes) <= 255 or len(manifest.classes) != len(manifest.palette):
        raise BundleError("a bundle has 1 to 255 classes and a palette colour for each")
    for index, level in enumerate(manifest.levels):
        if len(level.gain) != channels or not all(math.isfinite(g) and g > 0 for g in level.gain):
            raise BundleError(f"rate level {index} needs {channels} positive gains")
    for name in (ENCODER_INT8, TABLES) if manifest.schema > 1 else (ENCODER_INT8, DECODER, TABLES):
        if name not in manifest.files:
            raise BundleError(f"the manifest does not list {name}")
    for name in manifest.files:
        if "/" in name or name.startswith("."):
            raise BundleError(f"a bundle is one flat folder; {name!r} is not a file name")


def check_camera_masks(manifest: Manifest) -> None:
    """Whether a manifest may list what masks are made and coded with at the camera.

    Raises:
        BundleError: its schema or its number of classes does not allow it.
    """
    for name in (CAMERA_DECODER, LABEL_TABLES):
        if name not in manifest.files:
            continue
        if manifest.schema == 1:
            raise BundleError(f"a manifest of schema 1 lists no {name}: schema 2 does")
        if not MIN_LABELS <= len(manifest.classes) <= MAX_LABELS:
            raise BundleError(
                f"{name}: label maps have {MIN_LABELS} to {MAX_LABELS} labels, the bundle {len(manifest.classes)}"
            )
    if LABEL_TABLES in manifest.files and not manifest.files[LABEL_TABLES].required:
        raise BundleError(f"{LABEL_TABLES} is required where it is listed: both ends read the same tables")


def _check_cuts(manifest: Manifest) -> None:
    names = [cut.name for cut in manifest.cuts]
    if len(names) > MOST_CUTS or len(set(names)) < len(names):
        raise BundleError(f"a bundle has 1 to {MOST_CUTS} cuts, each of another name; it has {names[:8]}")
    if manifest.cuts[0].latent != manifest.latent:
        raise BundleError(f"cut 0 is the bottleneck: its latent is {manifest.latent.as_tuple()}")
    for cut in manifest.cuts:
        if not all(1 <= side <= most for side, most in zip(cut.latent.as_tuple(), (1024, 2048, 2048), strict=True)):
            raise BundleError(f"a latent shape of {cut.latent.as_tuple()} is beyond what a packet can carry")


def _check_outputs(manifest: Manifest) -> None:
    """MaskPacket v1 carries the first output: a label map, of the classes that the bundle has colours for."""
    check_outputs(manifest.outputs)
    first = manifest.outputs[0]
    if first.kind != LABELS or first.classes != manifest.classes:
        raise BundleError(f"the first output is the label map of the bundle's classes; {first.name} is not")
