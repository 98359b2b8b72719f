"""Two cameras' packets of the same pictures: where their networks round otherwise, and what the masks are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import decode_symbols, encode_symbols
from narrows.contract.wire import FeaturePacket
from narrows.models.dataset import FolderDataset
from narrows.models.evaluation import ConfusionMatrix
from narrows.models.evaluation.in_process import InProcessDecoder


@dataclass(frozen=True)
class Compared:
    """Shares of all symbols; ``coded_alike``: frames whose symbols this machine codes to the same bytes."""

    frames: int
    symbols_that_differ: float
    differ_by_at_most: int
    coded_alike: int
    bytes_arm64: float
    bytes_here: float
    miou_arm64: float
    miou_here: float

    def __str__(self) -> str:
        return (
            f"{self.symbols_that_differ:.2%} of the symbols differ, by {self.differ_by_at_most} at most; "
            f"{self.bytes_arm64:.1f} and {self.bytes_here:.1f} bytes a packet; "
            f"mIoU {self.miou_arm64:.2%} and {self.miou_here:.2%}; "
            f"{self.coded_alike} of {self.frames} coded alike from the same symbols"
        )


def compare(bundle: Bundle, samples: Path, arm64: Sequence[bytes], here: Sequence[bytes]) -> Compared:
    """Packets of the samples in order, from both machines."""
    packets = [FeaturePacket.parse(raw) for raw in arm64]
    theirs = [_symbols(packet, bundle) for packet in packets]
    ours = [_symbols(FeaturePacket.parse(raw), bundle) for raw in here]
    gaps = np.abs(np.stack(theirs).astype(np.int16) - np.stack(ours))
    again = [encode_symbols(symbols, bundle.tables, p.level) for symbols, p in zip(theirs, packets, strict=True)]
    return Compared(
        frames=len(packets),
        symbols_that_differ=float((gaps > 0).mean()),
        differ_by_at_most=int(gaps.max()),
        coded_alike=sum(code == packet.payload for code, packet in zip(again, packets, strict=True)),
        bytes_arm64=float(np.mean([len(raw) for raw in arm64])),
        bytes_here=float(np.mean([len(raw) for raw in here])),
        miou_arm64=_miou(bundle, samples, arm64),
        miou_here=_miou(bundle, samples, here),
    )


def _symbols(packet: FeaturePacket, bundle: Bundle) -> NDArray[np.int8]:
    return decode_symbols(packet.payload, packet.shape.as_tuple(), bundle.tables, packet.level)


def _miou(bundle: Bundle, samples: Path, packets: Sequence[bytes]) -> float:
    data = FolderDataset.open(samples, "val")
    matrix = ConfusionMatrix(len(data.classes.names), data.classes.ignore_index)
    for name, mask in zip(sorted(data.names), InProcessDecoder(bundle)(packets), strict=True):
        matrix.update(data.read(name).labels, mask)
    return matrix.miou
