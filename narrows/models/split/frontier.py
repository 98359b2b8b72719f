"""Every design of a network between camera and cloud, and those that no other is better than."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from narrows.contract.bundle.split_plan import TensorPlan
from narrows.contract.codec.tensor_coder import TensorCoder
from narrows.contract.codec.tensor_quantiser import plane_shape
from narrows.contract.errors import FieldInvalid
from narrows.models.split.agreement import Result, agreement
from narrows.models.split.coding_times import levels_job, pictures_job
from narrows.models.split.cuts import Cut
from narrows.models.split.design import Rounding, fit_coders, fit_rounding
from narrows.models.split.feeding import Feeding, Picture
from narrows.models.split.halves import Runner, Values, take_apart
from narrows.models.split.memory import head_memory_bytes, weights_bytes
from narrows.models.split.network import Network
from narrows.models.split.profile import Profile
from narrows.models.split.sensitivity import measure_sensitivity

PRECISIONS_BITS = (8, 6, 4, 3, 2)
QUALITIES = (30, 60, 80, 95)
_CODECS = tuple((kind, quality) for kind in ("JPEG", "WebP") for quality in QUALITIES)
_TIMED_PICTURES = 2
_MOST_CUTS = 6
_SENSITIVE_PICTURES = 2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Design:
    """One way to share a network out.

    Attributes:
        kind: ``device only``, ``server only`` or ``split``.
        tensors: what crosses.
        sent: how it is coded.
        device_ms, server_ms: milliseconds a picture, coding there and decoding here included.
        link_bytes: mean of a picture.
        memory_bytes: activations and weights at the device.
        agreement: with the unmodified network on pictures that nothing was fitted on, 0 to 1.
        operators: of what runs at the device.
        encode_ms, decode_ms: of ``device_ms`` and ``server_ms`` what coding takes.
    """

    kind: str
    tensors: tuple[str, ...]
    sent: str
    device_ms: float
    link_bytes: float
    server_ms: float
    memory_bytes: int
    agreement: float
    operators: tuple[str, ...]
    encode_ms: float = 0.0
    decode_ms: float = 0.0

    @property
    def name(self) -> str:
        """For people."""
        return " ".join(filter(None, (self.kind, ", ".join(self.tensors), self.sent)))

    def no_worse(self, other: Design) -> bool:
        """In nothing worse than another."""
        return all(ours <= theirs for ours, theirs in zip(self._costs(), other._costs(), strict=True))

    def _costs(self) -> tuple[float, ...]:
        return self.device_ms, self.link_bytes, self.server_ms, float(self.memory_bytes), -self.agreement


@dataclass(frozen=True)
class Limits:
    """What the device has; ``None`` is no limit."""

    memory_bytes: int | None = None
    operators: frozenset[str] | None = None

    def admit(self, design: Design) -> bool:
        """Whether the device can run its part."""
        fits = self.memory_bytes is None or design.memory_bytes <= self.memory_bytes
        return fits and (self.operators is None or self.operators.issuperset(design.operators))


def pareto(designs: Sequence[Design]) -> list[Design]:
    """Those than which no other is better in something and worse in nothing, by bytes; of equal ones the first."""
    kept: list[Design] = []
    for design in sorted(designs, key=lambda each: (each.link_bytes, each.device_ms, each.server_ms)):
        others = [other for other in designs if other.no_worse(design)]
        if all(design.no_worse(other) for other in others) and not any(design.no_worse(each) for each in kept):
            kept.append(design)
    return kept


def all_designs(found: Profile, feeding: Feeding, pictures: Sequence[Picture], say: Say) -> list[Design]:
    """Device only, server only by JPEG and WebP, and cuts at each precision and coding.

    Args:
        found: the network's profile.
        feeding: how it takes pictures.
        pictures: half of them to fit ranges and tables on, the others to judge on.
        say: told what is being done.
    """
    network = found.network
    whole = Runner(network.model)
    fitted, judged = pictures[::2], pictures[1::2] or pictures
    results = [whole({network.input.name: feeding.feed(picture)})[network.outputs[0]] for picture in judged]
    designs = [_device_only(found), *_server_only(found, feeding, whole, judged, results)]
    for cut in worthwhile(found):
        say(f"{', '.join(cut.names)}: {len(fitted)} pictures to fit on, {len(judged)} to judge")
        designs += _split(found, cut, feeding, fitted, list(zip(judged, results, strict=True)))
    return designs


def worthwhile(found: Profile, most: int = _MOST_CUTS) -> list[Cut]:
    """Cuts with fewer bytes than any that is as soon reached, ``most``, evenly; those whose tensors can be coded.

    None at which the picture itself crosses; and none at which more bytes than its own do, a byte a number, unless
    there are no others.
    """
    best: list[Cut] = []
    usable = [cut for cut in found.cuts if _codable(found.network, cut)]
    smaller = [cut for cut in usable if cut.bytes_at(8) < found.network.input.values]
    for cut in sorted(smaller or usable, key=lambda each: (found.device.share_ms(each.head), each.size_bytes)):
        if not best or cut.size_bytes < best[-1].size_bytes:
            best.append(cut)
    kept = np.linspace(0, len(best) - 1, min(most, len(best))).astype(int) if best else ()
    return [best[i] for i in kept]


def _codable(network: Network, cut: Cut) -> bool:
    try:
        for tensor in cut.tensors:
            plane_shape(tensor.shape)
    except FieldInvalid:
        return False
    makers = [network.maker.get(tensor.name) for tensor in cut.tensors]
    operators = [None if place is None else network.nodes[place].operator for place in makers]
    return all(
        operator == "QuantizeLinear" or (tensor.is_float and operator is not None)
        for tensor, operator in zip(cut.tensors, operators, strict=True)
    )


def _device_only(found: Profile) -> Design:
    network = found.network
    every = frozenset(range(len(network.nodes)))
    memory_bytes = head_memory_bytes(network, every, network.outputs) + weights_bytes(network, every)
    result_bytes = float(sum(network.tensors[name].size_bytes for name in network.outputs))
    operators = _operators(network, every)
    return Design("device only", (), "", found.device.whole_ms, result_bytes, 0.0, memory_bytes, 1.0, operators)


def _server_only(
    found: Profile, feeding: Feeding, whole: Runner, judged: Sequence[Picture], results: Sequence[Result]
) -> Iterator[Design]:
    network = found.network
    timed = [feeding.resized(picture) for picture in judged[:_TIMED_PICTURES]]
    times = found.coding(pictures_job(timed, _CODECS)).times
    for number, (kind, quality) in enumerate(_CODECS):
        sizes, shares = [], []
        for picture, result in zip(judged, results, strict=True):
            received, size = _through_codec(feeding.resized(picture), kind, quality)
            sizes.append(size)
            made = whole({network.input.name: feeding.feed(received)})[network.outputs[0]]
            shares.append(agreement(made, result))
        coding = times[number * len(timed) : (number + 1) * len(timed)]
        encode_ms, decode_ms = (
            float(np.mean([getattr(each, what) for each in coding])) for what in ("encode_ms", "decode_ms")
        )
        yield Design(
            kind="server only",
            tensors=(),
            sent=f"{kind} {quality}",
            device_ms=encode_ms,
            link_bytes=float(np.mean(sizes)),
            server_ms=found.server.whole_ms + decode_ms,
            memory_bytes=network.input.size_bytes,
            agreement=float(np.mean(shares)),
            operators=(),
            encode_ms=encode_ms,
            decode_ms=decode_ms,
        )


def _through_codec(picture: Picture, kind: str, quality: int) -> tuple[Picture, int]:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, kind, quality=quality)
    received = Image.open(file)  # noqa: TID251 -- our own bytes of a moment ago: upright, in RGB
    return np.asarray(received.convert("RGB")), len(file.getvalue())


def _split(
    found: Profile, cut: Cut, feeding: Feeding, fitted: Sequence[Picture], judged: Sequence[tuple[Picture, Result]]
) -> Iterator[Design]:
    network = found.network
    halves = take_apart(network, cut)
    head, tail = Runner(halves.head), Runner(halves.tail)

    def crossed(picture: Picture) -> Values:
        values = head({network.input.name: feeding.feed(picture)})
        return {name: values[name] for name in cut.names}

    known = [crossed(picture) for picture in fitted]
    sensitivity = measure_sensitivity(tail, known[:_SENSITIVE_PICTURES], cut.names, network.outputs[:1])
    given = [(crossed(picture), result) for picture, result in judged]
    roundings = [
        fit_rounding(known, cut.names, bits, steps) for steps in (None, sensitivity) for bits in PRECISIONS_BITS
    ]
    coders = [fit_coders(rounding, known) for rounding in roundings]
    plans = [
        [TensorPlan(rounding.quantisers[name], coder[name]) for name in cut.names]
        for rounding, coder in zip(roundings, coders, strict=True)
    ]
    times = found.coding(levels_job(given[0][0], cut, plans, packed=True)).times
    for number, (rounding, coder) in enumerate(zip(roundings, coders, strict=True)):
        results = [tail(rounding.rounded(values))[network.outputs[0]] for values, _ in given]
        share = float(np.mean([agreement(made, right) for made, (_, right) in zip(results, given, strict=True)]))
        sizes = _sizes(cut, rounding, coder, [values for values, _ in given])
        for (coding, size), time in zip(sizes.items(), (times[number], times[len(roundings) + number]), strict=True):
            yield Design(
                kind="split",
                tensors=cut.names,
                sent=f"{rounding.bits} bits by {rounding.steps}, {coding}",
                device_ms=found.device.share_ms(cut.head) + time.encode_ms,
                link_bytes=size,
                server_ms=found.server.share_ms(cut.tail) + time.decode_ms,
                memory_bytes=head_memory_bytes(network, cut.head, cut.names) + weights_bytes(network, cut.head),
                agreement=share,
                operators=_operators(network, cut.head),
                encode_ms=time.encode_ms,
                decode_ms=time.decode_ms,
            )


def _sizes(
    cut: Cut, rounding: Rounding, coders: Mapping[str, TensorCoder], given: Sequence[Values]
) -> Mapping[str, float]:
    """Mean bytes of a picture, coded and packed."""
    coded = [sum(len(coders[n].encode(each)) for n, each in rounding.symbols(values).items()) for values in given]
    packed = sum((tensor.values * rounding.bits + 7) // 8 for tensor in cut.tensors)
    return {"rANS": float(np.mean(coded)), "packed": float(packed)}


def _operators(network: Network, places: frozenset[int]) -> tuple[str, ...]:
    return tuple(sorted({network.nodes[place].operator for place in places}))


def as_record(designs: Sequence[Design], best: Sequence[Design]) -> dict[str, Any]:
    """The frontier as JSON has it."""
    return {"designs": [asdict(each) | {"name": each.name, "pareto": each in best} for each in designs]}
