"""For one network: candidate cuts, the precision of each by measured sensitivity, and what it takes elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.split_bits.judges import Counts, lost_points
from benchmarks.split_bits.pictures import Sample
from benchmarks.split_bits.rivals import rival_bytes
from benchmarks.split_bits.subjects import Subject
from narrows.contract.codec.tensor_quantiser import plane_shape
from narrows.contract.errors import FieldInvalid
from narrows.models.split.cuts import Cut, find_cuts
from narrows.models.split.design import Rounding, fit_coders, fit_rounding, ideal_bytes
from narrows.models.split.halves import Runner, Values, take_apart
from narrows.models.split.network import Network, Tensor
from narrows.models.split.opening import open_network
from narrows.models.split.sensitivity import measure_sensitivity

FIFTH = 0.2
ONE_POINT = 1.0
_BANDS = ((FIFTH, 0.4), (0.4, 0.6), (0.6, 1 - FIFTH), (1 - FIFTH, 0.995))
"""Shares of the head in the MACs; from each the cut of fewest bytes is tried."""
_PRECISIONS_BITS = (2, 3, 4, 5, 6, 8)
_LARGE_MACS = 5e9
"""Of a network that is tried on fewer cuts and pictures."""
_HELD_BACK = 0.5
"""Points that a design may lose at calibration: less than on held-out pictures, which are others."""
_TRIES = 5
"""Of the designs that hold one point at calibration, so many are judged on held-out pictures until one holds it."""
_RECTIFIED = {"Relu", "Clip", "HardSigmoid"}


@dataclass(frozen=True, eq=False)
class Bench:
    """A network with its pictures.

    Attributes:
        unmodified: what its results are held against, where it is not the network itself.
    """

    subject: Subject
    network: Network
    calibration: Sequence[Sample]
    tuning: Sequence[Sample]
    held_out: Sequence[Sample]
    unmodified: Network | None = None

    @classmethod
    def opened(cls, subject: Subject, data: Path, share: float) -> Bench:
        """Of ``share`` of the pictures."""
        network = open_network(subject.path, subject.input_shape)
        fitted = subject.calibration(data, max(8, int(subject.calibrated * share)))
        held_out = subject.held_out(data, max(8, int(subject.pictures * share)))
        return cls(subject, network, fitted[::3], [s for i, s in enumerate(fitted) if i % 3], held_out)

    @cached_property
    def whole(self) -> Runner:
        """The unmodified network."""
        return Runner((self.unmodified or self.network).model)

    def feed(self, sample: Sample) -> Values:
        """A picture as the network takes it."""
        return {self.network.input.name: self.subject.feed(sample.picture)}

    def result(self, values: Values) -> NDArray[Any]:
        """The first output: what is judged."""
        return values[self.network.outputs[0]]

    def candidates(self) -> list[Cut]:
        """From each band the cut of fewest bytes, and that of rectified tensors alone, where the coder takes them.

        A nested U-net has none in any band: then the one of fewest bytes anywhere.
        """
        found = []
        usable = [cut for cut in find_cuts(self.network) if all(map(self._codable, cut.tensors))]
        for low, high in _BANDS:
            within = [cut for cut in usable if low <= cut.head_macs / self.network.macs < high]
            sparse = [cut for cut in within if self._rectified(cut) == len(cut.tensors)]
            if low >= FIFTH or self.network.macs < _LARGE_MACS:
                found += [min(some, key=self._expected) for some in (within, sparse) if some]
        worked = [cut for cut in usable if cut.head_macs and cut.tail_macs]
        return list(dict.fromkeys(found or sorted(worked, key=self._expected)[:1]))

    def _codable(self, tensor: Tensor) -> bool:
        """Floats, and what a network in int8 has made of them."""
        place = self.network.maker.get(tensor.name)
        quantised = place is not None and self.network.nodes[place].operator == "QuantizeLinear"
        try:
            plane_shape(tensor.shape)
        except FieldInvalid:
            return False
        return tensor.is_float or quantised

    def _expected(self, cut: Cut) -> tuple[int, int, int]:
        return cut.size_bytes, -self._rectified(cut), cut.head_macs

    def _rectified(self, cut: Cut) -> int:
        makers = [self.network.maker.get(name) for name in cut.names]
        return sum(place is not None and self.network.nodes[place].operator in _RECTIFIED for place in makers)

    def balanced(self, cut: Cut) -> bool:
        """Whether a fifth of the MACs or more is on each side."""
        return min(cut.head_macs, cut.tail_macs) >= FIFTH * self.network.macs


@dataclass(frozen=True, eq=False)
class Tried:
    """A cut at one precision, on the tuning pictures."""

    rounding: Rounding
    lost_points: float
    ideal_bytes: float


class CutBench:
    """One cut of a network."""

    def __init__(self, bench: Bench, cut: Cut) -> None:
        self.bench, self.cut = bench, cut
        halves = take_apart(bench.network, cut)
        self.head, self.tail = Runner(halves.head), Runner(halves.tail)
        self.fitted = [self._crossed(sample) for sample in bench.calibration]

    def _crossed(self, sample: Sample) -> Values:
        values = self.head(self.bench.feed(sample))
        return {name: values[name] for name in self.cut.names}

    def tried(self, sensitive: int | None = None) -> list[Tried]:
        """Every precision, steps by range and by sensitivity, cheapest first; that measured on so many pictures."""
        sensitivity = measure_sensitivity(
            self.tail,
            self.fitted[: sensitive or (1 if self.bench.network.macs > _LARGE_MACS else 4)],
            self.cut.names,
            self.bench.network.outputs[:1],
        )
        tuning = [(sample, self._crossed(sample)) for sample in self.bench.tuning]
        exact = [self.bench.result(self.bench.whole(self.bench.feed(sample))) for sample, _ in tuning]
        whole = [self._counts(sample, result, result) for (sample, _), result in zip(tuning, exact, strict=True)]
        found = []
        for steps in (None, sensitivity):
            for bits in _PRECISIONS_BITS:
                rounding = fit_rounding(self.fitted, self.cut.names, bits, steps)
                counts = [
                    self._counts(sample, self.bench.result(self.tail(rounding.rounded(crossed))), result)
                    for (sample, crossed), result in zip(tuning, exact, strict=True)
                ]
                lost = 100 * (self.bench.subject.judge.share(whole) - self.bench.subject.judge.share(counts))
                found.append(Tried(rounding, lost, ideal_bytes(rounding, self.fitted)))
                if lost <= 0.2:
                    break
        return sorted(found, key=lambda each: each.ideal_bytes)

    def _counts(self, sample: Sample, result: NDArray[Any], whole: NDArray[Any]) -> Counts:
        return self.bench.subject.judge.counts(sample, result, whole)

    def judged(self, rounding: Rounding) -> dict[str, Any]:
        """On the held-out pictures: points lost, bytes by our coder and by the rivals'."""
        coders = fit_coders(rounding, self.fitted)
        judge = self.bench.subject.judge
        counts, whole, positives = [], [], 0
        sizes: dict[str, list[int]] = {"narrows": []}
        for sample in self.bench.held_out:
            right = self.bench.result(self.bench.whole(self.bench.feed(sample)))
            crossed = self._crossed(sample)
            symbols = rounding.symbols(crossed)
            payloads = {name: coders[name].encode(symbols[name]) for name in symbols}
            if not sizes["narrows"]:  # what is sent is what is read
                for name, payload in payloads.items():
                    assert np.array_equal(coders[name].decode(payload, symbols[name].shape), symbols[name])
            sizes["narrows"].append(sum(map(len, payloads.values())))
            for rival, size in rival_bytes(rounding, symbols).items():
                sizes.setdefault(rival, []).append(size)
            result = self.bench.result(self.tail(rounding.values(symbols, crossed)))
            counts.append(self._counts(sample, result, right))
            whole.append(self._counts(sample, right, right))
            positives += judge.positives_of(sample, right)
        lost = lost_points(judge, counts, whole)
        means = {name: float(np.mean(found)) for name, found in sizes.items()}
        rivals = {name: size for name, size in means.items() if name != "narrows"}
        best = min(rivals, key=lambda name: rivals[name])
        float_bytes = _float_bytes(self.cut)
        return {
            "bits": rounding.bits, "steps": rounding.steps, "bytes": means["narrows"], "float_bytes": float_bytes,
            "ratio": float_bytes / means["narrows"], "bits_a_value": 32 * means["narrows"] / float_bytes,
            "rivals": rivals,
            "best_rival": best, "over_best_coder": rivals[best] / means["narrows"], "lost_points": lost.value,
            "interval": [lost.low, lost.high], "whole": judge.share(whole), "positives": positives,
            "holds": lost.value <= ONE_POINT,
        }  # fmt: skip


def _float_bytes(cut: Cut) -> int:
    return 4 * sum(tensor.values for tensor in cut.tensors)


Say = Callable[[str], None]


def run(bench: Bench, say: Say) -> dict[str, Any]:
    """All figures of a network."""
    rows = []
    for cut in bench.candidates():
        cut_bench = CutBench(bench, cut)
        tried = cut_bench.tried()
        rows.append((cut_bench, tried))
        for each in tried:
            say(
                f"  {cut.head_macs / bench.network.macs:.2f} {', '.join(cut.names)}: {each.rounding.bits} bits by "
                f"{each.rounding.steps}, {each.lost_points:.2f} points, {each.ideal_bytes:,.0f} of {cut.size_bytes:,}"
            )
    cuts = [_described(bench, cut_bench, tried) for cut_bench, tried in rows]
    best_inside = _best(bench, [row for row in rows if bench.balanced(row[0].cut)], say)
    best = _best(bench, rows, say, known=best_inside)
    for described in cuts:
        for found in (best_inside, best):
            if found is not None and described["tensors"] == found["tensors"]:
                described["held_out"] = found
    inside = best_inside or {}
    return {
        "name": bench.subject.name, "measure": bench.subject.judge.measure,
        "positives_are": bench.subject.judge.positives,
        "macs": bench.network.macs, "cuts": cuts, "at_one_point": best_inside, "best": best,
        "ratio_at_one_point": inside.get("ratio", 0.0), "over_best_coder": inside.get("over_best_coder", 0.0),
        "best_ratio": (best or {}).get("ratio", 0.0),
    }  # fmt: skip


def _described(bench: Bench, cut_bench: CutBench, tried: Sequence[Tried]) -> dict[str, Any]:
    cut = cut_bench.cut
    return {
        "tensors": list(cut.names),
        "head_macs_share": cut.head_macs / bench.network.macs,
        "tail_macs_share": cut.tail_macs / bench.network.macs,
        "float_bytes": _float_bytes(cut),
        "tried": [
            {
                "bits": each.rounding.bits, "steps": each.rounding.steps, "lost_points": each.lost_points,
                "ideal_bytes": each.ideal_bytes,
            }
            for each in tried
        ],
    }  # fmt: skip


def _best(
    bench: Bench, rows: Sequence[tuple[CutBench, Sequence[Tried]]], say: Say, known: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """Of the designs that hold one point at calibration the one of the best ratio that holds on held-out pictures.

    Where one does not hold, calibration was too kind to so few bits: of the same cut the next is finer.
    """
    holding = [(row, each) for row, tried in rows for each in tried if each.lost_points <= _HELD_BACK]
    holding.sort(key=lambda pair: pair[1].ideal_bytes / _float_bytes(pair[0].cut))
    judged: dict[tuple[CutBench, str], int] = {}
    """Bits that did not hold, of each cut and kind of steps: no fewer will."""
    for cut_bench, each in holding:
        kind = cut_bench, each.rounding.steps
        if each.rounding.bits <= judged.get(kind, 0) or len(judged) == _TRIES:
            continue
        names = list(cut_bench.cut.names)
        asked = {"tensors": names, "bits": each.rounding.bits, "steps": each.rounding.steps}
        same = known is not None and asked.items() <= known.items()
        found = known if known is not None and same else {"tensors": names} | cut_bench.judged(each.rounding)
        found["head_macs_share"] = cut_bench.cut.head_macs / bench.network.macs
        say(f"  held out: {found}")
        if found["holds"]:
            return found
        judged[kind] = each.rounding.bits
    return None


def picture_codecs(bench: Bench, codecs: Mapping[str, Callable[[Any], tuple[Any, int]]]) -> dict[str, Any]:
    """The smallest picture, of the tuning ones, on which the whole network loses a point at most."""
    judge = bench.subject.judge
    exact = [bench.result(bench.whole(bench.feed(sample))) for sample in bench.tuning]
    whole = [judge.counts(s, r, r) for s, r in zip(bench.tuning, exact, strict=True)]
    found: dict[str, Any] = {}
    for name, codec in codecs.items():
        sizes, counts = [], []
        for sample, right in zip(bench.tuning, exact, strict=True):
            picture, size = codec(sample.picture)
            sizes.append(size)
            counts.append(judge.counts(sample, bench.result(bench.whole(bench.feed(Sample(picture)))), right))
        lost = 100 * (judge.share(whole) - judge.share(counts))
        if lost <= ONE_POINT and (not found or np.mean(sizes) < found["bytes"]):
            found = {"codec": name, "bytes": float(np.mean(sizes)), "lost_points": lost}
    return found
