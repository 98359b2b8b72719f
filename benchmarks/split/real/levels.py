"""The levels of a cut in the benchmark's bundle: one for each way to send it that some scheduler has.

::

    0       tensors as they are, every value in as many bits: Neurosurgeon, DADS
    1 to 4  quantised, by our coder: ours, and DynO with our coder
    5 to 8  the same values in as many bytes as LZ4 makes of them: DynO

Whoever chose it, a packet holds what the project's coder wrote, for that is what dispatchers read. So the tables of the
other levels are made worse, until packets are as long as those schedulers' would be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.split.packing import lz4_bytes
from benchmarks.split.real.layout import PRECISIONS_BITS
from narrows.contract.bundle.split_plan import TensorPlan
from narrows.contract.codec.tensor_quantiser import Quantiser, Symbols
from narrows.models.split.design import Rounding, Sensitivity, fit_rounding, fit_tensor_coder
from narrows.models.split.halves import Values

_RAW_BITS_OF_FLOATS, _RAW_BITS_OF_INTEGERS = 16, 8
_HALVINGS = 4
_Planes = Mapping[str, Symbols]


@dataclass(frozen=True, eq=False)
class FittedLevel:
    """One way to send a cut."""

    rounding: Rounding
    plans: tuple[TensorPlan, ...]


def fit_levels(fitted: Sequence[Values], names: Sequence[str], sensitivity: Sensitivity) -> list[FittedLevel]:
    """All levels of a cut, from what crosses there on calibration pictures; steps by sensitivity, as in exports."""
    floats = any(fitted[0][name].dtype.kind == "f" for name in names)
    raw = fit_rounding(fitted, names, _RAW_BITS_OF_FLOATS if floats else _RAW_BITS_OF_INTEGERS, None)
    ours = [fit_rounding(fitted, names, bits, sensitivity) for bits in PRECISIONS_BITS]
    levels = [_fitted(raw, fitted, share_of_noise=1.0)]
    levels += [_fitted(each, fitted, share_of_noise=0.0) for each in ours]
    return levels + [_as_long_as_lz4(each, fitted) for each in ours]


def _as_long_as_lz4(rounding: Rounding, fitted: Sequence[Values]) -> FittedLevel:
    """By halving the share of noise in what the tables are counted on; where LZ4 is shorter, our own tables."""
    planes = [rounding.symbols(values) for values in fitted[:2]]
    wanted = sum(lz4_bytes(rounding, each) for each in planes)
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        made = sum(_coded_bytes(_fitted(rounding, fitted, share_of_noise=middle), each) for each in planes)
        low, high = (middle, high) if made < wanted else (low, middle)
    return _fitted(rounding, fitted, share_of_noise=low)


def _coded_bytes(level: FittedLevel, symbols: _Planes) -> int:
    return sum(len(plan.coder.encode(symbols[name])) for name, plan in zip(symbols, level.plans, strict=True))


def _fitted(rounding: Rounding, fitted: Sequence[Values], *, share_of_noise: float) -> FittedLevel:
    """With tables counted on symbols of which a share is replaced by any that the channel may have."""
    random = np.random.default_rng(0)
    planes = [rounding.symbols(values) for values in fitted]
    plans = []
    for name, quantiser in rounding.quantisers.items():
        noisy = [_noisy(each[name], quantiser, share_of_noise, random) for each in planes]
        plans.append(TensorPlan(quantiser, fit_tensor_coder(noisy, quantiser)))
    return FittedLevel(rounding, tuple(plans))


def _noisy(symbols: Symbols, quantiser: Quantiser, share: float, random: np.random.Generator) -> Symbols:
    if not share:
        return symbols
    least, most = quantiser.least[:, None, None], quantiser.most[:, None, None] + 1
    noise = random.integers(least, most, symbols.shape, dtype=np.int32)
    return np.where(random.random(symbols.shape) < share, noise, symbols).astype(np.int32)
