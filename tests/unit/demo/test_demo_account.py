"""The demo's account: it adds up only if every frame that was sent ended exactly once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.wire import FrameIdentity, MaskPacket, Refusal, Skip
from narrows.ops.demo.account import StreamAccount, faults


def frame(sequence: int) -> FrameIdentity:
    return FrameIdentity(1, sequence)


def mask(sequence: int) -> MaskPacket:
    return MaskPacket(7, frame(sequence), 0, 0, 100, np.zeros((1, 1), np.uint8), np.ones(1, np.uint32))


def account_of(*sent: int) -> StreamAccount:
    account = StreamAccount()
    for sequence in sent:
        account.journal(frame(sequence), None)
    return account


def test_masks_skips_and_refusals_balance_what_was_sent() -> None:
    account = account_of(0, 1, 2, 3)
    for outcome in (mask(0), Skip(frame(1), "stale"), Refusal("seal", "", frame(2)), Skip(frame(3), "stale")):
        assert account.outcome(outcome)
    assert account.adds_up
    assert account.dropped_by_reason == {"seal": 1, "stale": 2}


def test_a_frame_without_an_outcome_is_unaccounted_and_named() -> None:
    account = account_of(0, 1)
    account.outcome(mask(0))
    assert not account.adds_up
    assert account.unaccounted == [frame(1)]
    assert faults("cam-1", account) == ["cam-1: 1 frame sent and never ended: sequence 1"]


def test_an_outcome_of_a_frame_that_was_never_sent_does_not_make_up_for_a_missing_one() -> None:
    account = account_of(0)
    account.outcome(mask(5))
    assert not account.adds_up
    assert account.strangers == [frame(5)]


def test_a_second_outcome_of_a_frame_is_a_duplicate_and_a_fault() -> None:
    account = account_of(0)
    assert account.outcome(mask(0))
    assert not account.outcome(Skip(frame(0), "stale"))
    assert (account.duplicates, account.dropped_by_reason, account.adds_up) == (1, {}, False)


def test_a_refusal_without_an_identity_is_a_fault() -> None:
    account = account_of()
    account.outcome(Refusal("truncated", "3 bytes"))
    assert not account.adds_up
    assert faults("cam-1", account) == ["cam-1: 1 refusals (truncated) without an identity"]


def test_what_the_camera_gave_up_was_not_sent() -> None:
    account = account_of(1)
    account.journal(frame(0), "queue_full")
    account.outcome(mask(1))
    assert account.adds_up
    assert account.given_up == {"queue_full": 1}


def test_a_mask_is_the_cameras_if_the_journal_says_so_whichever_comes_first() -> None:
    account = account_of(0)
    account.outcome(mask(1))
    account.journal(frame(1), None, own=True)
    account.journal(frame(2), None, own=True)
    account.outcome(Skip(frame(2), "stale"))
    account.outcome(mask(0))
    assert account.masks_made_by == {"camera": 1, "cloud": 1}


@pytest.mark.parametrize("arrived", [True, False])
def test_an_unconfirmed_frame_counts_as_sent_only_if_it_ended(arrived: bool) -> None:  # noqa: FBT001
    account = account_of()
    account.journal(frame(0), "unconfirmed")
    if arrived:
        account.outcome(mask(0))
    assert account.adds_up
    assert len(account.arrived) == int(arrived)


@given(st.lists(st.sampled_from(["mask", "stale", "nothing"]), max_size=40), st.randoms())
def test_whatever_the_order_the_identity_holds_exactly_when_nothing_is_missing(ends: list[str], order: object) -> None:
    account = StreamAccount()
    events: list[tuple[int, str]] = [(i, "sent") for i in range(len(ends))]
    events += [(i, end) for i, end in enumerate(ends) if end != "nothing"]
    order.shuffle(events)  # type: ignore[attr-defined]
    for sequence, event in events:
        if event == "sent":
            account.journal(frame(sequence), None)
        else:
            account.outcome(mask(sequence) if event == "mask" else Skip(frame(sequence), event))
    assert account.adds_up == ("nothing" not in ends)
    assert len(account.unaccounted) == ends.count("nothing")
    assert len(account.arrived) == len(account.masks) + sum(account.dropped_by_reason.values()) + ends.count("nothing")
