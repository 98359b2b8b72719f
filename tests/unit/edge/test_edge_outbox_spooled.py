"""The outbox with a spool behind it: nothing is dropped, nothing overtakes, nothing is told of twice."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_client.spool import Keep, Spool
from edge_client.transport.outbox import REFERENCE_DROPPED, REFUSED, FrameRecord, Outbox
from edge_client.transport.spooled_outbox import SPOOL_FAILED, SPOOL_FULL, SpooledOutbox
from tests.unit.edge.frames import frame, none_lost

LIMIT = 4
Fates = dict[int, str | None]


@pytest.fixture(scope="module", autouse=True)
def unsynced() -> Iterator[None]:
    """What a sync does to a disk cannot be seen here; it costs minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        yield


def outbox_on(
    folder: Path, fates: Fates, limit_bytes: int = 1 << 20, keep: Keep = Keep.NEWEST
) -> tuple[SpooledOutbox, Spool]:
    def fate(record: FrameRecord, reason: str | None) -> None:
        assert record.sequence not in fates
        fates[record.sequence] = reason

    spool = Spool(folder, limit_bytes, keep, lambda: 0.0, none_lost)
    return SpooledOutbox(LIMIT, fate, spool), spool


def send_all(outbox: Outbox) -> list[int]:
    sent = []
    while batch := outbox.take(3, 0.0):
        sent += [item.record.sequence for item in batch]
        for _ in batch:
            outbox.settle()
    return sent


def test_what_does_not_fit_the_queue_goes_to_disk_and_leaves_in_order(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, spool = outbox_on(tmp_path, fates)
    for sequence in range(20):
        outbox.put(frame(sequence))
    assert (outbox.waiting, spool.unread) == (20, 20)
    assert send_all(outbox) == list(range(20))
    assert fates == dict.fromkeys(range(20))
    assert spool.size_bytes == 0
    outbox.put(frame(20))
    assert spool.unread == 0, "with an empty spool the disk is left alone"


def test_a_packet_that_is_never_taken_does_not_block_the_spool(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, spool = outbox_on(tmp_path, fates)
    for sequence in range(12):
        outbox.put(frame(sequence, predicted=sequence in (1, 2, 3, 4, 6, 7)))
    outbox.link_failed()
    assert [item.record.sequence for item in outbox.take(1, 0.0)] == [0]
    outbox.refused()
    assert send_all(outbox) == [5, 6, 7, 8, 9, 10, 11]
    assert {sequence: reason for sequence, reason in fates.items() if reason} == {
        0: REFUSED,
        **dict.fromkeys((1, 2, 3, 4), REFERENCE_DROPPED),
    }
    assert spool.size_bytes == 0


def test_a_link_that_fails_sends_what_waits_to_disk_and_asks_for_a_key_frame(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, spool = outbox_on(tmp_path, fates)
    for sequence in range(3):
        outbox.put(frame(sequence, predicted=sequence > 0))
    outbox.take(1, 0.0)
    outbox.settle()
    assert not outbox.chain_broken
    outbox.link_failed()
    assert spool.unread == 2
    assert outbox.chain_broken, "what lies on disk should begin with a K soon"
    outbox.put(frame(3))
    assert not outbox.chain_broken
    assert send_all(outbox) == [1, 2, 3]


def test_what_is_in_flight_is_not_forgotten_on_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, spool = outbox_on(tmp_path, fates)
    outbox.link_failed()
    for sequence in range(8):
        outbox.put(frame(sequence))
    outbox.take(3, 0.0)
    outbox.settle()
    outbox.abandon()
    spool.close()
    assert fates == {0: None}
    assert send_all(outbox_on(tmp_path, fates)[0]) == list(range(1, 8))


def test_what_is_in_flight_when_the_disk_takes_over_stays_the_oldest(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, _ = outbox_on(tmp_path, fates)
    outbox.put(frame(0))
    outbox.put(frame(1))
    outbox.take(2, 0.0)
    for sequence in range(2, 9):
        outbox.put(frame(sequence))
    outbox.give_back(uncertain=True)
    outbox.link_failed()
    outbox.abandon()
    assert fates == {}
    assert send_all(outbox_on(tmp_path, fates)[0]) == list(range(9))


def test_the_end_of_a_program_leaves_what_waits_for_the_next_one(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, spool = outbox_on(tmp_path, fates)
    outbox.put(frame(0))
    outbox.put(frame(1))
    outbox.take(1, 0.0)
    outbox.abandon()
    outbox.settle()
    spool.close()
    assert fates == {}
    again, resumed = outbox_on(tmp_path, fates)
    assert resumed.resumed == 2
    assert again.sent_or_hopeful == 0, "what a run before took is not this run's"
    again.put(frame(2, epoch=2))
    assert again.sent_or_hopeful == 1
    assert send_all(again) == [0, 1, 2]


def test_a_resumed_spool_without_a_key_frame_is_dropped_and_forgotten(tmp_path: Path) -> None:
    fates: Fates = {}
    outbox, spool = outbox_on(tmp_path, fates)
    outbox.put(frame(0, predicted=True))
    outbox.abandon()
    spool.close()
    again, spool = outbox_on(tmp_path, fates)
    assert again.take(8, 0.0) == []
    assert fates == {0: REFERENCE_DROPPED}
    spool.close()
    assert outbox_on(tmp_path, fates)[1].resumed == 0


@pytest.mark.parametrize("keep", Keep)
def test_a_full_spool_drops_by_policy(tmp_path: Path, keep: Keep) -> None:
    fates: Fates = {}
    outbox, _ = outbox_on(tmp_path, fates, 4000, keep)
    outbox.link_failed()
    for sequence in range(100):
        outbox.put(frame(sequence))
    dropped = sorted(fates)
    assert set(fates.values()) == {SPOOL_FULL}
    sent = send_all(outbox)
    assert sorted(sent + dropped) == list(range(100))
    assert (max(dropped) < min(sent)) == (keep is Keep.NEWEST)
    assert (min(dropped) > max(sent)) == (keep is Keep.OLDEST)


def test_a_disk_that_refuses_is_a_reason_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fates: Fates = {}
    outbox, _ = outbox_on(tmp_path, fates)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for sequence in range(6):
        outbox.put(frame(sequence))
    assert fates == dict.fromkeys(range(5), SPOOL_FAILED)
    assert outbox.chain_broken is False, "the sixth is a K and waits in memory"
    outbox.abandon()
    assert fates[5] == SPOOL_FAILED
    monkeypatch.undo()


class SpooledOutboxMachine(RuleBasedStateMachine):
    """Any interleaving of encoder, sender, lost links and restarts, with room for every frame."""

    def __init__(self) -> None:
        super().__init__()
        self.fates: Fates = {}
        self.folder = tempfile.TemporaryDirectory()
        self.outbox, self.spool = outbox_on(Path(self.folder.name), self.fates)
        self.predicted: list[bool] = []
        self.epochs: list[int] = []
        self.epoch = 1
        self.flying = 0

    def teardown(self) -> None:
        for _ in range(self.flying):
            self.outbox.settle()
        send_all(self.outbox)
        assert set(self.fates) == set(range(len(self.predicted)))
        assert set(self.fates.values()) <= {None, REFERENCE_DROPPED}
        self.sends_in_order()
        self.sends_no_prediction_without_its_reference()
        self.spool.close()
        self.folder.cleanup()

    @rule(predicted=st.booleans())
    def put(self, *, predicted: bool) -> None:
        sequence = len(self.predicted)
        predicted = predicted and sequence > 0 and self.epochs[-1] == self.epoch
        self.outbox.put(frame(sequence, predicted=predicted, epoch=self.epoch))
        self.predicted.append(predicted)
        self.epochs.append(self.epoch)

    @rule(most=st.integers(1, 3))
    def take(self, most: int) -> None:
        self.flying += len(self.outbox.take(most, 0.0))
        assert self.outbox.flying == self.flying <= 3

    @rule()
    def settle(self) -> None:
        self.outbox.settle()
        self.flying = max(0, self.flying - 1)

    @rule(uncertain=st.booleans())
    def give_back(self, *, uncertain: bool) -> None:
        self.outbox.give_back(uncertain=uncertain)
        self.flying = 0

    @rule()
    def link_failed(self) -> None:
        self.outbox.link_failed()

    @rule()
    def restart(self) -> None:
        self.outbox.abandon()
        self.spool.close()
        self.outbox, self.spool = outbox_on(Path(self.folder.name), self.fates)
        self.flying = 0
        self.epoch += 1

    @invariant()
    def is_bounded_in_memory(self) -> None:
        assert self.outbox.waiting - self.spool.unread <= LIMIT + 3

    @invariant()
    def sends_in_order(self) -> None:
        sent = [sequence for sequence, reason in self.fates.items() if reason is None]
        assert sent == sorted(sent)

    @invariant()
    def sends_no_prediction_without_its_reference(self) -> None:
        sent = {sequence for sequence, reason in self.fates.items() if reason is None}
        assert all(sequence - 1 in sent for sequence in sent if self.predicted[sequence])


TestSpooledOutboxMachine = SpooledOutboxMachine.TestCase
TestSpooledOutboxMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
