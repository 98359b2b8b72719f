"""Begin where a shipped bundle stands: its encoder, gains and decoder become a network to train on.

::

    encoder.int8.onnx ─► weights, dequantised ─┬─► convolutions
    decoder.onnx ──────► weights ──────────────┘
                      └► biases ─┐
    some training pictures ─► statistics ─► batch norms that pass on what they get, plus that bias
                           └► symbols ────► the rate model, fitted for some steps

A bundle's batch norms are folded away. They come back as ones that change nothing at first: scale and shift undo the
statistics of real pictures. Where training has several branches, one holds the folded convolution, and the others
begin at nothing. A decoder for other classes begins anew, and so does a rate model, which bundles do not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from narrows.contract.bundle import Bundle
from narrows.contract.errors import WeightsMismatch
from narrows.models.export.channels_last import SORTED, unsorted
from narrows.models.nn.decoder import UPSCALE
from narrows.models.nn.network import JointNetwork, NetworkShape
from narrows.models.nn.reparametrised import Reparametrised

RATE_STEPS, RATE_LEARNING_RATE = 200, 0.05
"""Some seconds on a couple of dozen pictures; training goes on from there."""
Weights = dict[str, NDArray[np.float32]]


def network_of(bundle: Bundle, pictures: Tensor) -> JointNetwork:
    """A bundle's network, in evaluation mode; ``pictures`` as in :func:`begin_from`.

    Raises:
        WeightsMismatch: the bundle's encoder is of another family.
    """
    manifest = bundle.manifest
    network = JointNetwork(NetworkShape(len(manifest.classes), manifest.latent.channels, len(manifest.levels)))
    begin_from(network, bundle, pictures, manifest.classes)
    return network.eval()


@torch.no_grad()
def begin_from(network: JointNetwork, bundle: Bundle, pictures: Tensor, classes: tuple[str, ...]) -> None:
    """Give ``network`` the encoder of a bundle, its gains if it has as many levels, its decoder if its classes are its.

    Args:
        network: to fill.
        bundle: what it begins from.
        pictures: ``(N, 3, H, W)``, normalised; they set the statistics, a few dozen will do.
        classes: that ``network`` is for, in their order.

    Raises:
        WeightsMismatch: the bundle's encoder is of another shape.
    """
    network.eval()
    gains = torch.from_numpy(bundle.gains)
    same_levels = gains.shape == network.gains.log_gain.shape
    if same_levels:
        network.gains.log_gain.copy_(gains.log())
    steps = _encoder_steps(network.encoder)
    with _filled(steps, _stored_weights(bundle.encoder_path), bundle):
        latent = network.encoder(pictures)
    levels = torch.arange(len(pictures)) % network.shape.levels
    steps, stored = _decoder_steps(network.decoder), _stored_weights(bundle.decoder_path)
    if same_levels and classes == bundle.manifest.classes and _fits(steps, stored):
        gain = network.gains(levels)
        with _filled(steps, stored, bundle):
            network.decoder((latent * gain).round() / gain, (pictures.shape[-2], pictures.shape[-1]))
        _silence_branches(network.decoder)
    fit_rate(network, latent, levels)


@torch.enable_grad()
def fit_rate(network: JointNetwork, latent: Tensor, levels: Tensor, steps: int = RATE_STEPS) -> float:
    """Fit the rate model to latents ``(N, C, h, w)`` at levels ``(N,)``, nothing else; answers bits a symbol."""
    scaled = (latent * network.gains(levels)).detach()
    optimiser = torch.optim.Adam(network.rate.parameters(), lr=RATE_LEARNING_RATE)
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        bits = network.rate(scaled.round(), levels).mean()
        bits.backward()
        optimiser.step()
    return float(bits.detach())


class _Step(NamedTuple):
    """A convolution by its name in the graph, with the batch norm that follows it."""

    name: str
    convolution: nn.Conv2d
    norm: nn.BatchNorm2d | None


def _encoder_steps(encoder: nn.Module) -> list[_Step]:
    found = []
    for parent_name, parent in encoder.named_modules():
        children = list(parent.named_children())
        for (name, child), after in zip(children, [*[c for _, c in children][1:], None], strict=False):
            if isinstance(child, nn.Conv2d):
                path = f"encoder.{parent_name}.{name}" if parent_name else f"encoder.{name}"
                norm = after if isinstance(parent, nn.Sequential) and isinstance(after, nn.BatchNorm2d) else None
                found.append(_Step(path, child, norm))
    return found


def _decoder_steps(decoder: nn.Module) -> list[_Step]:
    """Of several branches the first."""
    found, inside = [], "inside a step that was found"
    for name, module in decoder.named_modules():
        if name.startswith(inside):
            continue
        if isinstance(module, Reparametrised):
            convolution, norm = module.wide[0].children()
            found.append(_Step(f"decoder.{name}", convolution, norm))  # type: ignore[arg-type]  # conv_bn made both
            inside = f"{name}."
        elif isinstance(module, nn.Conv2d):
            found.append(_Step(f"decoder.{name}", module, None))
    return found


def _silence_branches(decoder: nn.Module) -> None:
    """All branches but the first add nothing until their scale is learned."""
    for module in decoder.modules():
        if isinstance(module, Reparametrised):
            kept = set(module.wide[0].modules())
            for norm in module.modules():
                if isinstance(norm, nn.BatchNorm2d) and norm not in kept:
                    nn.init.zeros_(norm.weight)
                    nn.init.zeros_(norm.bias)


def _fits(steps: Sequence[_Step], stored: Weights) -> bool:
    return all(
        f"{step.name}.weight" in stored and stored[f"{step.name}.weight"].shape == step.convolution.weight.shape
        for step in steps
    )


@contextmanager
def _filled(steps: Sequence[_Step], stored: Weights, bundle: Bundle) -> Iterator[None]:
    """Convolutions of a bundle's weights; norms settle on what passes through them meanwhile."""
    hooks = []
    for name, convolution, norm in steps:
        weight = _found(stored, f"{name}.weight", bundle)
        bias = stored.get(f"{name}.bias", np.zeros(len(weight), np.float32))  # the exporter drops one of zeros
        if weight.shape != convolution.weight.shape:
            raise WeightsMismatch(
                f"bundle {bundle.hex_id}: {name} is {weight.shape}, here {tuple(convolution.weight.shape)}"
            )
        convolution.weight.copy_(torch.from_numpy(weight))
        if norm is None:
            convolution.bias.copy_(torch.from_numpy(bias))  # type: ignore[union-attr]  # without a norm, with a bias
        else:
            hooks.append(norm.register_forward_hook(_settle(torch.from_numpy(bias))))
    yield
    for hook in hooks:
        hook.remove()


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


def _stored_weights(path: Path) -> Weights:
    """Weights and biases by name, dequantised where they are integers, in the order in which PyTorch has them."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    floats = {name.removesuffix("_quantized"): _as_float(stored, name) for name in stored if _is_weight(name)}
    return {name.removesuffix(SORTED): _in_order(name, values) for name, values in floats.items()}


def _is_weight(name: str) -> bool:
    return name.removesuffix("_quantized").removesuffix(SORTED).endswith((".weight", ".bias"))


def _in_order(name: str, values: NDArray[np.float32]) -> NDArray[np.float32]:
    return unsorted(values, UPSCALE) if name.endswith(SORTED) else values


def _as_float(stored: dict[str, NDArray[np.generic]], name: str) -> NDArray[np.float32]:
    values = stored[name].astype(np.float32)
    if not name.endswith("_quantized"):
        return values
    scale = stored.get(f"{name.removesuffix('_quantized')}_scale", stored.get(f"{name}_scale"))
    assert scale is not None  # noqa: S101 -- the exporter writes one beside every integer tensor
    return values * scale.astype(np.float32).reshape(-1, *(1,) * (values.ndim - 1))
