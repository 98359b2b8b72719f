"""How much the result changes with each channel of what crosses, measured at the tail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.tensor_quantiser import as_dtype, fitting_shape
from narrows.contract.errors import SplitError
from narrows.models.split.halves import Values

_DISTURBANCE = 0.25
"""Of a channel's deviation: large enough to be seen in float32, small enough not to saturate."""
Tail = Callable[[Values], Values]


def measure_sensitivity(
    tail: Tail, crossed: Sequence[Values], tensors: Sequence[str], outputs: Sequence[str]
) -> Mapping[str, NDArray[np.float64]]:
    """Change of the outputs for a change of each channel, as the root of energy over energy, ``(C,)`` of each tensor.

    A channel is disturbed by as much on every picture, within the range that it has on all of them, and energies are
    summed over the pictures: on a picture where it hardly moves by itself, what rounding makes of the tail's floats
    would else count as its effect.

    Args:
        tail: the graph behind the cut.
        crossed: what crosses on a few pictures; each costs a run for every channel.
        tensors: names of what crosses.
        outputs: names of the result.

    Raises:
        SplitError: the result is no finite number.
    """
    random = np.random.default_rng(0)
    undisturbed = [tail(values) for values in crossed]
    found = {}
    for name in tensors:
        shape = fitting_shape(crossed[0][name].shape)
        planes = np.stack([values[name].reshape(shape) for values in crossed]).astype(np.float32)
        energy = np.zeros(shape[0])
        for channel in range(shape[0]):
            gained = spent = 0.0
            noise = _Noise.of(planes[:, channel], random)
            for values, exact in zip(crossed, undisturbed, strict=True):
                moved, moved_by = noise.added(values[name], channel)
                if moved_by > 0:
                    changed = tail({**values, name: moved})
                    gained += sum(float(((changed[o].astype(float) - exact[o]) ** 2).sum()) for o in outputs)
                    spent += moved_by
            energy[channel] = gained / spent if spent > 0 else 0.0
        if not np.isfinite(energy).all():
            raise SplitError(
                f"{' or '.join(outputs)} is NaN or infinite on calibration pictures: nothing can be judged"
            )
        found[name] = np.sqrt(energy)
    return found


@dataclass(frozen=True, eq=False)
class _Noise:
    """What one channel is disturbed by: so much of its deviation, and never beyond its range."""

    amplitude: float
    low: float
    high: float
    random: np.random.Generator

    @classmethod
    def of(cls, channel: NDArray[np.float32], random: np.random.Generator) -> _Noise:
        return cls(float(channel.std()) * _DISTURBANCE, float(channel.min()), float(channel.max()), random)

    def added(self, tensor: NDArray[Any], channel: int) -> tuple[NDArray[Any], float]:
        """The tensor with that channel disturbed, and the energy of the disturbance."""
        moved = tensor.astype(np.float32)
        plane = moved.reshape(fitting_shape(tensor.shape))[channel]
        plane += self.random.standard_normal(plane.shape) * self.amplitude
        np.clip(plane, self.low, self.high, out=plane)
        disturbed = as_dtype(moved, tensor.dtype)
        return disturbed, float(((disturbed.astype(float) - tensor) ** 2).sum())
