"""Two commits' coders are timed beside each other on the very same planes."""

from __future__ import annotations

import pytest

from benchmarks.codec.against import compare
from narrows.contract.codec import count_tables
from tests.unit.codec.codec_samples import smooth_planes


def test_another_commit_is_timed_beside_this_one_at_every_level() -> None:
    planes = smooth_planes(3, (4, 9, 14), 1.5, 1)
    tables = count_tables([planes, planes])
    ratios = compare("HEAD", tables, [[tables.silence(plane, level) for plane in planes] for level in (0, 1)], 3)
    assert [each.level for each in ratios] == [0, 1]
    for each in ratios:
        assert each.bits == pytest.approx(1, abs=0.005)
        assert min(each.decode, each.encode) > 0


def test_a_commit_that_is_not_there_is_named() -> None:
    with pytest.raises(SystemExit, match="no-such-commit"):
        compare("no-such-commit", count_tables([smooth_planes(1, (1, 3, 3), 1.0, 1)]), [], 1)
