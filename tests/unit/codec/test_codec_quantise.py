"""Latents to symbols, and the digest of symbols."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.contract.codec import kernel, quantise, symbol_digest
from narrows.contract.errors import FieldInvalid


def test_values_are_scaled_rounded_and_clipped() -> None:
    latent = np.array([[[0.24, -0.26, 0.75, 1e9]], [[0.5, 1.5, -np.inf, np.nan]]], dtype=np.float32)
    symbols = quantise(latent, np.array([2.0, 1.0], dtype=np.float32))
    assert symbols.dtype == np.int8
    assert symbols.tolist() == [[[0, -1, 2, 127]], [[0, 2, -127, 0]]]


def test_gains_that_do_not_fit_are_named() -> None:
    with pytest.raises(FieldInvalid):
        quantise(np.zeros((2, 3, 3), dtype=np.float32), np.ones(3, dtype=np.float32))


def test_the_digest_is_the_crc_of_the_plane_in_channel_order() -> None:
    symbols = np.arange(-60, 60, dtype=np.int8).reshape(2, 6, 10)
    assert symbol_digest(symbols) == zlib.crc32(symbols.tobytes())
    turned = symbols.transpose(0, 2, 1)
    assert symbol_digest(turned) == zlib.crc32(turned.tobytes())


@given(st.integers(0, 20), st.integers(0, 300), st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_every_way_to_a_digest_comes_to_zlibs(begin: int, size: int, seed: int) -> None:
    """Folded, bit by bit, and by zlib where the processor does not fold; wherever they begin, however few they are."""
    symbols = np.random.default_rng(seed).integers(-127, 128, begin + size).astype(np.int8)[begin:]
    expected = zlib.crc32(symbols.tobytes())
    assert symbol_digest(symbols) == expected
    library = kernel.load()
    fast = library.narrows_crc32_fast()
    assert [library.narrows_crc32(symbols.ctypes.data, size, way) for way in (0, fast)] == [expected] * 2


def test_a_processor_that_does_not_fold_has_the_same_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = np.arange(-60, 60, dtype=np.int8).reshape(2, 6, 10)
    before = symbol_digest(symbols)
    monkeypatch.setattr(kernel, "_crc32_is_fast", lambda: False)
    assert symbol_digest(symbols) == before
