"""ONNX graphs that begin with a picture and end with labels: what the joint decoder is compared with.

::

    picture uint8 (1, H, W, 3) ─► normalise ─► network ─► argmax ─► labels uint8 (1, H, W)
"""

from __future__ import annotations

import copy
from pathlib import Path

import torch
from torch import Tensor, nn

from narrows.models.export.faster_decoder import faster_decoder
from narrows.models.export.folding import fold
from narrows.models.export.graphs import LABELS, PICTURE, write_graph
from narrows.models.nn.network import JointNetwork
from narrows.models.nn.pictures import PictureNetwork
from narrows.models.training.augment import DEVIATION, MEAN


class MaskAtEdge(nn.Module):
    """Encoder and joint decoder in one piece, nothing quantised in between: pictures to logits, all at the camera."""

    def __init__(self, network: JointNetwork) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(network.encoder)
        self.decoder = copy.deepcopy(network.decoder)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures ``(N, 3, H, W)`` to class logits ``(N, classes, H, W)``."""
        logits: Tensor = self.decoder(self.encoder(pictures), (pictures.shape[-2], pictures.shape[-1]))
        return logits


class PictureGraph(nn.Module):
    """``(1, H, W, 3)`` uint8 RGB to ``(1, H, W)`` uint8 labels."""

    def __init__(self, network: PictureNetwork | MaskAtEdge) -> None:
        super().__init__()
        self.network = fold(network)

    def forward(self, picture: Tensor) -> Tensor:
        """Run the whole network."""
        pixels = (picture.permute(0, 3, 1, 2).float() - MEAN) * (1 / DEVIATION)
        logits: Tensor = self.network(pixels)
        return logits.argmax(dim=1).to(torch.uint8)


def write_picture_graph(network: PictureNetwork | MaskAtEdge, size: tuple[int, int], path: Path) -> None:
    """Write the graph for pictures of ``size`` (height, width)."""
    picture = torch.zeros(1, *size, 3, dtype=torch.uint8)
    write_graph(PictureGraph(network), (picture,), path, [PICTURE], [LABELS], None, rewrite=faster_decoder)
