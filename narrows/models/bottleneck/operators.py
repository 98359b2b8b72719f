"""What torch computes for each ONNX operator that is trained; every other one is refused by name.

Whole numbers are floats here, and what rounds passes gradients straight through (Bengio et al., 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from narrows.contract.errors import NotTrainable
from narrows.models.nn.rate import round_straight_through

Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Tensor | None], Attributes], Tensor]
_BOUNDS = {torch.uint8: (0, 255), torch.int8: (-128, 127), torch.uint16: (0, 65535), torch.int16: (-32768, 32767)}


def given(value: Tensor | None) -> Tensor:
    """An input that its operator cannot do without."""
    if value is None:
        raise NotTrainable("an operator lacks an input that it needs")
    return value


def _integers(value: Tensor | None) -> list[int]:
    return [int(each) for each in given(value).flatten().tolist()]


def _axes(inputs: Sequence[Tensor | None], attributes: Attributes, place: int = 1) -> list[int]:
    return list(attributes["axes"]) if "axes" in attributes else _integers(inputs[place])


def _padded(x: Tensor, attributes: Attributes, fill: float = 0.0) -> Tensor:
    """With what ``pads`` or ``auto_pad`` adds on either side."""
    sides = x.ndim - 2
    kind = attributes.get("auto_pad", b"NOTSET")
    if kind in {b"SAME_UPPER", b"SAME_LOWER"}:
        strides = attributes.get("strides", [1] * sides)
        kernel = attributes["kernel_shape"]
        before, after = [], []
        for length, stride, size in zip(x.shape[2:], strides, kernel, strict=True):
            total = max(0, (-(-length // stride) - 1) * stride + size - length)
            less, more = total // 2, total - total // 2
            before.append(less if kind == b"SAME_UPPER" else more)
            after.append(more if kind == b"SAME_UPPER" else less)
        pads = [*before, *after]
    else:
        pads = list(attributes.get("pads", [0] * 2 * sides))
    if not any(pads):
        return x
    pairs = [(pads[i], pads[i + sides]) for i in range(sides)]
    return functional.pad(x, [side for pair in reversed(pairs) for side in pair], value=fill)


def _conv(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, weight = given(inputs[0]), given(inputs[1])
    bias = inputs[2] if len(inputs) > 2 else None
    sides = weight.ndim - 2
    if sides != 2:
        raise NotTrainable(f"a convolution over {sides} sides: only those of pictures are trained")
    pads = list(attributes.get("pads", [0] * 4))
    plain = attributes.get("auto_pad", b"NOTSET") in {b"NOTSET", b"VALID"} and pads[:2] == pads[2:]
    shape = {**attributes, "kernel_shape": weight.shape[2:]}
    return functional.conv2d(
        x if plain else _padded(x, shape), weight, bias, list(attributes.get("strides", [1, 1])),
        pads[:2] if plain else [0, 0], list(attributes.get("dilations", [1, 1])), attributes.get("group", 1),
    )  # fmt: skip


def _gemm(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    a, b = given(inputs[0]), given(inputs[1])
    a = a.T if attributes.get("transA", 0) else a
    b = b.T if attributes.get("transB", 0) else b
    product: Tensor = attributes.get("alpha", 1.0) * (a @ b)
    added = inputs[2] if len(inputs) > 2 else None
    return product if added is None else product + attributes.get("beta", 1.0) * added


def _batch_norm(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    """By the statistics that the network has."""
    if attributes.get("training_mode", 0):
        raise NotTrainable("a BatchNormalization in training mode: export the network for inference")
    scale, bias, mean, variance = (given(each)[:, None, None] for each in inputs[1:])
    normal: Tensor = (given(inputs[0]) - mean) / (variance + attributes.get("epsilon", 1e-5)).sqrt()
    return normal * scale + bias


def _clip(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    least = inputs[1] if len(inputs) > 1 else attributes.get("min")
    most = inputs[2] if len(inputs) > 2 else attributes.get("max")
    return torch.clamp(given(inputs[0]), *(None if each is None else float(each) for each in (least, most)))


def _pool(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    if attributes.get("ceil_mode", 0) or any(each != 1 for each in attributes.get("dilations", [])):
        raise NotTrainable("a MaxPool with ceil_mode or dilations")
    x = _padded(given(inputs[0]), attributes, float("-inf"))
    pooled: Tensor = functional.max_pool2d(x, attributes["kernel_shape"], attributes.get("strides", [1, 1]))
    return pooled


def _average(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    pads = list(attributes.get("pads", [0] * 4))
    odd = attributes.get("ceil_mode", 0) or attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or pads[:2] != pads[2:]
    if odd:
        raise NotTrainable("an AveragePool with ceil_mode, auto_pad or uneven pads")
    return functional.avg_pool2d(
        given(inputs[0]), attributes["kernel_shape"], attributes.get("strides", [1, 1]), pads[:2],
        count_include_pad=bool(attributes.get("count_include_pad", 0)),
    )  # fmt: skip


def _pad(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = given(inputs[0])
    pads = list(attributes["pads"]) if "pads" in attributes else _integers(inputs[1])
    if attributes.get("mode", b"constant") != b"constant" or (len(inputs) > 3 and inputs[3] is not None):
        raise NotTrainable("a Pad with axes, or by another mode than constant")
    fill = inputs[2] if len(inputs) > 2 else None
    pairs = [(pads[i], pads[i + x.ndim]) for i in range(x.ndim)]
    flat = [side for pair in reversed(pairs) for side in pair]
    return functional.pad(x, flat, value=0.0 if fill is None else float(fill))


def _slice(inputs: Sequence[Tensor | None], _: Attributes) -> Tensor:
    x, starts, ends = given(inputs[0]), _integers(inputs[1]), _integers(inputs[2])
    axes = _integers(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
    steps = _integers(inputs[4]) if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    if any(step < 1 for step in steps):
        raise NotTrainable("a Slice that goes backwards")
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places = range(x.shape[axis])[start:end:step]
        x = x.narrow(axis, places.start, max(0, places.stop - places.start))
        if step > 1:
            x = x.index_select(axis, torch.arange(0, x.shape[axis], step))
    return x


def _reshape(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, sides = given(inputs[0]), _integers(inputs[1])
    kept = [x.shape[i] if side == 0 and not attributes.get("allowzero", 0) else side for i, side in enumerate(sides)]
    return x.reshape(kept)


def _resize(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, mode = given(inputs[0]), attributes.get("mode", b"nearest")
    where = attributes.get("coordinate_transformation_mode", b"half_pixel")
    if len(inputs) > 3 and inputs[3] is not None:
        size = _integers(inputs[3])[2:]
    else:
        scales = given(inputs[2]).tolist()[2:]
        size = [int(side * scale) for side, scale in zip(x.shape[2:], scales, strict=True)]
    if mode == b"linear" and where in {b"half_pixel", b"pytorch_half_pixel", b"align_corners"}:
        return functional.interpolate(x, size, mode="bilinear", align_corners=where == b"align_corners")
    whole = all(after % before == 0 for before, after in zip(x.shape[2:], size, strict=True))
    if mode == b"nearest" and whole:
        return functional.interpolate(x, size, mode="nearest")
    raise NotTrainable(f"a Resize by {mode.decode()}, {where.decode()}")


def _depth_to_space(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, block = given(inputs[0]), attributes["blocksize"]
    if attributes.get("mode", b"DCR") == b"DCR":
        n, c, h, w = x.shape
        x = x.reshape(n, block * block, c // block**2, h, w).transpose(1, 2).reshape(n, c, h, w)
    return functional.pixel_shuffle(x, block)


def _quantize(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    zero = given(inputs[2])
    if zero.dtype not in _BOUNDS or given(inputs[1]).numel() > 1:
        raise NotTrainable(f"a QuantizeLinear to {zero.dtype} by channel: activations are quantised as a whole")
    scaled = given(inputs[0]) / given(inputs[1]) + zero.float()
    del attributes
    return torch.clamp(round_straight_through(scaled), *_BOUNDS[zero.dtype])


def _dequantize(inputs: Sequence[Tensor | None], _: Attributes) -> Tensor:
    if given(inputs[1]).numel() > 1:
        raise NotTrainable("a DequantizeLinear by channel: activations are quantised as a whole")
    zero = inputs[2].float() if len(inputs) > 2 and inputs[2] is not None else 0.0
    return (given(inputs[0]) - zero) * given(inputs[1])


def _mean(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    return given(inputs[0]).mean(_axes(inputs, attributes), keepdim=bool(attributes.get("keepdims", 1)))


def _squeeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    return given(inputs[0]).squeeze(tuple(_axes(inputs, attributes)))


def _unsqueeze(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = given(inputs[0])
    for axis in sorted(_axes(inputs, attributes)):
        x = x.unsqueeze(axis)
    return x


def _gather(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x, places = given(inputs[0]), given(inputs[1])
    if places.is_floating_point():
        raise NotTrainable("a Gather by places that depend on the picture")
    axis = attributes.get("axis", 0) % x.ndim
    flat = x.index_select(axis, places.flatten().long() % x.shape[axis])
    return flat.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


def _flatten(inputs: Sequence[Tensor | None], attributes: Attributes) -> Tensor:
    x = given(inputs[0])
    return x.reshape(int(np.prod(x.shape[: attributes.get("axis", 1)])), -1)


OPERATORS: Mapping[str, Operator] = {
    "Add": lambda i, _: given(i[0]) + given(i[1]),
    "AveragePool": _average,
    "BatchNormalization": _batch_norm,
    "Cast": lambda i, _: given(i[0]),
    "Clip": _clip,
    "Concat": lambda i, a: torch.cat([given(each) for each in i], a["axis"]),
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Div": lambda i, _: given(i[0]) / given(i[1]),
    "Dropout": lambda i, _: given(i[0]),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda i, _: given(i[0]).mean((2, 3), keepdim=True),
    "HardSigmoid": lambda i, a: (given(i[0]) * a.get("alpha", 0.2) + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda i, _: functional.hardswish(given(i[0])),
    "Identity": lambda i, _: given(i[0]),
    "LeakyRelu": lambda i, a: functional.leaky_relu(given(i[0]), a.get("alpha", 0.01)),
    "MatMul": lambda i, _: given(i[0]) @ given(i[1]),
    "MaxPool": _pool,
    "Mul": lambda i, _: given(i[0]) * given(i[1]),
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "ReduceMean": _mean,
    "Relu": lambda i, _: functional.relu(given(i[0])),
    "Reshape": _reshape,
    "Resize": _resize,
    "Round": lambda i, _: round_straight_through(given(i[0])),
    "Sigmoid": lambda i, _: given(i[0]).sigmoid(),
    "Slice": _slice,
    "Softmax": lambda i, a: given(i[0]).softmax(a.get("axis", -1)),
    "Squeeze": _squeeze,
    "Sub": lambda i, _: given(i[0]) - given(i[1]),
    "Transpose": lambda i, a: given(i[0]).permute(a["perm"]),
    "Unsqueeze": _unsqueeze,
}
