"""What a split bundle ships: of each cut its graphs, its tables and what was measured, and the manifest over all.

::

    halves, levels ── ship() ──► ShippedCut ┐
    halves, levels ── ship() ──► ShippedCut ┴─ write_bundle() ──► manifest.json, head-N.onnx, tail-N.onnx, plan-N.bin
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from narrows.contract.bundle import FileEntry, SplitBundle
from narrows.contract.bundle.bundle import read_manifest
from narrows.contract.bundle.manifest import MANIFEST
from narrows.contract.bundle.split_manifest import (
    CutLevel,
    CutTensor,
    PictureInput,
    SplitCut,
    SplitManifest,
    head_file,
    plan_file,
    tail_file,
    tensor_name,
)
from narrows.contract.bundle.split_plan import TensorPlan, pack_plan
from narrows.contract.errors import BundleError
from narrows.contract.outputs import Output
from narrows.models.export.labelling import Labelling
from narrows.models.split.cuts import Cut
from narrows.models.split.feeding import Feeding, Picture
from narrows.models.split.halves import Halves, Runner, Values
from narrows.models.split.memory import head_memory_bytes, weights_bytes
from narrows.models.split.network import Network
from narrows.models.split.profile import Profile
from narrows.models.split.shipped_graphs import PICTURE, batched, shipped_tail
from narrows.runtime.writing import write_files

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Classes:
    """What labels, scores or channels of the first output are called, and colours of labels, if they have any."""

    names: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()


@dataclass(frozen=True, eq=False)
class ShippedLevel:
    """One precision of a cut: what it was measured to cost, and the steps and tables of each tensor."""

    declared: CutLevel
    plans: tuple[TensorPlan, ...]


@dataclass(frozen=True, eq=False)
class ShippedCut:
    """One cut, ready to be written."""

    declared: SplitCut
    head: bytes
    tail: bytes
    plan: bytes


def crossed(head: onnx.ModelProto, cut: Cut, feeding: Feeding, pictures: Sequence[Picture]) -> list[Values]:
    """What the head makes of each picture, by the names that the tensors have in the network."""
    run = Runner(head)
    found: list[Values] = []
    for picture in pictures:
        made = run({PICTURE: feeding.resized(picture)[None]})
        found.append({name: made[tensor_name(place)] for place, name in enumerate(cut.names)})
    return found


def ship(
    found: Profile,
    halves: Halves,
    head: onnx.ModelProto,
    levels: Sequence[ShippedLevel],
    examples: Sequence[Values],
    outputs: Sequence[Output],
) -> ShippedCut:
    """One cut as a bundle has it; whether its tail takes batches is tried on the first two ``examples`` that cross.

    Of two pictures: beside itself a picture is answered alike by a tail that mixes those of a batch.
    """
    network, cut = found.network, halves.cut
    tail = shipped_tail(halves, outputs)
    renamed = [{tensor_name(i): values[name] for i, name in enumerate(cut.names)} for values in examples[:2]]
    free = batched(tail, renamed)
    head_ms = found.device.share_ms(cut.head)
    declared = SplitCut(
        name="+".join(cut.names),
        tensors=tuple(CutTensor(tensor.name, tensor.shape[1:], tensor.dtype) for tensor in cut.tensors),
        levels=tuple(level.declared for level in levels),
        head_ms=round(head_ms, 4),
        tail_ms=round(found.server.share_ms(cut.tail), 4),
        head_macs=cut.head_macs,
        tail_macs=cut.tail_macs,
        head_memory_bytes=head_memory_bytes(network, cut.head, cut.names) + weights_bytes(network, cut.head),
        head_energy_mj=round(found.device.energy_mj * head_ms / found.device.whole_ms, 4),
        batched=free is not None,
    )
    shipped = tail if free is None else free
    plan = pack_plan([level.plans for level in levels])
    return ShippedCut(declared, head.SerializeToString(), shipped.SerializeToString(), plan)


def write_bundle(
    network: Network,
    cuts: Sequence[ShippedCut],
    default_level: int,
    feeding: Feeding,
    outputs: tuple[Output, ...],
    classes: Classes,
    label: Labelling,
    folder: Path,
) -> SplitBundle:
    """Write all files and the manifest, open the result verified. The first cut is the default.

    Raises:
        BundleError: the manifest would not be one.
        FileUnwritable: the folder cannot be written to; what stood there stands.
    """
    files: dict[str, bytes] = {}
    for number, each in enumerate(cuts):
        files |= {head_file(number): each.head, tail_file(number): each.tail, plan_file(number): each.plan}
    given = feeding.normalisation
    labelled = outputs[0].kind == "labels"
    manifest = SplitManifest(
        name=label.name,
        version=label.version,
        network_sha256=network.digest,
        input=PictureInput(feeding.width, feeding.height, _three(given.mean), _three(given.deviation), given.bgr),
        cuts=tuple(each.declared for each in cuts),
        default_level=default_level,
        outputs=outputs,
        licence=label.licence,
        provenance=label.provenance,
        files={name: _pinned(name, files[name]) for name in sorted(files)},
        classes=outputs[0].classes if labelled else (),
        palette=classes.palette if labelled else (),
    )
    SplitManifest.parse(manifest.to_json())
    stale = _files_before(folder) - files.keys()
    write_files(folder, files | {MANIFEST: manifest.to_json()})
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return SplitBundle.open(folder)


def _files_before(folder: Path) -> set[str]:
    """What a split network's bundle that stands there lists; none where something else does."""
    try:
        return set(SplitManifest.parse(read_manifest(folder)).files)
    except BundleError:
        return set()


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _pinned(name: str, data: bytes) -> FileEntry:
    """Heads may be left out in the cloud, tails at cameras."""
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data), required=name.startswith("plan"))
