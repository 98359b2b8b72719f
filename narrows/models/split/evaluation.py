"""How a split network's bundle does: through head, coder, decoder and tail, beside the same network unrounded.

Where pictures lie in folders that are called like classes, scores are held against those, too.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import SplitBundle, Tail
from narrows.contract.bundle.split_manifest import tensor_name
from narrows.contract.codec.tensor_quantiser import tensor_digest
from narrows.contract.errors import BundleError, DatasetError, DigestMismatch
from narrows.contract.outputs.scores import KIND as SCORES
from narrows.contract.wire.frame_packet import Envelope, FramePacket
from narrows.models.evaluation.score import HERE, TRITON, Encode, Segment
from narrows.models.split.agreement import agreement
from narrows.runtime.onnx_runtime import InferenceSession, SessionOptions
from narrows.runtime.pictures import PICTURE_SUFFIXES, read_picture

Outputs = tuple[NDArray[Any], ...]
Tensors = tuple[NDArray[Any], ...]
Head = Callable[[NDArray[np.uint8]], Tensors]
"""A picture to what crosses, each tensor with its batch of 1."""
_NORMAL_95 = 1.96


@dataclass(frozen=True)
class SplitEvaluation:
    """What ``narrows evaluate`` prints of a split network.

    Attributes:
        agreement: of the first output with that of the same network when nothing is rounded, a share from 0 to 1.
        agreement_interval: 95 % of it, Wilson's.
        top_1: share of the pictures whose greatest score is that of their folder; ``None`` where folders say nothing.
        top_1_unrounded: the same, when nothing is rounded.
        packet_bytes: mean of whole packets, header and context included.
    """

    bundle: str
    cut: int
    level: int
    via: str
    precision_bits: int
    frames: int
    agreement: float
    agreement_interval: tuple[float, float]
    top_1: float | None
    top_1_unrounded: float | None
    packet_bytes: float

    def to_json(self) -> str:
        """Serialise."""
        return json.dumps(asdict(self), indent=2)


class SplitDecoder:
    """Packets of one cut to outputs, by the tail in this process. What cannot be decoded raises."""

    def __init__(self, bundle: SplitBundle, cut: int) -> None:
        """Open the tail.

        Raises:
            BundleError: the bundle has no such cut, or the tail is not in its folder.
        """
        self.bundle, self.cut = bundle, cut
        tail = next((tail for tail in bundle.tails if tail.number == cut), None)
        if tail is None:
            raise BundleError(f"bundle {bundle.hex_id} has no tail of cut {cut} in {bundle.folder}")
        self._tail: Tail = tail
        options = SessionOptions()
        options.intra_op_num_threads = 1
        self._session = InferenceSession(tail.served_path, options, providers=["CPUExecutionProvider"])

    def __call__(self, packets: Iterable[bytes]) -> Iterator[NDArray[Any]]:
        """The first output of each packet, in order, without the batch."""
        for data in packets:
            yield self.outputs(self.tensors(data))[0][0]

    def tensors(self, data: bytes) -> Tensors:
        """What the tail computes with, of a whole packet that stands alone."""
        envelope = Envelope.parse(data)
        packet = FramePacket.of_open(envelope.head(None), envelope.rest)
        level = packet.head.context.sections[0].level
        plans = self.bundle.plans[self.cut][level]
        found = []
        for tensor, plan, section in zip(self._tail.cut.tensors, plans, packet.sections, strict=True):
            symbols = plan.decode(section.payload, tensor.shape)
            if not section.is_digest(tensor_digest(symbols)):
                raise DigestMismatch(f"tensor {tensor.name} decoded to other symbols than were coded")
            found.append(plan.values(symbols, tensor.shape, tensor.dtype)[None])
        return tuple(found)

    def outputs(self, tensors: Tensors) -> Outputs:
        """Of one picture, batch included."""
        names = [output.name for output in self.bundle.outputs]
        given = {tensor_name(place): tensor for place, tensor in enumerate(tensors)}
        return tuple(self._session.run(names, given))


def evaluate_split(
    decoder: SplitDecoder,
    level: int,
    head: Head,
    encode: Encode,
    paths: Sequence[Path],
    progress: Callable[[int, int], None],
    segment: Segment | None = None,
) -> SplitEvaluation:
    """Code every picture to bytes, decode the bytes, compare with what the same network makes of it unrounded.

    Args:
        decoder: of the cut that is judged; it computes what is compared with.
        level: that ``encode`` codes at.
        head: the camera's network.
        encode: the camera: a picture to a packet's bytes.
        paths: of the pictures.
        progress: is told how many of how many were read.
        segment: decodes elsewhere, through a running stack say; ``decoder`` does it otherwise.
    """
    shares, sizes = [], []
    right, right_unrounded = [], []
    names = _names(decoder.bundle)
    waiting: deque[tuple[Path, NDArray[Any]]] = deque()

    def packets() -> Iterator[bytes]:
        for number, path in enumerate(paths, 1):
            picture = read_picture(path)
            data = encode(picture)
            sizes.append(len(data))
            waiting.append((path, decoder.outputs(head(picture))[0]))
            yield data
            progress(number, len(paths))

    for made in (segment or decoder)(packets()):
        path, whole = waiting.popleft()
        shares.append(agreement(made[None], whole))
        if (label := names.get(path.parent.name)) is not None:
            right.append(int(made.argmax()) == label)
            right_unrounded.append(int(whole.argmax()) == label)
    share = float(np.mean(shares))
    return SplitEvaluation(
        bundle=decoder.bundle.hex_id,
        cut=decoder.cut,
        level=level,
        via=HERE if segment is None else TRITON,
        precision_bits=decoder.bundle.manifest.cuts[decoder.cut].levels[level].precision_bits,
        frames=len(paths),
        agreement=round(share, 5),
        agreement_interval=wilson(share, len(paths)),
        top_1=round(float(np.mean(right)), 5) if right else None,
        top_1_unrounded=round(float(np.mean(right_unrounded)), 5) if right_unrounded else None,
        packet_bytes=round(float(np.mean(sizes)), 1),
    )


def pictures_below(folder: Path) -> list[Path]:
    """All pictures of a folder and those in it.

    Raises:
        DatasetError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise DatasetError(f"{folder} has no pictures: name a folder of them with --data")
    return found


def wilson(share: float, count: int) -> tuple[float, float]:
    """A 95 % interval of a share (E. B. Wilson, 1927)."""
    z2 = _NORMAL_95**2 / count
    middle = (share + z2 / 2) / (1 + z2)
    half = _NORMAL_95 / (1 + z2) * math.sqrt(share * (1 - share) / count + z2 / (4 * count))
    return round(max(0.0, middle - half), 5), round(min(1.0, middle + half), 5)


def _names(bundle: SplitBundle) -> dict[str, int]:
    """Of folders that say what is on their pictures: a class's name, or its number."""
    first = bundle.outputs[0]
    if first.kind != SCORES:
        return {}
    numbers = {str(number): number for number in range(first.shape[0])}
    return numbers | {name: number for number, name in enumerate(first.classes)}
