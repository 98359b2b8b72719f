"""What an automatic camera sends: the documented rule, reason by reason, and its hysteresis, by a clock that moves."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_client.masks.rule import HOLD_S, LONGEST_HOLD_S, Reason, SendChooser, Situation, Verdict, decide
from narrows.contract.wire import Sends

FEATURES, MASKS = Sends.FEATURES, Sends.MASKS
GOOD = Situation(
    packet_format=2,
    asked=None,
    outputs=1,
    frames_per_s=10.0,
    device_s=0.06,
    link_bytes_per_s=100_000.0,
    features_bytes=1900.0,
    mask_bytes=700.0,
)
THIN = replace(GOOD, link_bytes_per_s=10_000.0)


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict(FEATURES, Reason.CLOUD)),
        ({"link_bytes_per_s": 10_000.0}, Verdict(MASKS, Reason.LINK)),
        ({"link_bytes_per_s": 10_000.0, "mask_bytes": 2000.0}, Verdict(FEATURES, Reason.CLOUD)),
        ({"link_bytes_per_s": 10_000.0, "mask_bytes": math.inf}, Verdict(FEATURES, Reason.CLOUD)),
        ({"link_bytes_per_s": 10_000.0, "outputs": 2}, Verdict(FEATURES, Reason.OUTPUTS)),
        ({"asked": MASKS}, Verdict(MASKS, Reason.ASKED)),
        ({"asked": MASKS, "outputs": 2}, Verdict(MASKS, Reason.ASKED)),
        ({"asked": FEATURES, "link_bytes_per_s": 10.0}, Verdict(FEATURES, Reason.ASKED)),
        ({"asked": MASKS, "device_s": 0.08}, Verdict(FEATURES, Reason.DEVICE)),
        ({"asked": MASKS, "packet_format": 1}, Verdict(FEATURES, Reason.PACKET_FORMAT)),
        ({"device_s": 1.0, "packet_format": 1}, Verdict(FEATURES, Reason.PACKET_FORMAT)),
        ({"link_bytes_per_s": math.inf}, Verdict(FEATURES, Reason.CLOUD)),
    ],
)
def test_the_first_reason_that_holds_decides(changes: dict[str, Any], verdict: Verdict) -> None:
    assert decide(replace(GOOD, **changes), FEATURES) == verdict


def test_a_device_that_makes_masks_is_given_some_leeway() -> None:
    wavering = replace(GOOD, asked=MASKS, device_s=0.085)
    assert decide(wavering, FEATURES).sends is FEATURES
    assert decide(wavering, MASKS).sends is MASKS
    assert decide(replace(wavering, device_s=0.095), MASKS) == (FEATURES, Reason.DEVICE)


def test_features_begin_again_only_on_a_link_with_room_to_spare() -> None:
    wavering = replace(GOOD, link_bytes_per_s=20_000.0)
    assert decide(wavering, FEATURES).sends is FEATURES
    assert decide(wavering, MASKS).sends is MASKS
    assert decide(replace(wavering, link_bytes_per_s=24_000.0), MASKS).sends is FEATURES


def test_what_the_link_says_must_hold_for_a_while() -> None:
    chooser = SendChooser()
    assert [chooser.choose(THIN, at).sends for at in (100.0, 102.0, 104.9)] == [FEATURES] * 3
    assert chooser.choose(THIN, 105.0) == (MASKS, Reason.LINK)
    assert HOLD_S == 5.0


def test_a_dip_of_the_link_changes_nothing() -> None:
    chooser = SendChooser()
    chooser.choose(THIN, 100.0)
    chooser.choose(GOOD, 104.0)
    assert [chooser.choose(THIN, at).sends for at in (105.0, 109.0)] == [FEATURES] * 2
    assert chooser.choose(THIN, 110.0).sends is MASKS


@pytest.mark.parametrize(("changes", "reason"), [({"asked": MASKS}, Reason.ASKED), ({"asked": FEATURES}, Reason.ASKED)])
def test_what_is_asked_is_done_at_once(changes: dict[str, Any], reason: Reason) -> None:
    chooser = SendChooser()
    if changes["asked"] is FEATURES:
        chooser.choose(replace(GOOD, asked=MASKS), 0.0)
    assert chooser.choose(replace(GOOD, **changes), 0.1) == (changes["asked"], reason)


@pytest.mark.parametrize("changes", [{"packet_format": 1}, {"device_s": 0.2}])
def test_what_cannot_be_sent_is_not_sent_for_a_frame_longer(changes: dict[str, Any]) -> None:
    chooser = SendChooser()
    assert chooser.choose(replace(GOOD, asked=MASKS), 0.0).sends is MASKS
    assert chooser.choose(replace(GOOD, asked=MASKS, **changes), 0.1).sends is FEATURES


def changes_within(period_s: float, seconds: int) -> int:
    """How often a chooser changes on a link that is thin and wide in turn."""
    chooser, before, changes = SendChooser(), FEATURES, 0
    for tenth in range(10 * seconds):
        at = tenth / 10
        verdict = chooser.choose(THIN if (at // period_s) % 2 == 0 else GOOD, at)
        changes += verdict.sends is not before
        before = verdict.sends
    return changes


def test_a_link_that_swings_is_followed_less_and_less() -> None:
    assert changes_within(8.0, 600) <= 4
    assert changes_within(200.0, 2000) >= 8
    assert LONGEST_HOLD_S == 80.0


@given(
    st.integers(1, 3),
    st.sampled_from([None, FEATURES, MASKS]),
    st.integers(1, 4),
    st.floats(0.01, 240),
    st.floats(0, 10),
    st.floats(0, 1e9),
    st.floats(1, 1e6),
    st.floats(1, 1e6),
    st.sampled_from([FEATURES, MASKS]),
)
def test_masks_never_travel_where_they_cannot_be_read_or_made(
    packet_format: int,
    asked: Sends | None,
    outputs: int,
    frames_per_s: float,
    device_s: float,
    link: float,
    features: float,
    mask: float,
    now: Sends,
) -> None:
    situation = Situation(packet_format, asked, outputs, frames_per_s, device_s, link, features, mask)
    if decide(situation, now).sends is MASKS:
        assert packet_format >= 2
        assert device_s * frames_per_s <= 0.9
        assert asked is MASKS or (outputs == 1 and mask < features)
