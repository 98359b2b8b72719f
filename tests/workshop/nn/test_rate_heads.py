"""Heads of the rate table learn from the symbols that a decoder gets, at the gains of the level."""

import numpy as np
import pytest
import torch

from benchmarks.rate.heads import dequantised


def test_a_head_sees_whole_symbols_scaled_back_by_their_levels_gain() -> None:
    latent = np.random.default_rng(1).normal(0, 40, (2, 3, 4, 5)).astype(np.float32)
    gain = torch.tensor([[1.0, 0.5, 8.0], [0.25, 2.0, 1.0]])
    seen = dequantised(latent, gain)
    symbols = seen * gain[:, :, None, None]
    assert torch.allclose(symbols, symbols.round(), atol=1e-4)
    assert float(symbols.abs().max()) == pytest.approx(127)
    within = (torch.from_numpy(latent) * gain[:, :, None, None]).abs() < 127
    error = (seen - torch.from_numpy(latent)).abs() * gain[:, :, None, None]
    assert float(error[within].max()) <= 0.5 + 1e-4
