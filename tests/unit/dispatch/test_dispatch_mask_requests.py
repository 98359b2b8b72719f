"""Who is asked to make masks: before frames are shed, no more than is needed, and not for longer. The clock is ours."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.wire import Sends
from orchestrator.dispatch.mask_requests import ENOUGH_LOAD, FULL_LOAD, Candidate, MaskRequests

CAMERA = Candidate(10.0, able=True, makes_masks=False)
FOUR = dict.fromkeys("abcd", CAMERA)
MASKS = Sends.MASKS


def fleet_at(requests: MaskRequests, load: float, begin_s: float, seconds: int) -> list[int]:
    """How many of four cameras that obey are asked, second by second; ``load`` is of all four as features."""
    counts = []
    for second in range(seconds):
        streams = {name: replace(CAMERA, makes_masks=name in requests.asked) for name in FOUR}
        counts.append(len(requests.decide(streams, load, begin_s + second)))
    return counts


def test_nobody_is_asked_while_the_decoders_keep_up() -> None:
    assert set(fleet_at(MaskRequests(), FULL_LOAD, 0.0, 60)) == {0}


def test_under_overload_as_many_are_asked_as_make_the_load_bearable() -> None:
    assert fleet_at(MaskRequests(), 1.2, 0.0, 60) == [0] + [2] * 59
    assert 1.2 * 2 / 4 <= ENOUGH_LOAD < 1.2 * 3 / 4


def test_a_peak_of_less_than_a_second_asks_nobody() -> None:
    requests = MaskRequests()
    looks = ((0.0, 1.2), (0.9, 1.2), (1.0, 0.5), (1.9, 1.2))
    assert not any(requests.decide(FOUR, load, at) for at, load in looks)


def test_the_ask_ends_one_by_one_as_the_load_falls() -> None:
    requests = MaskRequests()
    fleet_at(requests, 1.2, 0.0, 10)
    counts = fleet_at(requests, 0.6, 10.0, 30)
    assert counts == [2] * 10 + [1] * 10 + [0] * 10


def test_between_full_and_enough_nothing_changes() -> None:
    requests = MaskRequests()
    fleet_at(requests, 1.2, 0.0, 10)
    assert set(fleet_at(requests, 1.2, 10.0, 100)) == {2}
    assert set(fleet_at(requests, 0.95, 110.0, 100)) == {2}


def test_the_busiest_are_asked_first_and_those_that_cannot_never() -> None:
    streams = {
        "slow": replace(CAMERA, frames_per_s=1.0),
        "busy": replace(CAMERA, frames_per_s=40.0),
        "weak": replace(CAMERA, frames_per_s=60.0, able=False),
        "many": replace(CAMERA, frames_per_s=60.0, outputs=2),
    }
    requests = MaskRequests()
    requests.decide(streams, 0.9, 0.0)
    assert requests.decide(streams, 0.9, 1.0) == {"busy": MASKS}


def test_the_load_of_those_that_were_asked_is_not_asked_for_twice() -> None:
    requests = MaskRequests()
    requests.decide(FOUR, 1.2, 0.0)
    assert len(requests.decide(FOUR, 1.2, 1.0)) == 2
    assert len(requests.decide(FOUR, 1.2, 2.0)) == 2  # they have not followed yet


def test_a_camera_that_says_it_can_and_sends_features_all_the_same_spares_nobody() -> None:
    """Else the busiest stream that lies keeps all others from being asked, and their frames are shed instead."""
    streams = FOUR | {"liar": replace(CAMERA, frames_per_s=200.0)}
    requests = MaskRequests()
    for second in range(5):
        asked = requests.decide(streams, 1.8, float(second))
        assert set(asked) <= {"liar"}  # it may still follow
    for second in range(5, 10):
        now = {name: replace(each, makes_masks=name in asked and name != "liar") for name, each in streams.items()}
        asked = requests.decide(now, 1.8, float(second))
    assert set(asked) == set(streams)


def test_a_bundle_that_answers_more_gets_features_back() -> None:
    requests = MaskRequests()
    makes = replace(CAMERA, makes_masks=True)
    told = replace(makes, able=False, outputs=2)
    assert requests.decide({"a": replace(makes, outputs=2), "b": makes, "c": told}, 0.1, 0.0) == {"a": Sends.FEATURES}


def test_a_camera_that_went_is_asked_no_more() -> None:
    requests = MaskRequests()
    fleet_at(requests, 1.2, 0.0, 5)
    assert requests.decide({"d": replace(CAMERA, able=False)}, 1.2, 5.0) == {}
    assert requests.asked == frozenset()


@given(
    st.dictionaries(
        st.text("abcdef", min_size=1, max_size=2),
        st.builds(Candidate, st.floats(0, 200), st.booleans(), st.booleans(), st.integers(1, 3)),
    ),
    st.lists(st.tuples(st.floats(0, 20), st.floats(0, 30)), max_size=20),
)
def test_only_those_that_can_are_asked(streams: dict[str, Candidate], looks: list[tuple[float, float]]) -> None:
    requests, now_s = MaskRequests(), 0.0
    for load, elapsed_s in looks:
        now_s += elapsed_s
        for name, sends in requests.decide(streams, load, now_s).items():
            assert streams[name].able
            assert (streams[name].outputs == 1) is (sends is MASKS)
