"""The accounts of a chaos run do not balance by themselves."""

import pytest

from benchmarks.chaos.fleet import Camera
from benchmarks.chaos.frame_accounting import _line


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
