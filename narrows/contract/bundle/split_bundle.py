"""Opening the bundle of a split network: every hash is checked before anything is used.

::

    manifest.json   cuts, outputs, files        head<cut>.onnx   for cameras, may be left out in the cloud
    plan<cut>.bin   both ends read it           tail<cut>.onnx   for Triton, may be left out at cameras
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from narrows.contract.bundle.bundle import Bundle, bundle_id_of, format_id, read_manifest, verify_file
from narrows.contract.bundle.heads import Heads
from narrows.contract.bundle.manifest import MANIFEST
from narrows.contract.bundle.model_input import ModelInput
from narrows.contract.bundle.split_manifest import (
    SplitCut,
    SplitManifest,
    head_file,
    is_split_manifest,
    plan_file,
    tail_file,
    tensor_name,
)
from narrows.contract.bundle.split_plan import TensorPlan, read_plan
from narrows.contract.errors import BundleError
from narrows.contract.outputs import Output


@dataclass(frozen=True, eq=False)
class SplitBundle:
    """A verified bundle of a split network. ``plans`` are by cut, level and tensor."""

    folder: Path
    id: int
    manifest: SplitManifest
    plans: tuple[tuple[tuple[TensorPlan, ...], ...], ...]

    @classmethod
    def open(cls, folder: Path) -> SplitBundle:
        """Read and verify a bundle folder.

        Raises:
            BundleError: a file is missing or altered, or does not fit the manifest; the message names it.
        """
        data = read_manifest(folder)
        manifest = SplitManifest.parse(data)
        for name, entry in manifest.files.items():
            verify_file(folder / name, entry.sha256, MANIFEST, required=entry.required)
        plans = tuple(_read_plan(folder / plan_file(number), cut) for number, cut in enumerate(manifest.cuts))
        return cls(folder, bundle_id_of(data), manifest, plans)

    @property
    def hex_id(self) -> str:
        """The id as people see it: 16 hexadecimal digits."""
        return format_id(self.id)

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What every tail answers with."""
        return self.manifest.outputs

    @property
    def label_tables(self) -> None:
        """None of its own: label maps are packed with the general ones."""
        return

    @cached_property
    def tails(self) -> tuple[Tail, ...]:
        """The tails whose graphs are in the folder, by cut."""
        found = (Tail(self, number) for number in range(len(self.manifest.cuts)))
        return tuple(tail for tail in found if tail.served_path.is_file())

    def head_path(self, cut: int) -> Path:
        """What cameras run of a cut; may be absent."""
        return self.folder / head_file(cut)


@dataclass(frozen=True, eq=False)
class Tail:
    """The cloud's part of one cut: a model of its own in Triton, with a cost and instances of its own."""

    bundle: SplitBundle
    number: int

    @property
    def cut(self) -> SplitCut:
        """Its declaration."""
        return self.bundle.manifest.cuts[self.number]

    @cached_property
    def id(self) -> int:
        """The bundle's for the default cut, else 64 bits of a SHA-256: no two tails have the same."""
        if self.number == 0:
            return self.bundle.id
        named = f"{self.bundle.hex_id} cut {self.number}".encode()
        return int.from_bytes(hashlib.sha256(named).digest()[:8], "big")

    @property
    def hex_id(self) -> str:
        """The id as people see it."""
        return format_id(self.id)

    @property
    def bundle_id(self) -> int:
        """The id that packets name."""
        return self.bundle.id

    @property
    def batched(self) -> bool:
        """Whether it takes several frames at once."""
        return self.cut.batched

    @property
    def inputs(self) -> tuple[ModelInput, ...]:
        """What crosses."""
        tensors = enumerate(self.cut.tensors)
        return tuple(ModelInput(tensor_name(place), tensor.dtype, tensor.shape) for place, tensor in tensors)

    @property
    def own_outputs(self) -> tuple[Output, ...]:
        """What it answers with."""
        return self.bundle.outputs

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What it answers with."""
        return self.bundle.outputs

    @property
    def heads(self) -> Heads:
        """None: heads read a joint decoder's symbols."""
        return Heads()

    @property
    def decoder_sha256(self) -> str:
        """Of its graph."""
        return self.bundle.manifest.files[tail_file(self.number)].sha256

    @property
    def served_path(self) -> Path:
        """Its graph."""
        return self.bundle.folder / tail_file(self.number)

    @property
    def has_cpu_decoder(self) -> bool:
        """None: processors run the network as it is, too."""
        return False

    @property
    def served_cpu_path(self) -> Path:
        """Its graph."""
        return self.served_path

    @property
    def served_int8_path(self) -> None:
        """None: the network runs as it is."""
        return


AnyBundle = Bundle | SplitBundle
ServedModel = Bundle | Tail
"""What Triton runs under one name."""


def open_bundle(folder: Path) -> AnyBundle:
    """A bundle folder of either sort.

    Raises:
        BundleError: as :meth:`Bundle.open` and :meth:`SplitBundle.open`.
    """
    kind: type[AnyBundle] = SplitBundle if is_split_manifest(read_manifest(folder)) else Bundle
    return kind.open(folder)


def models_of(bundle: AnyBundle) -> tuple[ServedModel, ...]:
    """What Triton runs of a bundle: its joint decoder, or the tails that are in its folder.

    Raises:
        BundleError: it has no tail.
    """
    if isinstance(bundle, Bundle):
        return (bundle,)
    if not bundle.tails:
        raise BundleError(f"{bundle.folder} has no tail to serve: copy tail0.onnx and its like there, too")
    return bundle.tails


def bundle_of(model: ServedModel) -> AnyBundle:
    """The bundle that a model is of: the one that packets name."""
    return model if isinstance(model, Bundle) else model.bundle


def _read_plan(path: Path, cut: SplitCut) -> tuple[tuple[TensorPlan, ...], ...]:
    bits = [level.precision_bits for level in cut.levels]
    shapes = [tensor.shape for tensor in cut.tensors]
    try:
        return read_plan(path.read_bytes(), bits, shapes)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
