"""From a network and calibration pictures to a bundle: heads, tails, plans, and what each cut was measured to cost.

Half of the pictures are fitted on (ranges, sensitivity, tables), the other half judges every level by its agreement
with the unmodified network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from msgspec.structs import replace as with_fields

from narrows.contract.bundle import SplitBundle
from narrows.contract.bundle.split_manifest import CutLevel
from narrows.contract.bundle.split_plan import TensorPlan
from narrows.contract.bundle.split_table import KEPT, default_level
from narrows.contract.codec.tensor_quantiser import plane_shape
from narrows.contract.errors import DatasetError, FieldInvalid, SplitError
from narrows.contract.outputs import DTYPES, Output
from narrows.models.export.labelling import Labelling
from narrows.models.split.agreement import Result, agreement, decisions, least_agreement
from narrows.models.split.coding_times import MEASURED, levels_job
from narrows.models.split.cuts import Cut
from narrows.models.split.declared_outputs import declared_outputs
from narrows.models.split.design import Rounding, Sensitivity, fit_coders, fit_rounding, ideal_bytes
from narrows.models.split.feeding import Feeding, Picture
from narrows.models.split.halves import Halves, Runner, Values, take_apart
from narrows.models.split.network import Network
from narrows.models.split.profile import Profile
from narrows.models.split.sensitivity import measure_sensitivity
from narrows.models.split.shipped_graphs import shipped_head
from narrows.models.split.shipping import Classes, ShippedCut, ShippedLevel, crossed, ship, write_bundle
from narrows.models.split.whole import whole_halves

PRECISIONS_BITS = (16, 8, 6, 4, 3, 2)
_SENSITIVE_PICTURES = 2
_RANGE_ALONE_FROM_BITS = 16
"""At this precision no steps matter."""
Say = Callable[[str], None]


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
    outputs, fine_first = declared_outputs(found.network, classes.names), sorted(set(bits), reverse=True)
    exported = [_export(found, cut, feeding, pictures, outputs, fine_first, say) for cut in cuts]
    exported.sort(key=lambda each: each.declared.levels[default_level(each.declared.levels)].bytes)
    default = default_level(exported[0].declared.levels)
    if exported[0].declared.levels[default].least_agreement < KEPT:
        say(
            f"{len(pictures[1::2])} pictures do not show of any level that it keeps {KEPT:.0%} of the "
            "results: the finest is the default; for a classifier it takes some six hundred (--most)"
        )
    return write_bundle(found.network, exported, default, feeding, outputs, classes, label, folder)


def _export(
    found: Profile,
    cut: Cut,
    feeding: Feeding,
    pictures: Sequence[Picture],
    outputs: Sequence[Output],
    bits: Sequence[int],
    say: Say,
) -> ShippedCut:
    if cut.head:
        _check(found.network, cut)
    say(f"{', '.join(cut.names)}: {len(pictures[::2])} pictures to fit on, {len(pictures[1::2])} to judge")
    if cut.head:
        halves = take_apart(found.network, cut)
        head = shipped_head(halves, feeding)
    else:
        halves, head = whole_halves(found.network, cut, feeding)
    measured = _Calibrated.of(halves, head, feeding, pictures)
    levels = timed_levels(found, cut, [measured.level(each) for each in bits], measured.judged[0][0], say)
    examples = [*measured.fitted, *(crossing for crossing, _ in measured.judged)]
    return ship(found, halves, head, levels, examples, outputs)


def timed_levels(
    found: Profile, cut: Cut, levels: Sequence[ShippedLevel], crossing: Values, say: Say = print
) -> Sequence[ShippedLevel]:
    """What coding takes at each level, where it will run."""
    coded = found.coding(levels_job(crossing, cut, [level.plans for level in levels]))
    if coded.source != MEASURED:
        say(f"times of coding are an {coded.source}")
    return [
        replace(
            level,
            declared=with_fields(
                level.declared, encode_ms=round(time.encode_ms, 4), decode_ms=round(time.decode_ms, 4)
            ),
        )
        for level, time in zip(levels, coded.times, strict=True)
    ]


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
        tail, whole, first = Runner(halves.tail), Runner(network.model), network.outputs[0]
        fitted = crossed(head, cut, feeding, pictures[::2])
        right = [whole({network.input.name: feeding.feed(each)})[first] for each in pictures[1::2]]
        judged = list(zip(crossed(head, cut, feeding, pictures[1::2]), right, strict=True))
        sensitivity = measure_sensitivity(tail, fitted[:_SENSITIVE_PICTURES], cut.names, network.outputs[:1])
        return cls(halves, tail, fitted, judged, sensitivity)

    def level(self, bits: int) -> ShippedLevel:
        """At one precision, steps by range or by sensitivity: whichever agrees better; if neither, the smaller."""
        names = self.halves.cut.names
        steps: Sequence[Sensitivity | None] = (None, self.sensitivity)
        wanted = steps[: 1 if bits >= _RANGE_ALONE_FROM_BITS else 2]
        tried = [fit_rounding(self.fitted, names, bits, each) for each in wanted]
        shares = [self._shares(each) for each in tried]
        ranks = [
            (round(float(np.mean(each)), 4), -ideal_bytes(how, self.fitted))
            for each, how in zip(shares, tried, strict=True)
        ]
        chosen = max(range(len(tried)), key=ranks.__getitem__)
        best, share = tried[chosen], shares[chosen]
        coders = fit_coders(best, self.fitted)
        sizes = [
            sum(len(coders[name].encode(planes)) for name, planes in best.symbols(values).items())
            for values, _ in self.judged
        ]
        level = CutLevel(
            precision_bits=bits,
            steps=best.steps,
            bytes=round(float(np.mean(sizes)), 1),
            agreement=round(float(np.mean(share)), 5),
            least_agreement=round(least_agreement(share, decisions(self.judged[0][1])), 5),
        )
        return ShippedLevel(level, tuple(TensorPlan(best.quantisers[name], coders[name]) for name in names))

    def _shares(self, rounding: Rounding) -> list[float]:
        """The agreement of each picture."""
        first = self.halves.network.outputs[0]
        return [min(1.0, agreement(self.tail(rounding.rounded(values))[first], right)) for values, right in self.judged]
