"""What `make bench-split` plans with: the designs of real networks, each measured. Minutes; stored once.

Example: python -m benchmarks.split.measure --only detector
"""

from __future__ import annotations

import argparse
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.record import RESULTS, write_result
from benchmarks.split.design_tables import MEASURED
from benchmarks.split.layer_times import by_processor_time, predicted_ms
from benchmarks.split.minimum_cuts import min_cuts
from benchmarks.split.packing import PACKINGS, lz4_bytes, lz4_of
from benchmarks.split_bits.pictures import Picture, Sample
from benchmarks.split_bits.search import Bench
from benchmarks.split_bits.subjects import subjects
from narrows.contract.bundle.split_plan import TensorPlan
from narrows.models.split.coding_probe import processor_ms
from narrows.models.split.coding_times import CodingTime, levels_job, pictures_job
from narrows.models.split.cuts import Cut
from narrows.models.split.design import Rounding, fit_coders, fit_rounding
from narrows.models.split.device import Effort, Local
from narrows.models.split.frontier import worthwhile
from narrows.models.split.halves import Runner, Values, take_apart
from narrows.models.split.memory import head_memory_bytes
from narrows.models.split.network import Network
from narrows.models.split.profile import Profile, profile
from narrows.models.split.sensitivity import measure_sensitivity

_PRECISIONS_BITS = (8, 6, 4, 3)
_QUALITIES = (50, 75, 90, 95, 98)
_NAMES = ("classifier", "detector", "text", "street")
_FITTED, _CODED = 6, 4
_JUDGED, _JUDGED_OF_LARGE, _LARGE_MACS = 16, 8, 1e9
_HEADER_BYTES = 48
_MOST_LOST = 10.0
Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Subject:
    """A network, profiled, with its pictures and what it makes of them."""

    bench: Bench
    found: Profile
    fitted: Sequence[Sample]
    judged: Sequence[Sample]
    results: Sequence[NDArray[Any]]

    @property
    def network(self) -> Network:
        """As it was opened."""
        return self.bench.network

    def lost_points(self, made: Sequence[NDArray[Any]]) -> float:
        """Against the unmodified network, by the network's own judge."""
        judge = self.bench.subject.judge
        rows = list(zip(self.judged, made, self.results, strict=True))
        kept = judge.share([judge.counts(sample, result, whole) for sample, result, whole in rows])
        exact = judge.share([judge.counts(sample, whole, whole) for sample, _, whole in rows])
        return 100 * (exact - kept)


def measured(bench: Bench, say: Say) -> dict[str, Any]:
    """All that the simulator and the rivals ask for of a network."""
    found = by_processor_time(profile(bench.network, Local(), None, Effort(runs=20, seconds=2.0)))
    judged = bench.held_out[: _JUDGED_OF_LARGE if bench.network.macs > _LARGE_MACS else _JUDGED]
    results = [bench.result(bench.whole(bench.feed(sample))) for sample in judged]
    subject = Subject(bench, found, bench.calibration[:_FITTED], judged, results)
    designs = [_device_only(subject), *_server_only(subject)]
    for cut in worthwhile(found)[::2]:
        say(f"  {', '.join(cut.names)}: {found.device.share_ms(cut.head):.1f} of {found.device.whole_ms:.1f} ms")
        designs += _split(subject, cut)
    kept = [each for each in designs if each["kind"] != "split" or each["accuracy"] >= 1 - _MOST_LOST / 100]
    return {
        "name": bench.subject.name, "sha256": bench.network.digest, "measure": bench.subject.judge.measure,
        "pictures": len(judged), "macs": bench.network.macs, "device_ms": found.device.whole_ms,
        "predicted_ms": sum(predicted_ms(bench.network, found.device.ms)), "energy_source": found.device.energy_source,
        "designs": kept, "cuts": list(_cuts(found)),
    }  # fmt: skip


def _cuts(found: Profile) -> Iterator[dict[str, Any]]:
    """For rivals that send tensors as they are: every cut of the profile, and the minimum cuts of many bandwidths."""
    network, predicted = found.network, predicted_ms(found.network, found.device.ms)
    listed = [(cut.names, cut.head, cut.tail, cut.size_bytes, False) for cut in found.cuts]
    known = {head for _, head, _, _, _ in listed}
    for each in min_cuts(network, found.device.ms):
        if each.head not in known and each.head:
            listed.append((each.tensors, each.head, each.tail, each.size_bytes, True))
            known.add(each.head)
    for names, head, tail, size_bytes, minimum in listed:
        yield {
            "tensors": list(names), "bytes": size_bytes, "minimum_cut_only": minimum, "single": len(names) == 1,
            "head_ms": found.device.share_ms(head), "tail_ms": found.server.share_ms(tail),
            "predicted_head_ms": sum(predicted[place] for place in head),
            "predicted_tail_ms": sum(predicted[place] for place in tail),
        }  # fmt: skip


def _device_only(subject: Subject) -> dict[str, Any]:
    network, every = subject.network, frozenset(range(len(subject.network.nodes)))
    sizes = [len(zlib.compress(_decided(result).tobytes(), 9)) for result in subject.results]
    return _design(
        subject, "device only", "device only", every, network.outputs, float(np.mean(sizes)), 0.0,
        subject.found.device.whole_ms / 1e3, 0.0,
    )  # fmt: skip


def _decided(result: NDArray[Any]) -> NDArray[Any]:
    """What is left of a result once the device has decided: classes as bytes, or values in steps of a 255th."""
    if result.dtype == np.float32 and result.size <= 2000:
        return np.argsort(result.ravel())[-5:].astype(np.uint16)
    if result.dtype == np.float32:
        return np.asarray(np.clip(result, 0, 1) > 0.5, np.uint8)
    return result.astype(np.uint8)


def _server_only(subject: Subject) -> Iterator[dict[str, Any]]:
    shape = subject.network.input.shape
    side = max(shape[2:]) if shape[1] == 3 else 0
    sent = [_thumbnail(sample.picture, side) for sample in subject.judged]
    times = subject.found.coding(pictures_job(sent[:1], [("JPEG", quality) for quality in _QUALITIES])).times
    for quality, time_of in zip(_QUALITIES, times, strict=True):
        received, sizes = zip(*(_jpeg(picture, quality) for picture in sent), strict=True)
        made = [subject.bench.result(subject.bench.whole(subject.bench.feed(Sample(each)))) for each in received]
        yield _design(
            subject, "server only", f"server only, JPEG {quality}", frozenset(), (), float(np.mean(sizes)),
            subject.lost_points(made), time_of.encode_ms / 1e3,
            (subject.found.server.whole_ms + time_of.decode_ms) / 1e3,
        ) | {"coding": "JPEG", "quality": quality}  # fmt: skip


def _thumbnail(picture: Picture, side: int) -> Picture:
    image = Image.fromarray(picture)
    if side:
        image.thumbnail((side, side))
    return np.asarray(image)


def _jpeg(picture: Picture, quality: int) -> tuple[Picture, int]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file).convert("RGB")), len(file.getvalue())  # noqa: TID251 -- just written


def _split(subject: Subject, cut: Cut) -> Iterator[dict[str, Any]]:
    network = subject.network
    halves = take_apart(network, cut)
    head, tail = Runner(halves.head), Runner(halves.tail)

    def crossed(sample: Sample) -> Values:
        values = head(subject.bench.feed(sample))
        return {name: values[name] for name in cut.names}

    fitted, given = [crossed(sample) for sample in subject.fitted], [crossed(sample) for sample in subject.judged]
    sensitivity = measure_sensitivity(tail, fitted[:1], cut.names, network.outputs[:1])
    for steps in (None, sensitivity):
        for bits in _PRECISIONS_BITS:
            rounding = fit_rounding(fitted, cut.names, bits, steps)
            made = [tail(rounding.rounded(values))[network.outputs[0]] for values in given]
            lost = subject.lost_points(made)
            if lost > _MOST_LOST:
                continue
            for coding, (size, coding_time) in _coded(subject, cut, rounding, fitted, given).items():
                name = f"{', '.join(cut.names)}, {bits} bits by {rounding.steps}, {coding}"
                device_s = (subject.found.device.share_ms(cut.head) + coding_time.encode_ms) / 1e3
                server_s = (subject.found.server.share_ms(cut.tail) + coding_time.decode_ms) / 1e3
                yield _design(subject, "split", name, cut.head, cut.names, size, lost, device_s, server_s) | {
                    "coding": coding, "bits": bits, "steps": rounding.steps, "tensors": list(cut.names)
                }  # fmt: skip


def _coded(
    subject: Subject, cut: Cut, rounding: Rounding, fitted: Sequence[Values], given: Sequence[Values]
) -> Mapping[str, tuple[float, CodingTime]]:
    """Mean bytes and the time of coding, by our coder and as DynO packs: the better of two with LZ4."""
    coders = fit_coders(rounding, fitted)
    plans = [TensorPlan(rounding.quantisers[name], coders[name]) for name in cut.names]
    (ours,) = subject.found.coding(levels_job(given[0], cut, [plans])).times
    symbols = [rounding.symbols(values) for values in given[:_CODED]]
    coded = [sum(len(coders[name].encode(each)) for name, each in picture.items()) for picture in symbols]
    packed = [lz4_bytes(rounding, picture) for picture in symbols]
    return {"rANS": (float(np.mean(coded)), ours), "LZ4": (float(np.mean(packed)), _lz4_time(rounding, given[0]))}


def _lz4_time(rounding: Rounding, values: Values) -> CodingTime:
    """To quantise, to pack in the way of fewer bytes and to compress, and all back but the unpacking."""
    symbols = rounding.symbols(values)
    better = min(PACKINGS, key=lambda pack: len(lz4_of(pack(rounding, symbols))))
    sent = lz4_of(better(rounding, symbols))
    encode_ms = processor_ms(lambda: lz4_of(better(rounding, rounding.symbols(values))))
    return CodingTime(encode_ms, processor_ms(lambda: (lz4.frame.decompress(sent), rounding.values(symbols, values))))


def _design(
    subject: Subject, kind: str, name: str, head: frozenset[int], crossing: Sequence[str], size_bytes: float,
    lost_points: float, device_s: float, server_s: float,
) -> dict[str, Any]:  # fmt: skip
    network, device = subject.network, subject.found.device
    head_s = device.share_ms(head) / 1e3
    weights = sum(network.nodes[place].weights_bytes for place in head)
    return {
        "kind": kind, "name": name, "device_macs": sum(network.nodes[place].macs for place in head),
        "device_s": device_s, "link_bytes": size_bytes + _HEADER_BYTES, "server_s": server_s,
        "accuracy": 1 - max(0.0, lost_points) / 100,
        "memory_bytes": head_memory_bytes(network, head, crossing) + weights,
        "device_energy_j": device.energy_mj / 1e3 * (device_s if not head else head_s) / (device.whole_ms / 1e3),
        "coding": "", "bits": None, "steps": "", "tensors": [],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="pictures and weights")
    parser.add_argument("--only", default="", help="networks whose names begin so")
    arguments = parser.parse_args()
    for subject in subjects(arguments.data):
        if not subject.name.startswith(arguments.only) or not subject.name.startswith(_NAMES):
            continue
        if not subject.path.is_file():
            print(f"{subject.name}: skipped, {subject.path} is not here (make fetch-networks)")
            continue
        print(subject.name, flush=True)
        _store(measured(Bench.opened(subject, arguments.data, 0.3), lambda line: print(line, flush=True)))


def _store(found: dict[str, Any]) -> None:
    path = RESULTS / f"{MEASURED}.json"
    former = json.loads(path.read_text())["networks"] if path.is_file() else []
    networks = [each for each in former if each["name"] != found["name"]] + [found]
    write_result(MEASURED, "make bench-split-designs", {"networks": sorted(networks, key=lambda each: each["name"])})


if __name__ == "__main__":
    main()
