"""Principal components of what crosses at a cut, where distance is weighed by what the answer hangs on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_WEIGHT = 0.05
"""Of the mean weight of a direction: on a few pictures some seem not to matter that matter on others."""
Metric = NDArray[np.float64]
"""``(C, C)``, symmetric: distances are those of what it makes of the channels."""


def root_of_moments(gradients: NDArray[Any]) -> Metric:
    """The metric of gradients ``(C, places)``: the root of their second moments, whose mean weight is 1."""
    channels = len(gradients)
    moments = gradients @ gradients.T
    moments = moments * (channels / max(float(np.trace(moments)), 1e-30)) + _LEAST_WEIGHT * np.eye(channels)
    values, vectors = np.linalg.eigh(moments)
    root: Metric = (vectors * np.sqrt(np.maximum(values, _LEAST_WEIGHT))) @ vectors.T
    return root


def components(
    planes: NDArray[Any], count: int, stride: int, noise: float
) -> tuple[Metric, NDArray[np.float64], float]:
    """Of patches of ``stride`` by ``stride``: rows of the basis ``(k, C·s·s)``, the mean, the step of whole numbers.

    Args:
        planes: ``(N, C, H, W)``, of sides that the stride divides.
        count: of rows, at most.
        stride: side of a patch.
        noise: share of the variance that rounding to whole numbers adds.
    """
    n, c, h, w = planes.shape
    parted = planes.astype(np.float64).reshape(n, c, h // stride, stride, w // stride, stride)
    patches = parted.transpose(0, 2, 4, 1, 3, 5).reshape(-1, c * stride**2)
    mean = patches.mean(axis=0)
    covariance = np.cov(patches - mean, rowvar=False).reshape(c * stride**2, -1)
    _, values, basis = np.linalg.svd(covariance, hermitian=True)
    rows = basis[:count]
    unit = float(np.sqrt(12 * noise * max(values[:count].sum(), 1e-12) / len(rows)))
    return rows, mean, unit
