"""The accounts of a chaos run do not balance by themselves."""

from collections import Counter

import pytest

from benchmarks.chaos.fleet import Camera
from benchmarks.chaos.frame_accounting import _line
from benchmarks.chaos.reel import Reel
from narrows.contract.wire import FrameIdentity, Skip
from narrows.contract.wire.outcome import outcome_to_json


def played() -> Camera:
    """Three frames taken, the second sent twice; two masks and a skip were read."""
    ends = {0: ["mask"], 1: ["skipped"], 2: ["mask"]}
    return Camera("cam", 1, taken_s={0: 0.0, 1: 0.1, 2: 0.2}, repeated=1, ends=ends)


BALANCED = {"mask": 2, "skipped": 1, "skipped:stale": 1}


@pytest.mark.parametrize("ledger", [BALANCED, BALANCED | {"duplicate": 1}])
def test_accounts_that_agree_have_no_troubles(ledger: dict[str, int]) -> None:
    assert _line(played(), ledger, left=0, pending=0).troubles == ()


@pytest.mark.parametrize(
    ("ledger", "trouble"),
    [
        (BALANCED | {"mask": 3}, "mask: ledger 3, read 2"),
        (BALANCED | {"mask": 1, "lost": 1}, "1 called lost that were taken"),
        (BALANCED | {"outside": 1}, "1 refused outside the sequence"),
        (BALANCED | {"duplicate": 2}, "2 duplicates, 1 repeated"),
        ({"mask": 2}, "3 sent, 2 in the ledger"),
    ],
)
def test_a_ledger_that_says_otherwise_is_a_trouble(ledger: dict[str, int], trouble: str) -> None:
    assert trouble in _line(played(), ledger, left=0, pending=0).troubles


@pytest.mark.parametrize(
    ("ends", "trouble"),
    [({2: []}, "without an end: [2]"), ({0: ["mask", "mask"]}, "ended twice: [0]"), ({9: ["mask"]}, "never sent: [9]")],
)
def test_an_end_too_few_or_too_many_is_unaccounted(ends: dict[int, list[str]], trouble: str) -> None:
    camera = played()
    camera.ends = {sequence: kinds for sequence, kinds in (camera.ends | ends).items() if kinds}
    line = _line(camera, BALANCED, left=0, pending=0)
    assert line.unaccounted == 1
    assert any(trouble in each for each in line.troubles)


def test_behind_a_cluster_an_acknowledged_frame_may_be_lost_if_the_ledger_counts_it() -> None:
    camera = played()
    del camera.ends[2]
    counted = {"mask": 1, "skipped": 1, "lost": 1}
    line = _line(camera, counted, left=0, pending=0, replicated=True)
    assert (line.troubles, line.lost, line.unaccounted) == ((), 1, 0)
    assert "without an end: [2]" in _line(camera, counted, left=0, pending=0).troubles


@pytest.mark.parametrize(("lost", "ended"), [(0, 2), (2, 4)])
def test_behind_a_cluster_a_loss_too_few_or_too_many_is_a_trouble(lost: int, ended: int) -> None:
    camera = played()
    del camera.ends[2]
    line = _line(camera, {"mask": 1, "skipped": 1, "lost": lost}, left=0, pending=0, replicated=True)
    assert line.unaccounted == 1
    assert line.troubles == (f"1 acknowledged and without an end, {lost} called lost", f"3 sent, {ended} in the ledger")


def test_a_complete_stream_that_lost_a_reference_may_have_frames_refused_for_it() -> None:
    camera = played()
    camera.complete, camera.ends, camera.refusals = True, {0: ["mask"], 1: ["refused"]}, Counter(reference_lost=1)
    ledger = {"mask": 1, "refused": 1, "lost": 1}
    assert _line(camera, ledger, left=0, pending=0, replicated=True).troubles == ()
    camera.refusals = Counter(unknown_bundle=1)
    (trouble,) = _line(camera, ledger, left=0, pending=0, replicated=True).troubles
    assert trouble == "complete, and 1 refused as unknown_bundle"


def test_ends_that_a_failover_undid_are_replaced_by_those_in_redis_and_counted() -> None:
    camera, reel = Camera("cam", 1, taken_s={0: 0.0, 1: 0.1}), Reel((), ())
    skips = [outcome_to_json(Skip(FrameIdentity(1, sequence), "stale")) for sequence in (0, 1)]
    for body in (skips[0], skips[1], skips[1]):
        camera.read_end(b"skipped", body, reel)
    camera.keep([(b"skipped", body) for body in skips], reel)
    assert camera.ends == {0: ["skipped"], 1: ["skipped"]}
    assert camera.rolled_back == 1


def test_what_is_left_in_the_stream_is_a_trouble() -> None:
    assert _line(played(), BALANCED, left=4, pending=0).troubles == ("4 entries left in the stream",)


def test_what_was_never_acknowledged_is_a_trouble() -> None:
    assert _line(played(), BALANCED, left=0, pending=2).troubles == ("2 entries not acknowledged",)


def test_a_mask_that_shows_something_else_is_a_trouble() -> None:
    camera = played()
    camera.wrong.append(2)
    assert _line(camera, BALANCED, left=0, pending=0).troubles == ("masks that show something else: [2]",)


def test_a_complete_stream_without_a_mask_for_each_frame_is_a_trouble() -> None:
    camera = played()
    camera.complete = True
    assert _line(camera, BALANCED, left=0, pending=0).troubles == ("complete, and 1 skipped",)
    camera.ends[1] = ["refused"]
    camera.refusals["reference_lost"] += 1
    (trouble,) = _line(camera, {"mask": 2, "refused": 1}, left=0, pending=0).troubles
    assert trouble == "complete, and 1 refused as reference_lost"
