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

from narrows.models.export.calibration import Feeds
from narrows.models.export.graphs import LATENT, PICTURE
from narrows.runtime.onnx_runtime.quantization import (
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)
from narrows.runtime.surroundings import scratch_folder


def quantise_encoder(float_encoder: Path, calibration: Sequence[NDArray[np.uint8]], path: Path) -> None:
    """Write the int8 twin of ``float_encoder``; ``calibration`` pictures have the encoder's size."""
    with scratch_folder() as folder:
        prepared = folder / "prepared.onnx"
        quant_pre_process(float_encoder, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            path,
            Feeds({PICTURE: picture[None]} for picture in calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Clip", "Add", "Concat", "Pad", "Reshape", "Transpose"],
            nodes_to_exclude=_outside_the_trunk(prepared),
            extra_options={"CalibMovingAverage": True, "ActivationSymmetric": False},
        )


def _outside_the_trunk(path: Path) -> list[str]:
    """The node that makes the latent, and those between the picture and the first convolution."""
    graph = onnx.load(path).graph
    makers = {output: node for node in graph.node for output in node.output}
    excluded = [makers[LATENT].name]
    for node in graph.node:
        if node.op_type == "Conv":
            break
        excluded.append(node.name)
    return excluded
