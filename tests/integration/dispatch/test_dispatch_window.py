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
UNKEPT = ("", 0, 0)


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
    keys = [SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.seen, KEYS.ledger, SHARD.dead, KEYS.chain]
    place = (epoch_field(identity.epoch), identity.sequence)
    verdict, lost = await store.run(
        FINISH, keys, token, "narrows", entry, "mask", "m", "", *place, 100000, 60000, 10, "cam", "", "", 1, 1, *UNKEPT
    )
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


async def test_an_older_token_changes_nothing(store: Store) -> None:
    await store.call("SET", SHARD.fence, "2")
    assert await finish(store, FrameIdentity(1, 0), token="1") == ("fenced", 0)
    assert await store.call("XLEN", KEYS.features) == 1
    assert await store.run(CLOSE_GAPS, [SHARD.fence, KEYS.seen, KEYS.ledger], "1", epoch_field(1), 0) == -1
    assert await store.call("EXISTS", KEYS.outcomes, KEYS.seen, KEYS.ledger) == 0


async def test_an_entry_that_already_ended_changes_nothing(store: Store) -> None:
    await store.call("SET", SHARD.fence, "1")
    keys = [SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.seen, KEYS.ledger, SHARD.dead, KEYS.chain]
    entry = await store.call("XADD", KEYS.features, "*", "p", "x")
    for expected in (b"finished", b"again"):
        verdict, _ = await store.run(
            FINISH,
            keys,
            "1",
            "narrows",
            entry,
            "refused",
            "{}",
            "packet",
            "",
            "",
            10,
            60000,
            10,
            "cam",
            "",
            "",
            1,
            1,
            *UNKEPT,
        )
        assert verdict == expected
    assert pairs(await store.call("HGETALL", KEYS.ledger)) == {b"outside": b"1", b"refused:packet": b"1"}


async def test_a_full_server_still_finishes(store: Store) -> None:
    await store.call("SET", SHARD.fence, "1")
    used = int((await store.call("INFO", "memory")).split(b"used_memory:")[1].split(b"\r\n")[0])
    await finish(store, FrameIdentity(1, 0))
    entry = await store.call("XADD", KEYS.features, "*", "p", "x")
    await store.call("CONFIG", "SET", "maxmemory", used // 2, "maxmemory-policy", "noeviction")
    try:
        keys = [SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.seen, KEYS.ledger, SHARD.dead, KEYS.chain]
        place = (epoch_field(1), 1)
        verdict, _ = await store.run(
            FINISH, keys, "1", "narrows", entry, "mask", "m", "", *place, 10, 60000, 10, "cam", "", "", 1, 1, *UNKEPT
        )
        assert verdict == b"finished"
    finally:
        await store.call("CONFIG", "SET", "maxmemory", 0)
