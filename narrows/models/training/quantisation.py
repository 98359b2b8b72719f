"""Training that knows it will be int8: weights and activations are rounded on the way forward, gradients pass through.

What is rounded is what ``narrows export`` rounds of the encoder (:mod:`narrows.models.export.int8`): weights of every
convolution but the bottleneck's by output channel, and the activations between. A batch norm that follows scales a
whole output channel, so rounding ahead of it or after it is folded in is the same. An activation's range is that of the
batch.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
CVPR 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from narrows.models.nn.efficientnet_lite import InvertedResidual
from narrows.models.nn.network import JointNetwork, NetworkOutput

_MOST_WEIGHT = 127
_LOW, _HIGH = -128, 127


def rounded_weight(weight: Tensor) -> Tensor:
    """Int8 by output channel, symmetric, as float."""
    scale = weight.detach().abs().flatten(1).amax(dim=1).clamp_min(1e-8) / _MOST_WEIGHT
    zero = torch.zeros_like(scale, dtype=torch.int32)
    found: Tensor = torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -_MOST_WEIGHT, _MOST_WEIGHT)
    return found


def rounded_activation(values: Tensor) -> Tensor:
    """Int8 of the whole tensor, asymmetric, 0 exact, as float."""
    with torch.autocast(values.device.type, enabled=False):
        plain = values.float()
        low, high = plain.detach().amin().clamp_max(0), plain.detach().amax().clamp_min(0)
        scale = ((high - low) / (_HIGH - _LOW)).clamp_min(1e-8)
        zero = (_LOW - low / scale).round().clamp(_LOW, _HIGH).to(torch.int32)
        found: Tensor = torch.fake_quantize_per_tensor_affine(plain, scale, zero, _LOW, _HIGH)
    return found.to(values.dtype)


def round_activations(network: JointNetwork) -> None:
    """From now on round what the encoder's layers hand on."""

    def after(_: nn.Module, __: tuple[Tensor, ...], made: Tensor) -> Tensor:
        return rounded_activation(made)

    def before(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (rounded_activation(given[0]), *given[1:])

    network.encoder.trunk.register_forward_pre_hook(before)
    for module in network.encoder.modules():
        if isinstance(module, (nn.ReLU6, InvertedResidual)):
            module.register_forward_hook(after)
        if isinstance(module, InvertedResidual) and module.residual:
            module.body[-1].register_forward_hook(after)


def rounded_weights(network: JointNetwork) -> dict[str, Tensor]:
    """The encoder's weights by name, rounded."""
    return {
        f"encoder.{name}.weight": rounded_weight(module.weight)
        for name, module in network.encoder.named_modules()
        if isinstance(module, nn.Conv2d) and name != "bottleneck"
    }


def forward_rounded(network: JointNetwork, pictures: Tensor, level: Tensor, *, rounded_rate: bool) -> NetworkOutput:
    """The network's answer with the weights that it will have."""
    found: NetworkOutput = functional_call(
        network, rounded_weights(network), (pictures, level), {"rounded_rate": rounded_rate}
    )
    return found
