"""Which server a batch goes to, and for how long a server is left alone."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import ServiceError
from orchestrator.inference.choice import choose
from orchestrator.inference.endpoint import Connection, Endpoint


@dataclass(frozen=True)
class Standing:
    room: bool = True
    doubtful: bool = False
    outstanding: int = 0
    instances: int = 1
    turn: int = 0


STANDINGS = st.lists(
    st.builds(Standing, st.booleans(), st.booleans(), st.integers(0, 64), st.integers(0, 8), st.integers(0, 99))
)


@given(STANDINGS)
def test_who_is_chosen_has_room_and_nobody_with_room_has_less_work(standings: list[Standing]) -> None:
    chosen = choose(standings)
    able = [each for each in standings if each.room]
    if chosen is None:
        assert not able
        return
    assert chosen.room
    trusted = [each for each in able if not each.doubtful] or able
    assert chosen in trusted
    assert all(
        chosen.outstanding / max(1, chosen.instances) <= each.outstanding / max(1, each.instances) for each in trusted
    )


def test_work_is_shared_out_by_instances_and_among_equals_in_turn() -> None:
    small, large = Standing(outstanding=3), Standing(outstanding=8, instances=4)
    assert choose([small, large]) is large
    last, earlier = Standing(turn=5), Standing(turn=4)
    assert choose([last, earlier]) is earlier


def test_a_server_that_just_failed_a_batch_comes_last_however_idle() -> None:
    idle, busy = Standing(doubtful=True), Standing(outstanding=100)
    assert choose([idle, busy]) is busy
    assert choose([idle]) is idle


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Somewhere:
    """A decoder of which only the connection is wanted."""


def _endpoint(clock: Clock | None = None, most: int = 8) -> Endpoint:
    return Endpoint("a:1", most, clock or Clock())


def _connection() -> Connection:
    return Connection(Somewhere())  # type: ignore[arg-type]


def _free_slots(endpoint: Endpoint) -> int:
    """How many batches it may have until it has no room."""
    lent = 0
    while endpoint.room and endpoint.connection is not None:
        endpoint.connection.lend()
        lent += 1
    return lent


async def test_a_new_server_has_one_batch_until_it_answered_and_then_one_more_than_instances() -> None:
    endpoint = _endpoint()
    assert endpoint.coming
    assert _free_slots(endpoint) == 0
    endpoint.admit(_connection(), instances=3)
    assert _free_slots(endpoint) == 1
    endpoint.answered()
    assert _free_slots(endpoint) == 3


async def test_no_server_has_more_batches_than_slots() -> None:
    endpoint = _endpoint(most=2)
    endpoint.admit(_connection(), instances=7)
    endpoint.answered()
    assert _free_slots(endpoint) == 2


async def test_the_time_apart_doubles_until_a_batch_is_answered() -> None:
    endpoint = _endpoint()
    pauses = []
    for _ in range(8):
        endpoint.admit(_connection(), instances=1)
        endpoint.lose(ServiceError("gone"))
        pauses.append(endpoint.pause_s())
    ceilings = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert all(ceiling / 2 <= pause <= ceiling for pause, ceiling in zip(pauses, ceilings, strict=True))
    assert endpoint.report().ejected
    endpoint.admit(_connection(), instances=1)
    assert not endpoint.report().ejected
    endpoint.answered()
    assert endpoint.pause_s() <= 0.1


async def test_doubt_ends_with_time_or_with_an_answer() -> None:
    clock = Clock()
    endpoint = _endpoint(clock)
    endpoint.admit(_connection(), instances=1)
    endpoint.answered()
    assert not endpoint.refused()
    assert endpoint.doubtful
    clock.now_s += 1.5
    assert not endpoint.doubtful
    endpoint.refused()
    endpoint.answered()
    assert not endpoint.doubtful


async def test_five_failed_batches_in_a_row_are_the_servers_fault_and_one_is_while_it_is_new() -> None:
    endpoint = _endpoint()
    endpoint.admit(_connection(), instances=1)
    assert endpoint.refused()
    endpoint.answered()
    assert [endpoint.refused() for _ in range(5)] == [False] * 4 + [True]
    endpoint.answered()
    assert not endpoint.refused()


async def test_a_draining_server_has_no_room_and_is_not_waited_for() -> None:
    endpoint = _endpoint()
    endpoint.admit(_connection(), instances=1)
    endpoint.draining = True
    assert not any((endpoint.room, endpoint.in_rotation, endpoint.coming, endpoint.report().ready))
