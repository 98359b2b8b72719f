"""The window of ended identities as it is read: whatever stands in the hash, readable epochs are read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import RecordError
from narrows.contract.wire.feature import FrameIdentity
from orchestrator.dispatch.window import SPAN, EpochWindow, SeenWindow, epoch_field

GOOD = b"0000000005" + b"9999999999" + bytes([0b101111]) + bytes(SPAN // 8 - 1)


def test_a_window_says_what_has_ended_and_what_is_missing() -> None:
    seen = SeenWindow.parse({epoch_field(7).encode(): GOOD})
    assert [seen.has_ended(FrameIdentity(7, s)) for s in range(7)] == [True, True, True, True, False, True, False]
    assert list(seen.gaps()) == [FrameIdentity(7, 4)]


@pytest.mark.parametrize(
    ("field", "packed"),
    [
        (b"junk", GOOD),
        (b"", GOOD),
        (b"7", GOOD),
        (b"99999999999999999999", GOOD),
        ("\N{ARABIC-INDIC DIGIT ONE}".encode() * 10, GOOD),
        (epoch_field(8).encode(), b""),
        (epoch_field(8).encode(), b"x"),
        (epoch_field(8).encode(), GOOD + b"\0"),
        (epoch_field(8).encode(), GOOD[:-1]),
        (epoch_field(8).encode(), b"-00000000" + GOOD[9:]),
        (epoch_field(8).encode(), b"5000000000" + GOOD[10:]),
        (epoch_field(8).encode(), GOOD[:10] + b"999999999x" + GOOD[20:]),
    ],
)
def test_a_field_that_is_no_window_is_named_and_the_others_are_read(field: bytes, packed: bytes) -> None:
    seen = SeenWindow.parse({field: packed, epoch_field(7).encode(): GOOD})
    assert seen.unreadable == {field}
    assert list(seen.epochs) == [7]


@given(st.binary(max_size=160) | st.binary(min_size=128, max_size=128).map(lambda bits: b"0" * 20 + bits))
def test_any_bytes_are_a_window_or_a_named_error(packed: bytes) -> None:
    try:
        window = EpochWindow.parse(packed)
    except RecordError:
        return
    assert len(window.gaps()) <= SPAN
