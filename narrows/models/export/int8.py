"""The camera's encoder in int8: weights per channel, activations calibrated on training pictures.

Quantise-dequantise nodes around every convolution but the last: the latent itself stays float, since the
gains quantise it anyway, and 8 bits over its whole range would be coarser than the finest rate level.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from narrows.models.export.graphs import LATENT, PICTURE
from narrows.models.export.qdq import write_qdq


def quantise_encoder(float_encoder: Path, calibration: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Write the int8 twin of ``float_encoder``; ``calibration`` pictures have the encoder's size."""
    write_qdq(
        float_encoder,
        ({PICTURE: picture[None]} for picture in calibration),
        path,
        ["Conv", "Clip", "Add", "Concat", "Pad", "Reshape", "Transpose"],
        unsigned=False,
        excluded=_outside_the_trunk,
        options={"CalibMovingAverage": True, "ActivationSymmetric": False},
    )


def _outside_the_trunk(graph: onnx.GraphProto) -> list[str]:
    """The node that makes the latent, and those between the picture and the first convolution."""
    makers = {output: node for node in graph.node for output in node.output}
    excluded = [makers[LATENT].name]
    for node in graph.node:
        if node.op_type == "Conv":
            break
        excluded.append(node.name)
    return excluded
