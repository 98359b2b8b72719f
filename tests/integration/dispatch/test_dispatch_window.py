"""The finishing script against a plain model: whatever the order, each identity ends once."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrows.contract.wire import FrameIdentity, ShardKeys, StreamKeys
from narrows.runtime.redis.store import pairs
from orchestrator.dispatch import Store
from orchestrator.dispatch.scripts import CLOSE_GAPS, FINISH
from orchestrator.dispatch.window import SPAN, SeenWindow, epoch_field
from orchestrator.servers import LocalRedis

KEYS, SHARD = StreamKeys("cam", 0), ShardKeys(0)
UNKEPT = ("cam", "", "", 1, 1, "", "", 0)


def of_all(token: str) -> tuple[str | int, ...]:
    return (token, "narrows", 100000, 60000, 10, 0, 0, 0, 1 << 20)


class Model:
    """What should happen, said plainly."""

    def __init__(self) -> None:
        self.ended: dict[int, set[int]] = {}
        self.lost = 0

    def finish(self, identity: FrameIdentity) -> str:
        if identity.epoch not in self.ended:
            if len(self.ended) == 4:
                lowest = min(self.ended)
                if identity.epoch < lowest:
                    return "stale"
                gone = self.ended.pop(lowest)
                self.lost += max(gone) + 1 - len(gone)
            self.ended[identity.epoch] = set()
        ended = self.ended[identity.epoch]
        if identity.sequence in ended:
            return "duplicate"
        ended.add(identity.sequence)
        below = set(range(max(ended) - SPAN + 1)) - ended
        ended |= below
        self.lost += len(below)
        return "finished"


async def finish(store: Store, identity: FrameIdentity, token: str = "1") -> tuple[str, int]:
    entry = await store.call("XADD", KEYS.features, "*", "p", "x")
    keys = [SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.seen, KEYS.ledger, SHARD.dead, KEYS.chain, KEYS.contexts]
    place = (epoch_field(identity.epoch), identity.sequence)
    ((verdict, lost),) = await store.run(FINISH, keys, *of_all(token), entry, "mask", "m", "", *place, *UNKEPT)
    return verdict.decode(), int(lost)


IDENTITIES = st.lists(
    st.builds(FrameIdentity, st.integers(1, 6), st.integers(0, 40) | st.sampled_from([1023, 1024, 1025, 1060, 2200])),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(IDENTITIES)
def test_every_identity_ends_once_and_the_ledger_counts_each(
    server: LocalRedis, identities: list[FrameIdentity]
) -> None:
    asyncio.run(_compare(server, identities))


async def _compare(server: LocalRedis, identities: list[FrameIdentity]) -> None:
    store, model, published = Store.connect(server.url), Model(), 0
    await store.call("FLUSHALL")
    await store.call("SET", SHARD.fence, "1")
    for identity in identities:
        before = model.lost
        expected = model.finish(identity)
        assert await finish(store, identity) == (expected, model.lost - before)
        published += expected == "finished"
    seen = SeenWindow.parse(await store.hash_of(KEYS.seen))
    ledger = await store.hash_of(KEYS.ledger)
    assert await store.call("XLEN", KEYS.outcomes) == published == int(ledger.get(b"mask", 0))
    assert int(ledger.get(b"lost", 0)) == model.lost
    for epoch, ended in model.ended.items():
        assert [gap.sequence for gap in seen.gaps() if gap.epoch == epoch] == sorted(set(range(max(ended))) - ended)
    await store.close()


async def test_the_accounts_of_two_thousand_frames_with_gaps_and_epochs_are_those_of_the_model(store: Store) -> None:
    """Losses are counted wherever they lie: below the window, at its edge, in one leap over it, in an epoch evicted."""
    await store.call("SET", SHARD.fence, "1")
    model = Model()
    sent = [FrameIdentity(1, n) for n in range(2_300) if n % 7 and not 1_100 <= n < 1_200]
    sent += [FrameIdentity(2, n) for n in (0, 5, 1_500, 1_501, 3_600)]
    sent += [FrameIdentity(epoch, 3) for epoch in (3, 4, 5, 6)]
    for identity in sent:
        before = model.lost
        assert await finish(store, identity) == (model.finish(identity), model.lost - before), identity
    assert await store.hash_of(KEYS.ledger) == {b"mask": b"%d" % len(sent), b"lost": b"%d" % model.lost}
    # Of epochs 1 and 2, which were evicted, whatever never came was lost.
    assert model.lost == 2_300 - sum(i.epoch == 1 for i in sent) + 3_601 - sum(i.epoch == 2 for i in sent)
    assert await store.call("XLEN", KEYS.outcomes) == len(sent)


MINUTE = 60 * 240
"""What a stream of which nothing is known may have filmed, at the 240 frames/s that a camera takes at most."""


async def _books(store: Store) -> tuple[int, int]:
    ledger = await store.hash_of(KEYS.ledger)
    return int(ledger.get(b"lost", 0)), int(ledger.get(b"implausible", 0))


async def test_no_more_frames_are_called_lost_than_a_camera_can_have_filmed(store: Store) -> None:
    """Fresh epochs that begin far on, and leaps within one: what no camera can have filmed is named, and not lost."""
    await store.call("SET", SHARD.fence, "1")
    sent = [FrameIdentity(epoch, (1 << 20) - 1) for epoch in range(1, 9)] + [FrameIdentity(8, (1 << 21) - 1)]
    answered = [await finish(store, identity) for identity in sent]
    assert [verdict for verdict, _ in answered] == ["finished"] * len(sent)
    lost, implausible = await _books(store)
    assert sum(number for _, number in answered) == lost
    assert MINUTE <= lost < 3 * MINUTE  # and what a slow run of this test gives it
    seen = SeenWindow.parse(await store.hash_of(KEYS.seen))
    places = 7 * (1 << 20) + (1 << 21)
    assert lost + implausible == places - len(sent) - len(list(seen.gaps()))
    assert sorted(seen.epochs) == [5, 6, 7, 8]
    assert not seen.unreadable


async def test_what_a_camera_can_have_filmed_since_is_lost(store: Store) -> None:
    """Nothing came for ten minutes: a gap of as many frames as ten minutes have is believed, once."""
    await store.call("SET", SHARD.fence, "1")
    await finish(store, FrameIdentity(1, 0))
    ten_minutes_ago_ms = int(await store.time_ms()) - 600_000
    await store.call("HSET", KEYS.seen, "loss_credit_ms", ten_minutes_ago_ms)
    assert await finish(store, FrameIdentity(1, 10 * MINUTE)) == ("finished", 10 * MINUTE - SPAN)
    assert (await finish(store, FrameIdentity(1, 20 * MINUTE)))[1] < MINUTE
    lost, implausible = await _books(store)
    assert lost + implausible == 20 * MINUTE - SPAN - 1


async def test_gaps_that_are_closed_count_by_the_same_measure(store: Store) -> None:
    await store.call("SET", SHARD.fence, "1")
    await finish(store, FrameIdentity(1, 900))
    an_hour_on_ms = int(await store.time_ms()) + 3_600_000  # the clock was set back since
    await store.call("HSET", KEYS.seen, "loss_credit_ms", an_hour_on_ms)
    close = [SHARD.fence, KEYS.seen, KEYS.ledger]
    closed = int(await store.run(CLOSE_GAPS, close, "1", epoch_field(1), *range(900)))
    assert closed < 240
    assert await _books(store) == (closed, 900 - closed)
    assert list(SeenWindow.parse(await store.hash_of(KEYS.seen)).gaps()) == []


async def test_an_older_token_changes_nothing(store: Store) -> None:
    await store.call("SET", SHARD.fence, "2")
    assert await finish(store, FrameIdentity(1, 0), token="1") == ("fenced", 0)
    assert await store.call("XLEN", KEYS.features) == 1
    assert await store.run(CLOSE_GAPS, [SHARD.fence, KEYS.seen, KEYS.ledger], "1", epoch_field(1), 0) == -1
    assert await store.call("EXISTS", KEYS.outcomes, KEYS.seen, KEYS.ledger) == 0


async def test_an_entry_that_already_ended_changes_nothing(store: Store) -> None:
    await store.call("SET", SHARD.fence, "1")
    keys = [SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.seen, KEYS.ledger, SHARD.dead, KEYS.chain, KEYS.contexts]
    entry = await store.call("XADD", KEYS.features, "*", "p", "x")
    for expected in (b"finished", b"again"):
        ((verdict, _),) = await store.run(FINISH, keys, *of_all("1"), entry, "refused", "{}", "packet", "", "", *UNKEPT)
        assert verdict == expected
    assert pairs(await store.call("HGETALL", KEYS.ledger)) == {b"outside": b"1", b"refused:packet": b"1"}


async def test_a_full_server_still_finishes(store: Store) -> None:
    await store.call("SET", SHARD.fence, "1")
    used = int((await store.call("INFO", "memory")).split(b"used_memory:")[1].split(b"\r\n")[0])
    await finish(store, FrameIdentity(1, 0))
    entry = await store.call("XADD", KEYS.features, "*", "p", "x")
    await store.call("CONFIG", "SET", "maxmemory", used // 2, "maxmemory-policy", "noeviction")
    try:
        keys = [
            SHARD.fence,
            KEYS.features,
            KEYS.outcomes,
            KEYS.seen,
            KEYS.ledger,
            SHARD.dead,
            KEYS.chain,
            KEYS.contexts,
        ]
        place = (epoch_field(1), 1)
        ((verdict, _),) = await store.run(FINISH, keys, *of_all("1"), entry, "mask", "m", "", *place, *UNKEPT)
        assert verdict == b"finished"
    finally:
        await store.call("CONFIG", "SET", "maxmemory", 0)
