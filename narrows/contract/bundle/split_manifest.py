"""What the bundle of a split network says about itself: ``manifest.json`` of schema 2, whose cuts name tensors.

::

    picture ─► head of a cut ─► tensors ─ plan: quantise, code ─► sections of a packet ─► tail of the cut ─► outputs

Every cut has the same number of levels, level 0 the finest. Packets name a cut, and a level of it, by their places.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct, to_builtins

from narrows.contract.bundle.manifest import MANIFEST, MAX_MANIFEST_BYTES, MOST_CUTS, FileEntry
from narrows.contract.codec.tensor_quantiser import plane_shape
from narrows.contract.errors import BundleError, FieldInvalid, RecordError, ShapeBeyondLimits
from narrows.contract.json_text import decode_object
from narrows.contract.outputs import DTYPES, Output, check_outputs
from narrows.contract.outputs.labels import KIND as LABELS
from narrows.contract.wire.frame_packet import MAX_SECTIONS, Tensor
from narrows.contract.wire.record import Count, Ratio, decode_record

MOST_LEVELS = 16
_Side = Annotated[int, Meta(ge=1, le=1 << 16)]
_Byte = Annotated[int, Meta(ge=0, le=255)]
_Milliseconds = Annotated[float, Meta(ge=0, le=1e9)]
_Macs = Annotated[int, Meta(ge=0, le=1 << 53)]


class PictureInput(Struct, frozen=True, forbid_unknown_fields=True):
    """The picture that heads take: uint8 RGB ``(1, height, width, 3)``; what the network makes of it is inside them.

    ``mean``, ``deviation`` and ``bgr`` say what that is: values less the mean, over the deviation, blue first or last.
    """

    width: _Side
    height: _Side
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    bgr: bool = False


class CutTensor(Struct, frozen=True, forbid_unknown_fields=True):
    """A tensor that crosses. Its section's id is its place in the cut, and both graphs call it ``tensor_<place>``.

    Attributes:
        name: in the unmodified network.
        shape: without the batch.
        dtype: as the tail takes it.
    """

    name: str
    shape: Annotated[tuple[_Side, ...], Meta(min_length=1, max_length=Tensor.most_sides)]
    dtype: str


class CutLevel(Struct, frozen=True, forbid_unknown_fields=True):
    """A level of a cut, as it was measured at calibration.

    Attributes:
        precision_bits: of the channel of most values; every section of a packet says it again.
        steps: what set the steps of channels, ``range`` or ``sensitivity``.
        bytes: mean of a picture's payloads.
        agreement: with the unmodified network, a share from 0 to 1.
        least_agreement: what it is not below on other pictures, with 95 % confidence; 0 in bundles that do not say it.
        encode_ms: of a picture on the device, to quantise and code what crosses; 0 in bundles that do not say it.
        decode_ms: on the server, to decode it.
    """

    precision_bits: Annotated[int, Meta(ge=1, le=16)]
    steps: str
    bytes: Ratio
    agreement: Annotated[float, Meta(ge=0, le=1)]
    least_agreement: Annotated[float, Meta(ge=0, le=1)] = 0.0
    encode_ms: _Milliseconds = 0.0
    decode_ms: _Milliseconds = 0.0


class SplitCut(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the network may be split.

    Attributes:
        name: for people; no other cut has it.
        tensors: what crosses, in the order of a packet's sections.
        levels: the finest first.
        head_ms, tail_ms: of a picture, as profiled on the device and on the server when the bundle was written; coding
            is the levels'.
        head_macs, tail_macs: multiply-accumulates.
        head_memory_bytes: activations and weights on the device.
        head_energy_mj: of a picture's head on the device; by counters or as an estimate, as it was profiled.
        batched: whether the tail takes several pictures at once.
    """

    name: str
    tensors: tuple[CutTensor, ...]
    levels: tuple[CutLevel, ...]
    head_ms: _Milliseconds
    tail_ms: _Milliseconds
    head_macs: _Macs
    tail_macs: _Macs
    head_memory_bytes: Count
    head_energy_mj: Ratio
    batched: bool


@dataclass(frozen=True)
class RatedLevel:
    """A level of the default cut, as the camera's rate control knows levels."""

    bits_per_pixel: float


@dataclass(frozen=True)
class SplitManifest:
    """Everything that both ends must know of a split network. Cut 0 is the default: who decides nothing uses it.

    Attributes:
        network_sha256: of the unmodified ONNX file.
        default_level: the level that calibration chose for the default cut.
        outputs: what every tail answers with, in this order.
        classes: of the first output, where that is a label map; else empty.
        palette: their colours; empty where they have none.
    """

    name: str
    version: str
    network_sha256: str
    input: PictureInput
    cuts: tuple[SplitCut, ...]
    default_level: Annotated[int, Meta(ge=0)]
    outputs: tuple[Output, ...]
    licence: str
    provenance: str
    files: dict[str, FileEntry]
    classes: tuple[str, ...] = ()
    palette: tuple[tuple[_Byte, _Byte, _Byte], ...] = ()
    schema: int = 2

    @property
    def levels(self) -> tuple[RatedLevel, ...]:
        """The levels of the default cut."""
        pixels = self.input.width * self.input.height
        return tuple(RatedLevel(8 * level.bytes / pixels) for level in self.cuts[0].levels)

    def to_json(self) -> bytes:
        """Canonical JSON: the bytes whose hash is the bundle's id."""
        return (json.dumps(to_builtins(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes) -> SplitManifest:
        """Read a manifest.

        Raises:
            BundleError: no JSON, another schema, or a field that is missing or makes no sense.
        """
        try:
            manifest = decode_record(data, cls, what=MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
        except RecordError as error:
            raise BundleError(str(error)) from None
        _check(manifest)
        return manifest


def is_split_manifest(data: bytes) -> bool:
    """Whether a manifest is that of a split network.

    Raises:
        BundleError: it is no JSON.
    """
    try:
        raw: dict[str, Any] = decode_object(data, what=MANIFEST, most_bytes=MAX_MANIFEST_BYTES)
    except RecordError as error:
        raise BundleError(str(error)) from None
    return "network_sha256" in raw


def head_file(cut: int) -> str:
    """What cameras run of a cut."""
    return f"head{cut}.onnx"


def tail_file(cut: int) -> str:
    """What Triton runs of a cut."""
    return f"tail{cut}.onnx"


def plan_file(cut: int) -> str:
    """How the tensors of a cut are quantised and coded, at each of its levels."""
    return f"plan{cut}.bin"


def tensor_name(place: int) -> str:
    """What a cut's graphs call a tensor."""
    return f"tensor_{place}"


def _check(manifest: SplitManifest) -> None:
    if manifest.schema != 2:
        raise BundleError(f"bundle schema {manifest.schema}; a split network's is 2: upgrade this build")
    names = [cut.name for cut in manifest.cuts]
    if not 1 <= len(names) <= MOST_CUTS or len(set(names)) < len(names):
        raise BundleError(f"a bundle has 1 to {MOST_CUTS} cuts, each of another name; it has {names[:8]}")
    levels = len(manifest.cuts[0].levels)
    if not 1 <= levels <= MOST_LEVELS or manifest.default_level >= levels:
        raise BundleError(f"a cut has 1 to {MOST_LEVELS} levels, the default among them; there are {levels}")
    for number, cut in enumerate(manifest.cuts):
        _check_cut(cut, levels)
        for file in (head_file(number), tail_file(number), plan_file(number)):
            if file not in manifest.files:
                raise BundleError(f"the manifest does not list {file}, of cut {number} ({cut.name})")
    for name in manifest.files:
        if "/" in name or name.startswith("."):
            raise BundleError(f"a bundle is one flat folder; {name!r} is not a file name")
    _check_outputs(manifest)


def _check_cut(cut: SplitCut, levels: int) -> None:
    if not 1 <= len(cut.tensors) <= MAX_SECTIONS:
        raise BundleError(f"cut {cut.name} has {len(cut.tensors)} tensors; 1 to {MAX_SECTIONS} cross")
    if len(cut.levels) != levels:
        raise BundleError(f"cut {cut.name} has {len(cut.levels)} levels, the first cut {levels}: all have as many")
    for tensor in cut.tensors:
        if tensor.dtype not in DTYPES:
            raise BundleError(f"tensor {tensor.name} of cut {cut.name} is {tensor.dtype}: it is one of {DTYPES}")
        try:
            Tensor(tensor.shape, cut.levels[0].precision_bits).check()
            plane_shape(tensor.shape)
        except (FieldInvalid, ShapeBeyondLimits) as error:
            raise BundleError(f"tensor {tensor.name} of cut {cut.name}: {error}") from None


def _check_outputs(manifest: SplitManifest) -> None:
    check_outputs(manifest.outputs)
    first = manifest.outputs[0]
    named = first.classes if first.kind == LABELS else ()
    if manifest.classes != named or len(manifest.palette) not in {0, len(named)}:
        raise BundleError("classes and palette are those of the first output, where it is a label map")
    if any(output.kind == LABELS for output in manifest.outputs[1:]) and first.kind != LABELS:
        raise BundleError("a label map is the first output, or stands behind one")
