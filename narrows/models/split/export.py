"""From a network and calibration pictures to a bundle: heads, tails, plans, and what each cut was measured to cost.

Half of the pictures are fitted on (ranges, sensitivity, tables), the other half judges every level by its agreement
with the unmodified network.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from narrows.contract.bundle import FileEntry, SplitBundle
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
from narrows.contract.codec.tensor_quantiser import plane_shape
from narrows.contract.errors import DatasetError, FieldInvalid, SplitError
from narrows.contract.outputs import DTYPES, Output
from narrows.models.export.labelling import Labelling
from narrows.models.split.agreement import Result, agreement
from narrows.models.split.cuts import Cut
from narrows.models.split.declared_outputs import declared_outputs
from narrows.models.split.design import Rounding, Sensitivity, fit_coders, fit_rounding, ideal_bytes
from narrows.models.split.feeding import Feeding, Picture
from narrows.models.split.halves import Halves, Runner, Values, take_apart
from narrows.models.split.memory import head_memory_bytes, weights_bytes
from narrows.models.split.network import Network
from narrows.models.split.profile import Profile
from narrows.models.split.sensitivity import measure_sensitivity
from narrows.models.split.shipped_graphs import PICTURE, batched, shipped_head, shipped_tail
from narrows.models.split.whole import whole_halves
from narrows.runtime.surroundings import scratch_folder

PRECISIONS_BITS = (16, 8, 6, 4, 3, 2)
MOST_LOST = 0.005
"""Agreement that the default level may lose at calibration: half a point, for other pictures lose more."""
_SENSITIVE_PICTURES = 2
_RANGE_ALONE_FROM_BITS = 16
"""At this precision no steps matter."""
Say = Callable[[str], None]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Classes:
    """What labels, scores or channels of the first output are called, and colours of labels, if they have any."""

    names: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()


@dataclass(frozen=True, eq=False)
class _Exported:
    """One cut, ready to be written."""

    declared: SplitCut
    head: bytes
    tail: bytes
    plan: bytes

    @property
    def default_level(self) -> int:
        """The coarsest level that loses no more than it may; the finest if none does."""
        kept = [n for n, level in enumerate(self.declared.levels) if level.agreement >= 1 - MOST_LOST]
        return max(kept, default=0)


def write_split_bundle(
    found: Profile,
    cuts: Sequence[Cut],
    feeding: Feeding,
    pictures: Sequence[Picture],
    label: Labelling,
    classes: Classes,
    folder: Path,
    *,
    bits: Sequence[int] = PRECISIONS_BITS,
    say: Say = print,
) -> SplitBundle:
    """Export every cut, write the manifest, open the result verified. The cut of fewest bytes is the default.

    Raises:
        SplitError: what crosses at a cut, or an output, cannot be carried; the message says why.
        BundleError: outputs that a bundle cannot declare.
        DatasetError: fewer than two pictures.
    """
    if not cuts:
        raise SplitError(f"{found.network.name} has no cut whose tensors can be coded: serve it whole (--whole)")
    if len(pictures) < 2:
        raise DatasetError(f"{len(pictures)} pictures; two are needed, and a few dozen are better")
    network, fine_first = found.network, sorted(set(bits), reverse=True)
    outputs = declared_outputs(network, classes.names)
    exported = [_export(found, cut, feeding, pictures, outputs, fine_first, say) for cut in cuts]
    exported.sort(key=lambda each: each.declared.levels[each.default_level].bytes)
    with scratch_folder() as draft:
        for number, each in enumerate(exported):
            for named, data in ((head_file, each.head), (tail_file, each.tail), (plan_file, each.plan)):
                (draft / named(number)).write_bytes(data)
        given = feeding.normalisation
        labelled = outputs[0].kind == "labels"
        manifest = SplitManifest(
            name=label.name,
            version=label.version,
            network_sha256=network.digest,
            input=PictureInput(feeding.width, feeding.height, _three(given.mean), _three(given.deviation), given.bgr),
            cuts=tuple(each.declared for each in exported),
            default_level=exported[0].default_level,
            outputs=outputs,
            licence=label.licence,
            provenance=label.provenance,
            files={path.name: _pinned(path) for path in sorted(draft.iterdir())},
            classes=outputs[0].classes if labelled else (),
            palette=classes.palette if labelled else (),
        )
        SplitManifest.parse(manifest.to_json())
        folder.mkdir(parents=True, exist_ok=True)
        for name in manifest.files:
            shutil.copyfile(draft / name, folder / name)
        (folder / MANIFEST).write_bytes(manifest.to_json())
    return SplitBundle.open(folder)


def _export(
    found: Profile,
    cut: Cut,
    feeding: Feeding,
    pictures: Sequence[Picture],
    outputs: Sequence[Output],
    bits: Sequence[int],
    say: Say,
) -> _Exported:
    if cut.head:
        _check(found.network, cut)
    say(f"{', '.join(cut.names)}: {len(pictures[::2])} pictures to fit on, {len(pictures[1::2])} to judge")
    if cut.head:
        halves = take_apart(found.network, cut)
        head = shipped_head(halves, feeding)
    else:
        halves, head = whole_halves(found.network, cut, feeding)
    measured = _Calibrated.of(halves, head, feeding, pictures)
    levels, plans = zip(*(measured.level(each) for each in bits), strict=True)
    tail = shipped_tail(halves, outputs)
    renamed = [{tensor_name(i): values[name] for i, name in enumerate(cut.names)} for values in measured.fitted[:2]]
    free = batched(tail, (renamed * 2)[:2])
    tensors = tuple(CutTensor(tensor.name, tensor.shape[1:], tensor.dtype) for tensor in cut.tensors)
    declared = SplitCut(
        name="+".join(cut.names),
        tensors=tensors,
        levels=levels,
        head_ms=round(found.device.share_ms(cut.head), 4),
        tail_ms=round(found.server.share_ms(cut.tail), 4),
        head_macs=cut.head_macs,
        tail_macs=cut.tail_macs,
        head_memory_bytes=head_memory_bytes(found.network, cut.head, cut.names)
        + weights_bytes(found.network, cut.head),
        head_energy_mj=round(found.device.energy_mj * found.device.share_ms(cut.head) / found.device.whole_ms, 4),
        batched=free is not None,
    )
    shipped = tail if free is None else free
    return _Exported(declared, head.SerializeToString(), shipped.SerializeToString(), pack_plan(plans))


def _check(network: Network, cut: Cut) -> None:
    for tensor in cut.tensors:
        place = network.maker.get(tensor.name)
        if place is None:
            raise SplitError(f"{tensor.name} is the picture itself: choose a cut behind it")
        if not tensor.is_float and network.nodes[place].operator != "QuantizeLinear":
            raise SplitError(f"{tensor.name} is {tensor.dtype}: indices and counts may not be rounded")
        if tensor.dtype not in DTYPES or not tensor.shape or tensor.shape[0] != 1:
            raise SplitError(f"{tensor.name} is {tensor.dtype} {tensor.shape}: no tensor of one picture that travels")
        try:
            plane_shape(tensor.shape)
        except FieldInvalid as error:
            raise SplitError(f"{tensor.name} is {error}; choose another cut") from None


@dataclass(frozen=True, eq=False)
class _Calibrated:
    """What crosses at a cut on all pictures, and what the unmodified network makes of those that judge."""

    halves: Halves
    tail: Runner
    fitted: Sequence[Values]
    judged: Sequence[tuple[Values, Result]]
    sensitivity: Sensitivity

    @classmethod
    def of(cls, halves: Halves, head: onnx.ModelProto, feeding: Feeding, pictures: Sequence[Picture]) -> _Calibrated:
        network, cut = halves.network, halves.cut
        run, tail, whole = Runner(head), Runner(halves.tail), Runner(network.model)

        def crossed(picture: Picture) -> Values:
            values = run({PICTURE: feeding.resized(picture)[None]})
            return {name: values[tensor_name(place)] for place, name in enumerate(cut.names)}

        fitted = [crossed(picture) for picture in pictures[::2]]
        first = network.outputs[0]
        judged = [(crossed(p), whole({network.input.name: feeding.feed(p)})[first]) for p in pictures[1::2]]
        sensitivity = measure_sensitivity(tail, fitted[:_SENSITIVE_PICTURES], cut.names, network.outputs[:1])
        return cls(halves, tail, fitted, judged, sensitivity)

    def level(self, bits: int) -> tuple[CutLevel, tuple[TensorPlan, ...]]:
        """At one precision, steps by range or by sensitivity: whichever agrees better; if neither, the smaller."""
        names = self.halves.cut.names
        steps: Sequence[Sensitivity | None] = (None, self.sensitivity)
        wanted = steps[: 1 if bits >= _RANGE_ALONE_FROM_BITS else 2]
        tried = [fit_rounding(self.fitted, names, bits, each) for each in wanted]
        best = max(tried, key=lambda each: (round(self._agreement(each), 4), -ideal_bytes(each, self.fitted)))
        coders = fit_coders(best, self.fitted)
        sizes = [
            sum(len(coders[name].encode(planes)) for name, planes in best.symbols(values).items())
            for values, _ in self.judged
        ]
        level = CutLevel(bits, best.steps, round(float(np.mean(sizes)), 1), round(self._agreement(best), 5))
        return level, tuple(TensorPlan(best.quantisers[name], coders[name]) for name in names)

    def _agreement(self, rounding: Rounding) -> float:
        first = self.halves.network.outputs[0]
        shares = [agreement(self.tail(rounding.rounded(values))[first], right) for values, right in self.judged]
        return min(1.0, float(np.mean(shares)))


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _pinned(path: Path) -> FileEntry:
    """Heads may be left out in the cloud, tails at cameras."""
    data = path.read_bytes()
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data), required=path.name.startswith("plan"))
