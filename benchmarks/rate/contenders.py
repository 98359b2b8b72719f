"""The methods that read the latent, by name: what each is, how it is built, what it is called in tables."""

from __future__ import annotations

import copy
import json
import tempfile
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn

from benchmarks.rate.claims import SEPARATE
from benchmarks.rate.plan import RunFolder
from narrows.models.export.cost import count_cost
from narrows.models.export.graphs import write_decoder
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.separate import SeparateContext, SeparateDeepLabV3Plus, SeparateLRASPP
from narrows.models.nn.small_decoder import SmallJointDecoder
from narrows.runtime.writing import write_file

Size = tuple[int, int]
WIDTHS = range(8, 1024, 8)


@dataclass(frozen=True)
class Contender:
    """A head on the frozen encoder.

    Attributes:
        build: of a shape and a width.
        rebuilds: it goes by way of the trunk's features.
        equal_cost: its width is the largest at which it costs no more than the joint decoder.
    """

    name: str
    label: str
    build: Callable[[NetworkShape, int], nn.Module]
    rebuilds: bool = False
    equal_cost: bool = False


CONTENDERS = (
    Contender("joint", "joint decoder", lambda shape, _: JointDecoder(shape.latent_channels, shape.classes)),
    Contender(
        "small",
        "small joint decoder",
        lambda shape, _: SmallJointDecoder(shape.latent_channels, shape.classes),
    ),
    Contender(
        SEPARATE,
        "separate, DeepLabv3+",
        lambda shape, _: SeparateDeepLabV3Plus(shape.latent_channels, shape.classes),
        rebuilds=True,
    ),
    Contender(
        "separate_lraspp",
        "separate, LR-ASPP at equal cost",
        lambda shape, width: SeparateLRASPP(shape.latent_channels, shape.classes, width),
        rebuilds=True,
        equal_cost=True,
    ),
    Contender(
        "separate_context",
        "separate, joint decoder's blocks at equal cost",
        lambda shape, width: SeparateContext(shape.latent_channels, shape.classes, width),
        rebuilds=True,
        equal_cost=True,
    ),
)


def write_head(network: JointNetwork, head: nn.Module, size: Size, path: Path) -> None:
    """Export a head as the joint decoder is exported: symbols and level to labels, for pictures of (height, width)."""
    whole = copy.deepcopy(network)
    whole.decoder = cast("JointDecoder", head.eval())
    channels = network.shape.latent_channels
    write_decoder(whole, size, (channels, -(-size[0] // 16), -(-size[1] // 16)), path)


def width_of(contender: Contender, network: JointNetwork, size: Size, folder: RunFolder) -> int:
    """Of a contender of equal cost, found once a run: by multiply-accumulates of the graph that is served."""
    kept = folder.width(contender.name)
    if not contender.equal_cost:
        return 0
    if kept.is_file():
        return int(json.loads(kept.read_text()))
    wanted = _macs(network, network.decoder, size)
    place = bisect_right(WIDTHS, wanted, key=lambda width: _macs(network, contender.build(network.shape, width), size))
    width = WIDTHS[max(0, place - 1)]
    write_file(kept, json.dumps(width) + "\n")
    return width


def _macs(network: JointNetwork, head: nn.Module, size: Size) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        write_head(network, head, size, Path(scratch) / "head.onnx")
        return count_cost(Path(scratch) / "head.onnx").macs
