"""How `narrows streams list` calls a stream, by when it was heard of and got its last mask."""

from __future__ import annotations

import pytest

from narrows.client.registry.overview import state_of

NOW_MS = 10_000_000


@pytest.mark.parametrize(
    ("seen_ago_ms", "mask_ago_ms", "state"),
    [
        (NOW_MS, NOW_MS, "new"),
        (100, 200, "live"),
        (100, 29_000, "live"),
        (100, 31_000, "no_masks"),
        (100, NOW_MS, "no_masks"),
        (31_000, 31_100, "silent"),
        (40_000, NOW_MS, "silent"),
    ],
)
def test_a_stream_is_called_by_what_it_gets(seen_ago_ms: int, mask_ago_ms: int, state: str) -> None:
    assert state_of(NOW_MS, NOW_MS - seen_ago_ms, NOW_MS - mask_ago_ms) == state
