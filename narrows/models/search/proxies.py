"""Zero-shot proxies: what an untrained network says of how well it will do.

========== ========================================================================================================
macs       multiply-accumulates: more work does better, which every other proxy has to beat
parameters so many weights
synflow    Tanaka et al., "Pruning Neural Networks without any Data by Iteratively Conserving Synaptic Flow", 2020
gradient   the norm of a batch's gradient: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021
naswot     how differently pictures switch the activations: Mellor et al., "NAS without Training", ICML 2021
zico       mean over deviation of gradients: Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation",
           ICLR 2023
========== ========================================================================================================

Each is computed of the camera's part, on views of real pictures with their labels.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from narrows.models.search.cost import CameraCost
from narrows.models.search.training import AtResolution
from narrows.models.training.fitting import Task

_ACTIVATIONS = (nn.ReLU6, nn.ReLU, nn.Hardsigmoid)
_BATCHES = 2


@dataclass(frozen=True)
class Subject:
    """An untrained network, views ``(N, 3, H, W)`` for it, and the loss that it would have."""

    network: AtResolution
    cost: CameraCost
    pictures: Tensor
    task: Task


def macs(subject: Subject) -> float:
    """See the table above."""
    return float(subject.cost.macs)


def parameters(subject: Subject) -> float:
    """See the table above."""
    return float(subject.cost.weights_bytes)


def synflow(subject: Subject) -> float:
    """The logarithm of the flow."""
    linear = copy.deepcopy(subject.network).eval().double()
    _linearise(linear)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    flow = torch.stack([each.sum() for each in linear.camera(torch.ones_like(subject.pictures[:1]).double())]).sum()
    flow.backward()  # type: ignore[no-untyped-call]
    weights = _weights(linear)
    total = sum(float((each.detach() * each.grad).abs().sum()) for each in weights if each.grad is not None)
    return math.log(total) if total > 0 else -math.inf


def gradient(subject: Subject) -> float:
    """The logarithm of the norm."""
    (grads,) = _gradients(subject, 1)
    return math.log(max(math.sqrt(sum(float(each.square().sum()) for each in grads)), 1e-30))


def zico(subject: Subject) -> float:
    """The sum over layers of the logarithm of mean over deviation."""
    by_batch = _gradients(subject, _BATCHES)
    total = 0.0
    for of_layer in zip(*by_batch, strict=True):
        stacked = torch.stack(of_layer).abs()
        deviation, mean = stacked.std(dim=0), stacked.mean(dim=0)
        known = deviation > 0
        if bool(known.any()):
            total += math.log(max(float((mean[known] / deviation[known]).sum()), 1e-30))
    return total


@torch.no_grad()
def naswot(subject: Subject) -> float:
    """The logarithm of the determinant of how often two pictures switch a unit alike."""
    count = len(subject.pictures)
    alike = torch.zeros(count, count, dtype=torch.float64)

    def compare(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        on = (output.reshape(count, -1) > 0).double()
        alike.add_(on @ on.T + (1 - on) @ (1 - on).T)

    network = copy.deepcopy(subject.network).train()
    for module in network.modules():
        if isinstance(module, (nn.ReLU6, nn.ReLU)):
            module.register_forward_hook(compare)
    network.camera(subject.pictures)
    return float(torch.linalg.slogdet(alike)[1])


Proxy = Callable[[Subject], float]
PROXIES: dict[str, Proxy] = {
    "macs": macs,
    "parameters": parameters,
    "synflow": synflow,
    "gradient": gradient,
    "naswot": naswot,
    "zico": zico,
}


def _gradients(subject: Subject, batches: int) -> list[list[Tensor]]:
    """Of the camera's weights, in each of so many batches."""
    network = copy.deepcopy(subject.network).train()
    found = []
    for step in range(batches):
        network.zero_grad(set_to_none=True)
        subject.task.loss(network, step).backward()  # type: ignore[no-untyped-call]
        weights = _weights(network)
        found.append([torch.zeros_like(each) if each.grad is None else each.grad.clone() for each in weights])
    return found


def _weights(network: AtResolution) -> Sequence[Tensor]:
    return [each for each in network.whole.camera.parameters() if each.ndim > 1]


def _linearise(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, _ACTIVATIONS):
            setattr(module, name, nn.Identity())
        else:
            _linearise(child)
