"""How much the result changes with each channel of what crosses, measured at the tail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.tensor_quantiser import as_dtype, plane_shape
from narrows.models.split.halves import Values

_DISTURBANCE = 0.25
"""Of a channel's deviation: large enough to be seen in float32, small enough not to saturate."""
Tail = Callable[[Values], Values]


def measure_sensitivity(
    tail: Tail, crossed: Sequence[Values], tensors: Sequence[str], outputs: Sequence[str]
) -> Mapping[str, NDArray[np.float64]]:
    """Change of the outputs for a change of each channel, as the root of energy over energy, ``(C,)`` of each tensor.

    Args:
        tail: the graph behind the cut.
        crossed: what crosses on a few pictures; each costs a run for every channel.
        tensors: names of what crosses.
        outputs: names of the result.
    """
    random = np.random.default_rng(0)
    energy = {name: np.zeros(plane_shape(crossed[0][name].shape)[0]) for name in tensors}
    for values in crossed:
        undisturbed = tail(values)
        for name in tensors:
            for channel in range(len(energy[name])):
                moved, spent = _disturbed(values[name], channel, random)
                if spent > 0:
                    changed = tail({**values, name: moved})
                    gained = sum(float(((changed[o] - undisturbed[o]).astype(float) ** 2).sum()) for o in outputs)
                    energy[name][channel] += gained / spent
    return {name: np.sqrt(found / len(crossed)) for name, found in energy.items()}


def _disturbed(tensor: NDArray[Any], channel: int, random: np.random.Generator) -> tuple[NDArray[Any], float]:
    moved = tensor.astype(np.float32)
    plane = moved.reshape(plane_shape(tensor.shape))[channel]
    plane += random.standard_normal(plane.shape) * plane.std() * _DISTURBANCE
    disturbed = as_dtype(moved, tensor.dtype)
    return disturbed, float(((disturbed.astype(float) - tensor) ** 2).sum())
