"""ResNet-50 as in the papers, for cost ratios only: random weights, exported to be counted, never scored."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import cast

from torch import nn

from benchmarks.rate.contenders import write_head
from benchmarks.rate.plan import RunFolder
from narrows.models.export.cost import Cost, count_cost
from narrows.models.export.graphs import write_encoder
from narrows.models.nn.decoder import JointDecoder
from narrows.models.nn.encoder import Encoder
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.resnet import AT16_CHANNELS, ResNet50Encoder
from narrows.models.nn.separate import SeparateDeepLabV3

HIDDEN = 512
NAMES = ("resnet50_encoder", "resnet50_joint", "resnet50_separate")


def write_resnet_graphs(shape: NetworkShape, size: tuple[int, int], folder: RunFolder) -> None:
    """Encoder, joint decoder and separate decoding with DeepLabv3 on 2048 channels; only their costs are kept."""
    network = JointNetwork(shape).eval()
    encoder = copy.deepcopy(network)
    encoder.encoder = cast("Encoder", ResNet50Encoder(shape.latent_channels).eval())
    _tell_apart(encoder)
    write_encoder(encoder, size, folder.graph(NAMES[0]))
    joint = JointDecoder(shape.latent_channels, shape.classes)
    separate = SeparateDeepLabV3(shape.latent_channels, shape.classes, AT16_CHANNELS, HIDDEN)
    for head, name in ((joint, NAMES[1]), (separate, NAMES[2])):
        _tell_apart(head)
        write_head(network, head, size, folder.graph(name))


def _tell_apart(network: nn.Module) -> None:
    """Random biases: the exporter stores equal tensors once, and fresh ones are all zero."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.bias)


def resnet_costs(folder: RunFolder) -> dict[str, Cost]:
    """By name."""
    return {name: count_cost(Path(folder.graph(name))) for name in NAMES}
