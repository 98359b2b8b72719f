"""The bundle of the benchmark: the street network with the designs of every scheduler, so that one camera has all.

Its cuts: JPEG to the server, two inside the encoder and at its end, and one behind which only the enlargement of the
label map is left, which stands for device only.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from msgspec.structs import replace as with_fields

from benchmarks.split.layer_times import by_processor_time, predicted_ms
from benchmarks.split.real.jpeg import jpeg_cut, jpeg_halves, jpeg_plans, libjpeg_bytes
from benchmarks.split.real.layout import CUTS, JPEG_CUT, OUR_LEVELS, SIDE_FILE
from benchmarks.split.real.levels import FittedLevel, fit_levels
from narrows.contract.bundle import Bundle, SplitBundle
from narrows.contract.bundle.split_manifest import CutLevel
from narrows.contract.bundle.split_plan import TensorPlan
from narrows.contract.errors import ServiceError
from narrows.contract.outputs import Output
from narrows.models.export.labelling import Labelling
from narrows.models.split.agreement import agreement
from narrows.models.split.cuts import Cut, cut_at
from narrows.models.split.declared_outputs import declared_outputs
from narrows.models.split.device import Effort, Local
from narrows.models.split.export import timed_levels
from narrows.models.split.feeding import Feeding, Normalisation, Picture
from narrows.models.split.halves import Halves, Runner, Values, take_apart
from narrows.models.split.opening import open_network
from narrows.models.split.profile import Profile, profile
from narrows.models.split.sensitivity import measure_sensitivity
from narrows.models.split.shipped_graphs import PICTURE, shipped_head
from narrows.models.split.shipping import Classes, ShippedCut, ShippedLevel, crossed, ship
from narrows.models.split.shipping import write_bundle as write_files
from narrows.runtime.pictures import read_picture

_QUALITIES = (98, 95, 90, 85)
_JPEG_BITS = 8
_MOST_PICTURES = 16
_LABEL = Labelling("street, for bench-split", "1", "the demo bundle's", "bundles/demo, split by benchmarks.split.real")


def opened_or_written(network_path: Path, pictures: Path, folder: Path) -> SplitBundle:
    """The bundle, made once: it takes minutes.

    Raises:
        ServiceError: the network was not fetched.
    """
    if (folder / SIDE_FILE).is_file():
        return SplitBundle.open(folder)
    if not network_path.is_file():
        raise ServiceError(f"{network_path} is not here: make fetch-networks")
    classes = Bundle.open(Path("bundles/demo")).manifest.classes
    read = [read_picture(path) for path in sorted(pictures.iterdir())]
    return write_bundle(network_path, read, classes, folder, lambda line: print(line, file=sys.stderr, flush=True))


def write_bundle(
    network_path: Path, pictures: Sequence[Picture], classes: Sequence[str], folder: Path, say: Callable[[str], None]
) -> SplitBundle:
    """Profile the network, fit all levels of all cuts on half of the pictures, judge on the other half; write.

    Raises:
        SplitError: the network has none of the cuts.
    """
    network = open_network(network_path)
    found = by_processor_time(profile(network, Local(), None, Effort(runs=20, seconds=2.0)))
    writer = _Writer(found, Feeding.of(network, Normalisation()), pictures[:_MOST_PICTURES], tuple(classes))
    shutil.rmtree(folder, ignore_errors=True)
    cuts = []
    for number, cut in enumerate([jpeg_cut(network), *(cut_at(network, names) for names in CUTS)]):
        say(f"cut {number} of the benchmark's bundle: {', '.join(cut.names)}")
        cuts.append(writer.jpeg(cut) if number == JPEG_CUT else writer.cut(cut))
    named = Classes(tuple(classes))
    written = write_files(network, cuts, OUR_LEVELS.start, writer.feeding, writer.outputs, named, _LABEL, folder)
    (folder / SIDE_FILE).write_text(json.dumps(writer.side(), indent=1) + "\n")
    return written


@dataclass(frozen=True, eq=False)
class _Writer:
    found: Profile
    feeding: Feeding
    pictures: Sequence[Picture]
    classes: tuple[str, ...]

    @property
    def outputs(self) -> tuple[Output, ...]:
        return declared_outputs(self.found.network, self.classes)

    def cut(self, cut: Cut) -> ShippedCut:
        """An ordinary one."""
        halves = take_apart(self.found.network, cut)
        head = shipped_head(halves, self.feeding)
        fitted = crossed(head, cut, self.feeding, self.pictures[::2])
        sensitivity = measure_sensitivity(Runner(halves.tail), fitted[:2], cut.names, self.found.network.outputs[:1])
        return self._written(halves, head, fitted, fit_levels(fitted, cut.names, sensitivity))

    def jpeg(self, cut: Cut) -> ShippedCut:
        """JPEG's levels are its qualities, whoever chooses; level 0 is the best of them."""
        halves = jpeg_halves(self.found.network, cut)
        fitted = crossed(halves.head, cut, self.feeding, self.pictures[::2])
        levels = [_jpeg_level(fitted, quality) for quality in (_QUALITIES[0], *_QUALITIES, *_QUALITIES)]
        return self._written(halves, halves.head, fitted, levels)

    def _written(
        self, halves: Halves, head: onnx.ModelProto, fitted: Sequence[Values], levels: Sequence[_Level]
    ) -> ShippedCut:
        cut, network = halves.cut, self.found.network
        whole, tail, first = Runner(network.model), Runner(halves.tail), network.outputs[0]
        judged = crossed(head, cut, self.feeding, self.pictures[1::2])
        right = [whole({network.input.name: self.feeding.feed(each)})[first] for each in self.pictures[1::2]]
        declared = [ShippedLevel(_declared(each, judged, right, tail, first), each.plans) for each in levels]
        measured = timed_levels(self.found, cut, declared, judged[0])
        shipped = ship(self.found, halves, head, measured, fitted, self.outputs)
        return replace(shipped, declared=with_fields(shipped.declared, head_ms=round(self._head_ms(cut, head), 4)))

    def _head_ms(self, cut: Cut, head: onnx.ModelProto) -> float:
        """By the profile; JPEG's is no part of the network, so it is run."""
        if cut.head:
            return self.found.device.share_ms(cut.head)
        run, feed = Runner(head), {PICTURE: self.feeding.resized(self.pictures[0])[None]}
        run(feed)
        began_s = time.process_time()
        for _ in range(10):
            run(feed)
        return (time.process_time() - began_s) * 100

    def side(self) -> dict[str, Any]:
        """Layer times as Neurosurgeon predicts them, and real JPEG files."""
        network = self.found.network
        predicted = predicted_ms(network, self.found.device.ms)
        sizes = [[libjpeg_bytes(self.feeding.resized(each), q) for each in self.pictures[1::2]] for q in _QUALITIES]
        heads = [frozenset[int](), *(cut_at(network, names).head for names in CUTS)]
        return {
            "device_ms": self.found.device.whole_ms,
            "predicted_ms": [sum(predicted[place] for place in head) for head in heads],
            "predicted_whole_ms": sum(predicted),
            "libjpeg_bytes": {str(q): float(np.mean(each)) for q, each in zip(_QUALITIES, sizes, strict=True)},
        }


@dataclass(frozen=True, eq=False)
class _JpegLevel:
    quality: int
    plans: tuple[TensorPlan, ...]


_Level = FittedLevel | _JpegLevel


def _jpeg_level(fitted: Sequence[Values], quality: int) -> _JpegLevel:
    return _JpegLevel(quality, jpeg_plans(list(fitted), quality, _JPEG_BITS))


def _declared(level: _Level, judged: Sequence[Values], right: Sequence[Any], tail: Runner, first: str) -> CutLevel:
    sizes, shares = [], []
    for values, wanted in zip(judged, right, strict=True):
        payloads, received = _crossing(level.plans, values)
        sizes.append(payloads)
        shares.append(agreement(tail(received)[first], wanted))
    bits, steps = (
        (_JPEG_BITS, "range") if isinstance(level, _JpegLevel) else (level.rounding.bits, level.rounding.steps)
    )
    return CutLevel(bits, steps, round(float(np.mean(sizes)), 1), round(float(np.mean(shares)), 5))


def _crossing(plans: Sequence[TensorPlan], values: Values) -> tuple[int, Values]:
    """Bytes, and what the tail gets."""
    size, received = 0, {}
    for plan, (name, tensor) in zip(plans, values.items(), strict=True):
        payload, _ = plan.encode(tensor)
        size += len(payload)
        symbols = plan.decode(payload, tensor.shape[1:])
        received[name] = plan.values(symbols, tensor.shape, str(tensor.dtype))
    return size, received
