"""Begin where a shipped bundle stands: its encoder and gains become a network to train on.

::

    encoder.int8.onnx ─► weights, dequantised ─► convolutions
                      └► biases ─┐
    some training pictures ─► statistics ─► batch norms that pass on what they get, plus that bias

A bundle's batch norms are folded away. They come back as ones that change nothing at first: scale and shift undo the
statistics of real pictures. The joint decoder begins anew; it learns quickly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from narrows.contract.bundle import Bundle
from narrows.contract.errors import WeightsMismatch
from narrows.models.nn.network import JointNetwork

_PREFIX = "encoder."
Weights = dict[str, NDArray[np.float32]]


@torch.no_grad()
def begin_from(network: JointNetwork, bundle: Bundle, pictures: Tensor) -> None:
    """Give ``network`` the encoder of a bundle, and its gains if it has as many levels.

    ``pictures`` ``(N, 3, H, W)``, normalised, set the statistics: a few dozen will do.

    Raises:
        WeightsMismatch: the bundle's encoder is of another shape.
    """
    weights = _encoder_weights(bundle.encoder_path)
    hooks = []
    for name, convolution, norm in _convolutions(network.encoder):
        weight, bias = _found(weights, f"{name}.weight", bundle), _found(weights, f"{name}.bias", bundle)
        if weight.shape != convolution.weight.shape:
            raise WeightsMismatch(
                f"bundle {bundle.hex_id}: {name} is {weight.shape}, here {tuple(convolution.weight.shape)}"
            )
        convolution.weight.copy_(torch.from_numpy(weight))
        if norm is None:
            convolution.bias.copy_(torch.from_numpy(bias))  # type: ignore[union-attr]  # without a norm, with a bias
        else:
            hooks.append(norm.register_forward_hook(_settle(torch.from_numpy(bias))))
    network.eval()
    network.encoder(pictures)
    for hook in hooks:
        hook.remove()
    gains = torch.from_numpy(bundle.gains)
    if gains.shape == network.gains.log_gain.shape:
        network.gains.log_gain.copy_(gains.log())


def _convolutions(encoder: nn.Module) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d | None]]:
    """Every convolution by its name in the graph, with the batch norm that follows it."""
    found = []
    for parent_name, parent in encoder.named_modules():
        children = list(parent.named_children())
        for (name, child), after in zip(children, [*[c for _, c in children][1:], None], strict=False):
            if isinstance(child, nn.Conv2d):
                path = _PREFIX + (f"{parent_name}.{name}" if parent_name else name)
                norm = after if isinstance(parent, nn.Sequential) and isinstance(after, nn.BatchNorm2d) else None
                found.append((path, child, norm))
    return found


def _settle(bias: Tensor) -> Callable[[nn.Module, tuple[Tensor], Tensor], Tensor]:
    return partial(_pass_on, bias)


def _pass_on(bias: Tensor, norm: nn.Module, given: tuple[Tensor], _: Tensor) -> Tensor:
    """Set a norm so that it adds ``bias`` and nothing else, for pictures like the present ones."""
    assert isinstance(norm, nn.BatchNorm2d)  # noqa: S101 -- hooked to nothing else
    variance, mean = torch.var_mean(given[0].float(), dim=(0, 2, 3), correction=0)
    for target, value in (
        (norm.running_mean, mean),
        (norm.running_var, variance),
        (norm.weight, (variance + norm.eps).sqrt()),
        (norm.bias, mean + bias),
    ):
        assert target is not None  # noqa: S101 -- made with statistics and affine
        target.copy_(value)
    return given[0] + bias[:, None, None]


def _found(weights: Weights, name: str, bundle: Bundle) -> NDArray[np.float32]:
    if name not in weights:
        raise WeightsMismatch(f"bundle {bundle.hex_id} has no {name}: its encoder is another network")
    return weights[name]


def _encoder_weights(path: Path) -> Weights:
    """Weights and biases by name, dequantised where they are integers."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    return {
        name.removesuffix("_quantized"): _as_float(stored, name)
        for name in stored
        if name.removesuffix("_quantized").endswith((".weight", ".bias"))
    }


def _as_float(stored: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    values = stored[name].astype(np.float32)
    if not name.endswith("_quantized"):
        return values
    scale = stored.get(f"{name.removesuffix('_quantized')}_scale", stored.get(f"{name}_scale"))
    assert scale is not None  # noqa: S101 -- the exporter writes one beside every integer tensor
    return values * scale.astype(np.float32).reshape(-1, *(1,) * (values.ndim - 1))
