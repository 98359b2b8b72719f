"""The benchmark's rival codes the very same thing: same contexts, same tables, same values."""

from __future__ import annotations

import numpy as np

from benchmarks.codec.numpy_contexts import table_indices
from benchmarks.codec.rivals import through_constriction
from narrows.contract.codec import count_tables, ideal_bits
from narrows.contract.codec.clustering import price_of
from tests.unit.codec.codec_samples import arbitrary_tables, smooth_planes


def test_contexts_in_numpy_name_the_tables_that_the_kernel_uses() -> None:
    chance = np.random.default_rng(1)
    for seed in range(20):
        tables = arbitrary_tables(seed, 4, predicted=False)
        plane = tables.silence(chance.integers(-40, 41, (4, 7, 9)).astype(np.int8), 0)
        which, indices = table_indices(plane, tables, 0)
        prices = np.stack([price_of(table) for table in tables.by_level[0].frequencies])
        assert np.isclose(prices[which, indices].sum(), ideal_bits(plane, tables, 0))


def test_the_rival_decodes_what_it_encoded() -> None:
    planes = smooth_planes(6, (5, 12, 10), 2.0, 1)
    tables = count_tables([planes[:3]])
    given, _ = through_constriction([tables.silence(plane, 0) for plane in planes], tables, 0)
    assert given.decode is not None
    for coded in given.subjects:
        assert np.array_equal(given.decode(given.encode(coded)), coded[1])
