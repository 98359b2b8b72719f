"""One way to send what crosses at a cut: a quantiser and a coder for each of its tensors, from calibration pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from narrows.contract.codec.tensor_coder import TensorCoder, fit_coder
from narrows.contract.codec.tensor_quantiser import Quantiser, Symbols, as_dtype, fitting_shape
from narrows.contract.errors import SplitError
from narrows.models.split.halves import Values
from narrows.models.split.quantiser import by_range, by_sensitivity

Sensitivity = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Rounding:
    """How each tensor that crosses is quantised. ``bits`` of the channel of most values; ``steps``: what set them."""

    bits: int
    steps: str
    quantisers: Mapping[str, Quantiser]

    def symbols(self, crossed: Values) -> Mapping[str, Symbols]:
        """Of each tensor, ``(C, h, w)`` int32."""
        return {name: quantiser.symbols(quantiser.planes(crossed[name])) for name, quantiser in self.quantisers.items()}

    def values(self, symbols: Mapping[str, Symbols], like: Values) -> Values:
        """What the tail computes with, each tensor in the shape that it had."""
        return {
            name: as_dtype(quantiser.values(symbols[name]).reshape(like[name].shape), like[name].dtype)
            for name, quantiser in self.quantisers.items()
        }

    def rounded(self, crossed: Values) -> Values:
        """What is left of the tensors once they have crossed."""
        return self.values(self.symbols(crossed), crossed)


def fit_rounding(
    crossed: Sequence[Values], tensors: Sequence[str], bits: int, sensitivity: Sensitivity | None
) -> Rounding:
    """Ranges and steps from calibration pictures; steps by sensitivity where it is given, else by range.

    Raises:
        SplitError: a tensor has no finite range on these pictures.
    """
    quantisers = {}
    for name in tensors:
        shape = fitting_shape(crossed[0][name].shape)
        planes = np.stack([values[name].reshape(shape) for values in crossed]).astype(np.float32)
        if not np.isfinite(planes).all():
            raise SplitError(f"{name} holds NaN or infinity on calibration pictures: choose another cut (--cut)")
        given = None if sensitivity is None else sensitivity[name]
        quantisers[name] = by_range(planes, bits) if given is None else by_sensitivity(planes, bits, given)
    return Rounding(bits, "range" if sensitivity is None else "sensitivity", quantisers)


def fit_coders(rounding: Rounding, crossed: Sequence[Values]) -> Mapping[str, TensorCoder]:
    """Tables for each tensor, counted on calibration pictures."""
    symbols = [rounding.symbols(values) for values in crossed]
    return {
        name: fit_tensor_coder([each[name] for each in symbols], quantiser)
        for name, quantiser in rounding.quantisers.items()
    }


def fit_tensor_coder(planes: Sequence[Symbols], quantiser: Quantiser) -> TensorCoder:
    """Tables for whatever a quantiser makes, counted on the symbols of calibration pictures."""
    usual, most = (_largest(*each) for each in ((quantiser.least, quantiser.most), quantiser.bounds))
    return fit_coder(planes, most, usual)


def _largest(least: Symbols, most: Symbols) -> int:
    return int(max(-least.min(), most.max(), 0))


def ideal_bytes(rounding: Rounding, crossed: Sequence[Values]) -> float:
    """Bytes a picture by the entropy of each channel's symbols alone: a bound from above that takes no tables."""
    bits = 0.0
    for name in rounding.quantisers:
        planes = np.stack([rounding.symbols(values)[name] for values in crossed])
        for channel in range(planes.shape[1]):
            _, counts = np.unique(planes[:, channel], return_counts=True)
            bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return bits / 8 / len(crossed)
