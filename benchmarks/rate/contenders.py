"""The methods that read the latent, by name: what each is, how it is built, what it is called in tables."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn

from benchmarks.rate.plan import RunFolder
from narrows.models.export.cost import count_cost
from narrows.models.export.graphs import write_decoder
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.separate import SeparateDeepLabV3, SeparateLRASPP
from narrows.models.nn.small_decoder import SmallJointDecoder
from narrows.runtime.writing import write_file

Size = tuple[int, int]
WIDTHS_TO_TRY = (256, 768)


@dataclass(frozen=True)
class Contender:
    """A head on the frozen encoder.

    ``rebuilds`` says that it goes by way of the trunk's features.
    """

    name: str
    label: str
    build: Callable[[NetworkShape, int], nn.Module]
    rebuilds: bool = False


CONTENDERS = (
    Contender("joint", "joint decoder", lambda shape, _: JointDecoder(shape.latent_channels, shape.classes)),
    Contender(
        "small",
        "small joint decoder",
        lambda shape, _: SmallJointDecoder(shape.latent_channels, shape.classes),
    ),
    Contender(
        "separate_deeplabv3",
        "separate, DeepLabv3",
        lambda shape, _: SeparateDeepLabV3(shape.latent_channels, shape.classes),
        rebuilds=True,
    ),
    Contender(
        "separate_lraspp",
        "separate, LR-ASPP at equal cost",
        lambda shape, width: SeparateLRASPP(shape.latent_channels, shape.classes, width),
        rebuilds=True,
    ),
)


def write_head(network: JointNetwork, head: nn.Module, size: Size, path: Path) -> None:
    """Export a head as the joint decoder is exported: symbols and level to labels, for pictures of (height, width)."""
    whole = copy.deepcopy(network)
    whole.decoder = cast("JointDecoder", head.eval())
    channels = network.shape.latent_channels
    write_decoder(whole, size, (channels, -(-size[0] // 16), -(-size[1] // 16)), path)


def equal_cost_width(network: JointNetwork, size: Size, folder: RunFolder) -> int:
    """LR-ASPP's width at which separate decoding costs as many MACs as the joint decoder; found once a run."""
    kept = folder.root / "lraspp_width.json"
    if kept.is_file():
        return int(json.loads(kept.read_text()))
    shape = network.shape

    def macs(head: nn.Module) -> int:
        with tempfile.TemporaryDirectory() as scratch:
            write_head(network, head, size, Path(scratch) / "head.onnx")
            return count_cost(Path(scratch) / "head.onnx").macs

    low, high = (macs(SeparateLRASPP(shape.latent_channels, shape.classes, width)) for width in WIDTHS_TO_TRY)
    wanted = macs(JointDecoder(shape.latent_channels, shape.classes))
    slope = (high - low) / (WIDTHS_TO_TRY[1] - WIDTHS_TO_TRY[0])
    width = max(8, 8 * round((WIDTHS_TO_TRY[0] + (wanted - low) / slope) / 8))
    write_file(kept, json.dumps(width) + "\n")
    return width
