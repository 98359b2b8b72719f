"""The two ONNX graphs of a bundle.

::

    encoder   picture uint8 (1, H, W, 3) ─► normalise ─► Encoder ─► latent float32 (1, C, h, w)
    decoder   symbols int8 (n, C, h, w), level int32 (n, 1) ─► · 1/gain[level] ─► JointDecoder
                                                            ─► argmax ─► labels uint8 (n, H, W)

What PyTorch writes of the decoder is rewritten for speed (:mod:`narrows.models.export.faster_decoder`).

Normalisation and inverse gains are inside, so neither end can get them wrong; the argmax is inside because
logits would be the widest thing to travel.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from narrows.models.export.faster_decoder import faster_decoder
from narrows.models.export.folding import fold
from narrows.models.export.halves import Exportable
from narrows.models.training.augment import DEVIATION, MEAN
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import write_file

OPSET = 20
Rewrite = Callable[[onnx.ModelProto], onnx.ModelProto]
PICTURE, LATENT, SYMBOLS, LEVEL, LABELS = "picture", "latent", "symbols", "level", "labels"


class EncoderGraph(nn.Module):
    """``(1, H, W, 3)`` uint8 RGB to the latent ``(1, C, h, w)`` float32."""

    def __init__(self, network: Exportable) -> None:
        super().__init__()
        self.encoder = fold(network.encoder)

    def forward(self, picture: Tensor) -> Tensor:
        """Run the camera's half."""
        pixels = (picture.permute(0, 3, 1, 2).float() - MEAN) * (1 / DEVIATION)
        latent: Tensor = self.encoder(pixels)
        return latent


class DecoderGraph(nn.Module):
    """``(n, C, h, w)`` int8 symbols and ``(n, 1)`` int32 levels to ``(n, H, W)`` uint8 labels."""

    def __init__(self, network: Exportable, size: tuple[int, int]) -> None:
        super().__init__()
        self.decoder = fold(network.decoder)
        self.size = size
        self.register_buffer("inverse_gain", (-network.gains.log_gain.detach()).exp())

    def forward(self, symbols: Tensor, level: Tensor) -> Tensor:
        """Run the cloud's half."""
        inverse = self.get_buffer("inverse_gain").index_select(0, level[:, 0])
        latent = symbols.float() * inverse[:, :, None, None]
        logits: Tensor = self.decoder(latent, self.size)
        return logits.argmax(dim=1).to(torch.uint8)


def write_encoder(network: Exportable, size: tuple[int, int], path: Path) -> None:
    """Write the float encoder for pictures of ``size`` (height, width)."""
    picture = torch.zeros(1, *size, 3, dtype=torch.uint8)
    write_graph(EncoderGraph(network), (picture,), path, [PICTURE], [LATENT], None)


def write_decoder(network: Exportable, size: tuple[int, int], latent: tuple[int, int, int], path: Path) -> None:
    """Write the decoder for masks of ``size`` (height, width) and any batch."""
    symbols = torch.zeros(2, *latent, dtype=torch.int8)
    level = torch.zeros(2, 1, dtype=torch.int32)
    batch = torch.export.Dim("batch", min=1, max=256)
    shapes = {SYMBOLS: {0: batch}, LEVEL: {0: batch}}
    graph = DecoderGraph(network, size)
    write_graph(graph, (symbols, level), path, [SYMBOLS, LEVEL], [LABELS], shapes, rewrite=faster_decoder)


def write_graph(
    graph: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    input_names: list[str],
    output_names: list[str],
    dynamic_shapes: dict[str, Any] | None,
    *,
    rewrite: Rewrite | None = None,
) -> None:
    """Write any graph as this project ships them: one file, no trace of the machine that made it; whole, or not at all.

    A graph that stands is taken for finished, so what is killed on the way leaves none, and none that is not rewritten.

    Args:
        graph: to write.
        inputs: of it, examples.
        path: where.
        input_names: as ONNX has them.
        output_names: likewise.
        dynamic_shapes: of the inputs, as ``torch.onnx.export`` takes them.
        rewrite: is given what the exporter made.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with scratch_folder() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations are nothing that a user can mend
        draft = folder / "graph.onnx"
        torch.onnx.export(
            graph.eval(),
            inputs,
            draft,
            input_names=input_names,
            output_names=output_names,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes=dynamic_shapes,
            verbose=False,
        )
        model = _stripped(onnx.load(draft))
    write_file(path, (model if rewrite is None else rewrite(model)).SerializeToString())


def _stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without what the exporter notes of the source: stack traces name paths of this machine."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    return model
