"""Server only as a cut: the picture crosses as JPEG's coefficients, and all of the network runs in the cloud.

::

    head   picture ─ YCbCr, chroma halved, DCT of 8 x 8 ─► two tensors       plan   JPEG's own steps at a quality
    tail   two tensors ─ inverse ─► picture, rounded ─► the network, as it is

It is JPEG up to its last stage (ITU-T T.81, annexes A and K; colours by JFIF): the coefficients are coded by the
project's rANS, not by Huffman's code, so that they travel in the product's own packets. Both sizes are stated.
"""

from __future__ import annotations

import io
import math

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper
from PIL import Image, features

from narrows.contract.bundle.split_manifest import tensor_name
from narrows.contract.bundle.split_plan import TensorPlan
from narrows.contract.codec.tensor_coder import fit_coder
from narrows.contract.codec.tensor_quantiser import Quantiser
from narrows.models.split.cuts import Cut
from narrows.models.split.feeding import Picture
from narrows.models.split.halves import Halves, Values
from narrows.models.split.network import Network, Tensor
from narrows.models.split.shipped_graphs import PICTURE

NAMES = ("jpeg_luma", "jpeg_chroma")
_SIDE, _MIDDLE = 8, 128.0
_LARGEST_COEFFICIENT = 8 * _MIDDLE
_OPSET, _IR = 17, 8
_TO_YCC = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_TO_RGB = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]], np.float32)


def jpeg_cut(network: Network) -> Cut:
    """Nothing of the network on the device."""
    _, height, width, _ = network.input.shape
    rows, columns = -(-height // 16), -(-width // 16)
    tensors = (
        Tensor(NAMES[0], (1, 64, -(-height // 8), -(-width // 8)), "float32"),
        Tensor(NAMES[1], (1, 128, rows, columns), "float32"),
    )
    return Cut(tensors, frozenset(), frozenset(range(len(network.nodes))), 0, network.macs)


def jpeg_halves(network: Network, cut: Cut) -> Halves:
    """Both graphs: the head as cameras run it, the tail up to the network's outputs."""
    _, height, width, _ = network.input.shape
    return Halves(network, cut, _head(height, width, cut), _tail(network, height, width, cut))


def jpeg_plans(crossed: list[Values], quality: int, bits: int) -> tuple[TensorPlan, ...]:
    """Steps of a quality, tables counted on calibration pictures."""
    plans = []
    for name, steps in zip(NAMES, _steps(quality), strict=True):
        most = np.ceil(_LARGEST_COEFFICIENT / steps).astype(np.int32) + 1
        quantiser = Quantiser(bits, steps, np.zeros_like(most), -most, most)
        planes = [quantiser.symbols(values[name][0].astype(np.float32)) for values in crossed]
        plans.append(TensorPlan(quantiser, fit_coder(planes, int(most.max()))))
    return tuple(plans)


def libjpeg_bytes(picture: Picture, quality: int) -> int:
    """What Pillow's encoder makes of a picture."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return len(file.getvalue())


def library() -> str:
    """Whose encoder that is."""
    return f"libjpeg {features.version('jpg')}"


def _steps(quality: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """libjpeg's, which are those of annex K, scaled: for luma 64, for both chromas 64 each."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "JPEG", quality=quality)
    with Image.open(file) as opened:  # noqa: TID251 -- just written
        tables = opened.quantization  # type: ignore[attr-defined]
    luma, chroma = (np.array(tables[key], np.float32) for key in (0, 1))
    return luma, np.concatenate([chroma, chroma])


def _basis() -> NDArray[np.float32]:
    """The 64 patterns of the orthonormal DCT, ``(64, 1, 8, 8)``: row by row of frequencies."""
    place = np.arange(_SIDE)
    rows = np.cos((2 * place[None, :] + 1) * place[:, None] * math.pi / (2 * _SIDE))
    rows *= np.where(place == 0, math.sqrt(1 / _SIDE), math.sqrt(2 / _SIDE))[:, None]
    patterns: NDArray[np.float32] = np.einsum("ui,vj->uvij", rows, rows).astype(np.float32)
    return patterns.reshape(64, 1, _SIDE, _SIDE)


def _constants(**values: NDArray[np.generic]) -> list[onnx.TensorProto]:
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _head(height: int, width: int, cut: Cut) -> onnx.ModelProto:
    luma, chroma = cut.tensors
    short = [2 * 8 * chroma.shape[2] - height, 2 * 8 * chroma.shape[3] - width]
    node = helper.make_node
    nodes = [
        node("Cast", [PICTURE], ["floats"], to=TensorProto.FLOAT),
        node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "colours", "offset"], ["ycc"]),
        node("Slice", ["ycc", "zero", "one", "axis"], ["y"]),
        node("Pad", ["y", "pad_luma"], ["y_whole"], mode="edge"),
        node("Conv", ["y_whole", "basis"], [tensor_name(0)], strides=[8, 8]),
        node("Slice", ["ycc", "one", "three", "axis"], ["cc"]),
        node("Pad", ["cc", "pad_chroma"], ["cc_whole"], mode="edge"),
        node("AveragePool", ["cc_whole"], ["cc_half"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", ["cc_half", "apart"], ["cc_apart"]),
        node("Conv", ["cc_apart", "basis"], ["cc_dct"], strides=[8, 8]),
        node("Reshape", ["cc_dct", "together"], [tensor_name(1)]),
    ]
    constants = _constants(
        colours=_TO_YCC[:, :, None, None],
        offset=np.array([-_MIDDLE, 0, 0], np.float32),
        zero=np.array([0]), one=np.array([1]), three=np.array([3]), axis=np.array([1]),
        pad_luma=np.array([0, 0, 0, 0, 0, 0, 8 * luma.shape[2] - height, 8 * luma.shape[3] - width]),
        pad_chroma=np.array([0, 0, 0, 0, 0, 0, *short]),
        basis=_basis(),
        apart=np.array([2, 1, 8 * chroma.shape[2], 8 * chroma.shape[3]]),
        together=np.array([1, *chroma.shape[1:]]),
    )  # fmt: skip
    given = helper.make_tensor_value_info(PICTURE, TensorProto.UINT8, (1, height, width, 3))
    made = [
        helper.make_tensor_value_info(tensor_name(place), TensorProto.FLOAT, tensor.shape)
        for place, tensor in enumerate(cut.tensors)
    ]
    graph = helper.make_graph(nodes, "jpeg_head", [given], made, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)


def _tail(network: Network, height: int, width: int, cut: Cut) -> onnx.ModelProto:
    """The inverse, then the network: its names get a prefix, and are given back at its outputs."""
    luma, chroma = cut.tensors
    node = helper.make_node
    nodes = [
        node("ConvTranspose", [NAMES[0], "basis"], ["y_whole"], strides=[8, 8]),
        node("Slice", ["y_whole", "origin", "sides", "space"], ["y"]),
        node("Reshape", [NAMES[1], "apart"], ["cc_dct"]),
        node("ConvTranspose", ["cc_dct", "basis"], ["cc_apart"], strides=[8, 8]),
        node("Reshape", ["cc_apart", "together"], ["cc_half"]),
        node("Resize", ["cc_half", "", "scales"], ["cc_whole"], mode="linear"),
        node("Slice", ["cc_whole", "origin", "sides", "space"], ["cc"]),
        node("Concat", ["y", "cc"], ["ycc"], axis=1),
        node("Conv", ["ycc", "colours", "offset"], ["rgb"]),
        node("Round", ["rgb"], ["whole_numbers"]),
        node("Clip", ["whole_numbers", "black", "white"], ["clipped"]),
        node("Transpose", ["clipped"], ["placed"], perm=[0, 2, 3, 1]),
        node("Cast", ["placed"], ["received"], to=TensorProto.UINT8),
    ]
    constants = _constants(
        basis=_basis(),
        origin=np.array([0, 0]), sides=np.array([height, width]), space=np.array([2, 3]),
        apart=np.array([-1, 64, *chroma.shape[2:]]),
        together=np.array([-1, 2, 8 * chroma.shape[2], 8 * chroma.shape[3]]),
        scales=np.array([1, 1, 2, 2], np.float32),
        colours=_TO_RGB[:, :, None, None],
        offset=np.full(3, _MIDDLE, np.float32),
        black=np.array(0, np.float32), white=np.array(255, np.float32),
    )  # fmt: skip
    given = [helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.shape) for tensor in (luma, chroma)]
    made = [helper.make_tensor_value_info("received", TensorProto.UINT8, (1, height, width, 3))]
    graph = helper.make_graph(nodes, "jpeg_tail", given, made, constants)
    version = next(entry.version for entry in network.model.opset_import if entry.domain in {"", "ai.onnx"})
    decoder = helper.make_model(
        graph, opset_imports=list(network.model.opset_import), ir_version=network.model.ir_version
    )
    assert version >= _FIRST_RESIZE_OF_HALF_PIXELS
    decoder = compose.add_prefix(decoder, "jpeg/", rename_inputs=False, rename_outputs=False)
    return compose.merge_models(decoder, network.model, [("received", network.input.name)])


_FIRST_RESIZE_OF_HALF_PIXELS = 13
