"""Opening a bundle folder: every hash is checked before anything is used."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle.heads import DECODER_HEADS, DECODER_HEADS_INT8, Heads, read_heads
from narrows.contract.bundle.heads import RECORD as HEADS
from narrows.contract.bundle.int8_decoder import (
    CPU_RECORD,
    DECODER_CPU,
    DECODER_INT8,
    RECORD,
    Int8Decoder,
    read_int8_decoder,
)
from narrows.contract.bundle.manifest import (
    CAMERA_DECODER,
    DECODER,
    ENCODER_FLOAT,
    ENCODER_INT8,
    LABEL_TABLES,
    MANIFEST,
    TABLES,
    Cut,
    FileEntry,
    Manifest,
)
from narrows.contract.bundle.model_input import ModelInput
from narrows.contract.codec import CodingTables
from narrows.contract.codec.label_tables import LabelTables
from narrows.contract.errors import BundleError, BundleUnknown, ShapeMismatch
from narrows.contract.outputs import Output
from narrows.contract.wire.feature import FeaturePacket, LatentShape

_HASH_BLOCK = 1 << 20
SYMBOLS, LEVEL = "symbols", "level"
"""The inputs of a joint decoder."""


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its folder, its manifest, its integer tables and the id that packets carry.

    ``int8_decoder`` is what is known of the decoder's int8 twin that engines are built from, ``cpu_decoder`` of the one
    that processors run; ``None`` where there is no twin. ``label_tables`` are the bundle's own, counted on its training
    masks; ``None`` where label maps are coded with the general ones.
    ``heads`` are what the cloud answers with beside the decoder's outputs.
    """

    folder: Path
    id: int
    manifest: Manifest
    tables: CodingTables
    int8_decoder: Int8Decoder | None = None
    label_tables: LabelTables | None = None
    heads: Heads = Heads()  # noqa: RUF009 - frozen
    cpu_decoder: Int8Decoder | None = None

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Read and verify a bundle folder.

        Raises:
            BundleError: a file is missing or altered, or does not fit the manifest; the message names it.
        """
        path, data = folder / MANIFEST, read_manifest(folder)
        manifest = Manifest.parse(data)
        if len(manifest.cuts) > 1:
            raise BundleError(
                f"{path} declares the cuts {_listed(manifest.cuts)}; this build codes and decodes cut 0 alone"
            )
        for name, entry in manifest.files.items():
            verify_file(folder / name, entry.sha256, MANIFEST, required=entry.required)
        tables = CodingTables.from_bytes((folder / TABLES).read_bytes())
        if (tables.levels, tables.channels) != (len(manifest.levels), manifest.latent.channels):
            raise BundleError(
                f"{folder / TABLES}: {tables.levels} levels of {tables.channels} channels, not the manifest's"
            )
        label_tables = _read_label_tables(folder, manifest)
        heads = read_heads(folder)
        decoder = _decoder_entry(manifest, heads)
        heads.check(manifest, decoder.sha256)
        _verify_heads(folder, heads)
        int8_decoder = _verified_twin(folder, decoder.sha256, DECODER_INT8, RECORD)
        cpu_decoder = _verified_twin(folder, decoder.sha256, DECODER_CPU, CPU_RECORD)
        return cls(folder, bundle_id_of(data), manifest, tables, int8_decoder, label_tables, heads, cpu_decoder)

    @property
    def hex_id(self) -> str:
        """The id as people see it: 16 hexadecimal digits."""
        return format_id(self.id)

    @property
    def bundle_id(self) -> int:
        """The id that packets name."""
        return self.id

    @property
    def batched(self) -> bool:
        """The joint decoder takes several frames at once."""
        return True

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        """What the decoder takes: symbols, and each frame's rate level."""
        return ModelInput(SYMBOLS, "int8", self.manifest.latent.as_tuple()), ModelInput(LEVEL, "int32", (1,))

    @property
    def own_outputs(self) -> tuple[Output, ...]:
        """What the decoder answers with."""
        return self.manifest.outputs

    @property
    def encoder_path(self) -> Path:
        """The int8 encoder, which cameras run."""
        return self.folder / ENCODER_INT8

    @property
    def float_encoder_path(self) -> Path:
        """The float encoder; may be absent."""
        return self.folder / ENCODER_FLOAT

    @cached_property
    def outputs(self) -> tuple[Output, ...]:
        """What Triton answers with: the decoder's outputs, the published label map first, then the heads'."""
        return (*self.manifest.outputs, *self.heads.outputs)

    @property
    def decoder_sha256(self) -> str:
        """Of the joint decoder."""
        return _decoder_entry(self.manifest, self.heads).sha256

    @property
    def decoder_path(self) -> Path:
        """The joint decoder, without heads."""
        return self.folder / DECODER

    @property
    def served_path(self) -> Path:
        """What Triton runs: the decoder, or the graph that heads are joined to it in."""
        return self.folder / (DECODER if self.heads.merged is None else DECODER_HEADS)

    @property
    def cpu_decoder_path(self) -> Path:
        """The joint decoder as the CPU profile runs it, without heads: the twin for processors where there is one.

        Heads read the float decoder's tensors, so a bundle that has heads is served in float.
        """
        quantised = self.cpu_decoder is not None and self.heads.merged is None
        return self.folder / (DECODER_CPU if quantised else DECODER)

    @property
    def has_cpu_decoder(self) -> bool:
        """Whether there is a twin for processors."""
        return self.cpu_decoder is not None

    @property
    def served_cpu_path(self) -> Path:
        """What Triton runs on processors."""
        return self.cpu_decoder_path if self.heads.merged is None else self.served_path

    @property
    def served_int8_path(self) -> Path | None:
        """What INT8 engines are built from; ``None`` where there is no such graph with the bundle's heads."""
        if self.heads.merged is not None:
            return self.folder / DECODER_HEADS_INT8 if self.heads.merged_int8 else None
        return self.int8_decoder_path if self.int8_decoder else None

    @property
    def has_camera_decoder(self) -> bool:
        """Whether cameras may make masks themselves. The file may be left out where none runs (`required` is false)."""
        return CAMERA_DECODER in self.manifest.files

    @property
    def camera_decoder_path(self) -> Path:
        """What cameras make masks with; pinned where ``has_camera_decoder``, and may be absent even so."""
        return self.folder / CAMERA_DECODER

    @property
    def int8_decoder_path(self) -> Path:
        """The decoder's int8 twin, without heads; there where ``int8_decoder`` is."""
        return self.folder / DECODER_INT8

    @cached_property
    def gains(self) -> NDArray[np.float32]:
        """Gains ``(levels, channels)`` float32."""
        return np.array([level.gain for level in self.manifest.levels], dtype=np.float32)

    def check(self, packet: FeaturePacket) -> None:
        """Refuse a packet that this bundle cannot decode.

        Raises:
            BundleUnknown: the packet names another bundle.
            ShapeMismatch: its shape, level or cut is not one of this bundle's.
        """
        if packet.bundle_id != self.id:
            raise BundleUnknown(f"the packet was made with bundle {format_id(packet.bundle_id)}, not {self.hex_id}")
        self.check_latent(packet.cut, packet.shape, packet.level)

    def check_latent(self, cut: int, shape: LatentShape, level: int) -> None:
        """Refuse a latent that this bundle cannot decode.

        Raises:
            ShapeMismatch: its shape, level or cut is not one of this bundle's.
        """
        cuts = self.manifest.cuts
        if cut >= len(cuts):
            raise ShapeMismatch(f"cut {cut}; the bundle's cuts are {_listed(cuts)}")
        latent = cuts[cut].latent
        if shape != latent:
            raise ShapeMismatch(f"shape {shape.as_tuple()}; the bundle has {latent.as_tuple()}")
        if level >= len(self.manifest.levels):
            raise ShapeMismatch(f"rate level {level}; the bundle has {len(self.manifest.levels)}")


def read_manifest(folder: Path) -> bytes:
    """A bundle's manifest, unread.

    Raises:
        BundleError: there is none.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{folder} is no bundle: {MANIFEST} is missing (make one with `narrows export`)")
    return path.read_bytes()


def _decoder_entry(manifest: Manifest, heads: Heads) -> FileEntry:
    """Who pins the decoder: a manifest of earlier bundles, which have it in their id, or the record beside it."""
    pinned = manifest.files.get(DECODER)
    if pinned is not None and heads.decoder is not None:
        raise BundleError(f"{DECODER} is pinned by {MANIFEST}, and by {HEADS} once more: take it out of {HEADS}")
    entry = pinned or heads.decoder
    if entry is None:
        raise BundleError(f"neither {MANIFEST} nor {HEADS} pins {DECODER}: copy the bundle again, whole")
    return entry


def _verified_twin(folder: Path, decoder_sha256: str, graph: str, record: str) -> Int8Decoder | None:
    twin = read_int8_decoder(folder, decoder_sha256, name=record)
    if twin is not None:
        verify_file(folder / graph, twin.sha256, record, required=True)
    return twin


def _verify_heads(folder: Path, heads: Heads) -> None:
    named = [(head.file_name, head.file) for head in heads.heads]
    graphs = ((DECODER, heads.decoder), (DECODER_HEADS, heads.merged), (DECODER_HEADS_INT8, heads.merged_int8))
    for name, entry in (*named, *graphs):
        if entry is not None:
            verify_file(folder / name, entry.sha256, HEADS, required=True)


def _read_label_tables(folder: Path, manifest: Manifest) -> LabelTables | None:
    if LABEL_TABLES not in manifest.files:
        return None
    path = folder / LABEL_TABLES
    try:
        return LabelTables.parse(path.read_bytes())
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None


def _listed(cuts: Sequence[Cut]) -> str:
    return ", ".join(f"{number} ({cut.name})" for number, cut in enumerate(cuts))


def is_bundle(folder: Path) -> bool:
    """Whether a folder says that it is a bundle, whole or damaged."""
    return (folder / MANIFEST).is_file()


def bundle_id_of(manifest: bytes) -> int:
    """The first 8 bytes of the manifest's SHA-256, big-endian: it pins every file through their hashes."""
    return int.from_bytes(hashlib.sha256(manifest).digest()[:8], "big")


def format_id(bundle_id: int) -> str:
    """``16`` hexadecimal digits."""
    return f"{bundle_id:016x}"


def parse_id(text: str) -> int:
    """Read what :func:`format_id` wrote.

    Raises:
        BundleError: not 16 hexadecimal digits.
    """
    try:
        if len(text) == 16:
            return int(text, 16)
    except ValueError:
        pass
    raise BundleError(f"bundle id {text!r}: 16 hexadecimal digits are expected, as in `narrows bundle show`")


def verify_file(path: Path, sha256: str, pinned_by: str, *, required: bool) -> None:
    """Whether a file is the one that is pinned.

    Raises:
        BundleError: it is another; or it is required, and missing.
    """
    if not path.is_file():
        if required:
            raise BundleError(f"{path} is missing: copy the bundle again, whole")
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
    if digest.hexdigest() != sha256:
        raise BundleError(f"{path} is not the file that {pinned_by} pins: copy the bundle again, whole")
