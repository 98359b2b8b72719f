"""What a control record can make a camera do, and what it cannot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_client.rate.steering import Choice, steer
from narrows.contract.wire import Control

OWN = Choice(level=2, frames_per_s=10.0)


def test_without_a_record_the_camera_decides_alone() -> None:
    assert steer(OWN, None, levels=5) == OWN
    assert steer(OWN, Control(), levels=5) == OWN


def test_a_level_beyond_the_bundle_means_its_coarsest() -> None:
    assert steer(OWN, Control(level=200), levels=5).level == 4


def test_a_finer_level_may_be_asked_for() -> None:
    assert steer(OWN, Control(level=0), levels=5).level == 0


def test_a_frame_rate_is_a_cap_and_never_a_spur() -> None:
    assert steer(OWN, Control(frames_per_s=4.0), levels=5).frames_per_s == 4.0
    assert steer(OWN, Control(frames_per_s=60.0), levels=5).frames_per_s == 10.0


controls = st.builds(
    Control,
    level=st.none() | st.integers(0, 255),
    frames_per_s=st.none() | st.floats(0.01, 240.0),
    key_request=st.integers(0, 0xFFFFFFFF),
)


@given(control=controls, levels=st.integers(3, 256))
def test_whatever_is_asked_the_choice_can_be_coded_and_paced(control: Control, levels: int) -> None:
    choice = steer(OWN, Control.parse(control.to_json()), levels)
    assert 0 <= choice.level < levels
    assert 0 < choice.frames_per_s <= OWN.frames_per_s
