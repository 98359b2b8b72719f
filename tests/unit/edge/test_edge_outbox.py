"""The outbox: bounded, oldest out first, every packet's fate told exactly once."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge_client.transport.outbox import (
    EXPIRED,
    OVERTAKEN,
    QUEUE_FULL,
    REFERENCE_DROPPED,
    REFUSED,
    SHUTDOWN,
    UNCONFIRMED,
    FrameRecord,
    Outbox,
    Outgoing,
)

LIMIT = 4


def outgoing(sequence: int, *, predicted: bool = False) -> Outgoing:
    record = FrameRecord(sequence, 1, str(sequence), 0, 10, 0, 1.0, 1.0)
    return Outgoing(record, b"packet", predicted)


class Fates(dict[int, str | None]):
    """Collects fates, refusing a second one."""

    def __call__(self, record: FrameRecord, reason: str | None) -> None:
        assert record.sequence not in self
        self[record.sequence] = reason


def filled(count: int, fates: Fates) -> Outbox:
    outbox = Outbox(LIMIT, fates)
    for sequence in range(count):
        outbox.put(outgoing(sequence))
    return outbox


def test_the_oldest_makes_room() -> None:
    fates = Fates()
    filled(6, fates)
    assert fates == {0: QUEUE_FULL, 1: QUEUE_FULL}


def test_what_is_in_flight_is_not_dropped_until_it_comes_back() -> None:
    fates = Fates()
    outbox = filled(2, fates)
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [0, 1]
    for sequence in range(2, 2 + LIMIT):
        outbox.put(outgoing(sequence))
    assert fates == {}
    outbox.give_back(uncertain=False)
    assert fates == {0: QUEUE_FULL, 1: QUEUE_FULL}


def test_a_packet_that_may_have_arrived_is_not_called_lost() -> None:
    fates = Fates()
    outbox = filled(2, fates)
    outbox.take(1, 0.0)
    outbox.give_back(uncertain=True)
    outbox.abandon()
    assert fates == {0: UNCONFIRMED, 1: SHUTDOWN}


def test_a_packet_that_is_never_taken_takes_those_with_it_that_need_it_and_no_others() -> None:
    fates = Fates()
    outbox = Outbox(LIMIT, fates)
    for sequence in range(4):
        outbox.put(outgoing(sequence, predicted=sequence in (1, 2)))
    outbox.take(1, 0.0)
    outbox.give_back(uncertain=True)  # a try that broke off; yet it is known that it was never taken
    outbox.take(1, 0.0)
    outbox.refused()
    assert fates == {0: REFUSED, 1: REFERENCE_DROPPED, 2: REFERENCE_DROPPED}
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [3]
    outbox.settle()
    outbox.put(outgoing(4))
    outbox.take(1, 0.0)
    outbox.refused()
    assert outbox.chain_broken
    outbox.put(outgoing(5, predicted=True))
    assert fates[5] == REFERENCE_DROPPED


def test_an_answer_after_the_end_counts_no_more() -> None:
    fates = Fates()
    outbox = filled(1, fates)
    outbox.take(1, 0.0)
    outbox.abandon()
    outbox.settle()
    assert fates == {0: UNCONFIRMED}
    assert outbox.sent_or_hopeful == 0


def test_a_dropped_packet_takes_those_with_it_that_need_it() -> None:
    fates = Fates()
    outbox = Outbox(LIMIT, fates)
    for sequence in range(5):
        outbox.put(outgoing(sequence, predicted=sequence not in {0, 3}))
    assert fates == {0: QUEUE_FULL, 1: REFERENCE_DROPPED, 2: REFERENCE_DROPPED}
    assert not outbox.chain_broken
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [3, 4]


def test_a_chain_without_a_key_frame_stays_broken_until_there_is_one() -> None:
    fates = Fates()
    outbox = Outbox(LIMIT, fates)
    for sequence in range(7):
        outbox.put(outgoing(sequence, predicted=sequence != 0))
    assert fates[0] == QUEUE_FULL
    assert {fates[sequence] for sequence in range(1, 7)} == {REFERENCE_DROPPED}
    assert outbox.chain_broken
    outbox.put(outgoing(7))
    outbox.put(outgoing(8, predicted=True))
    assert not outbox.chain_broken
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [7, 8]


class OutboxMachine(RuleBasedStateMachine):
    """Any interleaving of encoder and sender."""

    def __init__(self) -> None:
        super().__init__()
        self.fates = Fates()
        self.outbox = Outbox(LIMIT, self.fates)
        self.put_so_far = 0
        self.predicted: list[bool] = []
        self.flying = 0

    @rule(predicted=st.booleans())
    def put(self, *, predicted: bool) -> None:
        self.outbox.put(outgoing(self.put_so_far, predicted=predicted and self.put_so_far > 0))
        self.predicted.append(predicted and self.put_so_far > 0)
        self.put_so_far += 1

    @rule(most=st.integers(1, 5))
    def take(self, most: int) -> None:
        taken = [item.record.sequence for item in self.outbox.take(most, 0.0)]
        assert taken == sorted(taken)
        self.flying += len(taken)
        assert self.outbox.flying == self.flying
        assert not taken or self.flying <= most

    @rule()
    def settle(self) -> None:
        self.outbox.settle()
        self.flying = max(0, self.flying - 1)

    @rule(uncertain=st.booleans())
    def give_back(self, *, uncertain: bool) -> None:
        self.outbox.give_back(uncertain=uncertain)
        self.flying = 0

    @invariant()
    def is_bounded(self) -> None:
        assert self.outbox.waiting <= LIMIT

    @invariant()
    def adds_up(self) -> None:
        given_up = sum(reason is not None for reason in self.fates.values())
        assert self.outbox.sent_or_hopeful + given_up == self.put_so_far

    @invariant()
    def sends_in_order(self) -> None:
        sent = [sequence for sequence, reason in self.fates.items() if reason is None]
        assert sent == sorted(sent)

    @invariant()
    def sends_no_prediction_without_its_reference(self) -> None:
        sent = {sequence for sequence, reason in self.fates.items() if reason is None}
        assert all(sequence - 1 in sent for sequence in sent if self.predicted[sequence])


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_waited_for_too_long_is_not_sent() -> None:
    fates, clock = Fates(), Clock()
    outbox = Outbox(LIMIT, fates, most_age_s=0.6, monotonic_s=clock)
    outbox.put(outgoing(0))
    clock.now_s += 0.5
    outbox.put(outgoing(1))
    clock.now_s += 0.2
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [1]
    assert fates == {0: EXPIRED}


def test_packets_go_while_no_more_than_the_window_are_on_their_way() -> None:
    outbox = filled(4, Fates())
    size = outgoing(0).size_on_link
    assert len(outbox.take(8, 0.0, window_bytes=0)) == 1, "one goes, however large"
    assert outbox.take(8, 0.0, window_bytes=size - 1) == []
    assert len(outbox.take(8, 0.0, window_bytes=size)) == 1
    outbox.settle()
    assert [item.record.sequence for item in outbox.take(2, 0.0)] == [2], "no more than two are in flight"


def test_packets_are_settled_one_by_one_and_the_rest_comes_back_in_order() -> None:
    fates = Fates()
    outbox = filled(4, fates)
    outbox.take(3, 0.0)
    outbox.settle()
    outbox.give_back(uncertain=True)
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [1, 2, 3]
    assert fates == {0: None}


def test_a_refused_packet_that_another_overtook_is_never_sent_again() -> None:
    fates = Fates()
    outbox = filled(3, fates)
    outbox.take(3, 0.0)
    outbox.overtaken()
    outbox.settle()
    outbox.give_back(uncertain=False)
    assert fates == {0: OVERTAKEN, 1: None}
    assert [item.record.sequence for item in outbox.take(8, 0.0)] == [2]


def test_more_is_coded_only_while_the_oldest_unacknowledged_packet_is_young() -> None:
    clock = Clock()
    outbox = Outbox(LIMIT, Fates(), monotonic_s=clock)
    outbox.put(outgoing(0))
    outbox.take(8, 0.0)
    assert outbox.wait_younger(0.4, 0.0)
    clock.now_s += 0.5
    assert not outbox.wait_younger(0.4, 0.0)
    outbox.settle()
    assert outbox.wait_younger(0.4, 0.0)


def test_how_long_a_packet_is_first_in_line_begins_when_the_one_before_was_acknowledged() -> None:
    clock = Clock()
    outbox = Outbox(LIMIT, Fates(), monotonic_s=clock)
    assert outbox.first_in_line == (0, 0.0)
    clock.now_s += 5.0
    for sequence in range(3):
        outbox.put(outgoing(sequence))
        clock.now_s += 1.0
    size = outgoing(0).size_on_link
    assert outbox.first_in_line == (size, 3.0)
    outbox.take(2, 0.0)
    assert outbox.first_in_line == (size, 3.0)
    outbox.settle()
    clock.now_s += 0.5
    assert outbox.first_in_line == (size, 0.5)
    outbox.give_back(uncertain=True)
    clock.now_s += 2.0
    assert outbox.first_in_line == (size, 2.5), "a connection that breaks is no news of a link that is away"
