"""Every server-side script looks before it changes: a key of a wrong type is named, a value that counts nothing too."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import ANY

import pytest

import orchestrator
from narrows.contract.wire import Install
from narrows.contract.wire.keys import GROUP, INSTALL_KEY, ShardKeys, StreamKeys
from narrows.runtime.redis.replies import Remedy
from narrows.runtime.redis.script import Script, commands_of
from narrows.runtime.redis.store import Encodable, Reply, ReplyRefused, within
from orchestrator.dispatch import Store
from orchestrator.dispatch.scripts import CLOSE_GAPS, FINISH, FORGET_CONSUMERS, HEARTBEAT, LAST_IDS, SET_BACK, TRIM
from orchestrator.dispatch.window import epoch_field
from orchestrator.page.redis_view import RedisView
from orchestrator.servers import LocalRedis
from orchestrator.shards.scripts import ACQUIRE, BACKLOG, RELEASE, RENEW

KEYS, SHARD = StreamKeys("cam", 0), ShardKeys(0)
_ROOT = Path(orchestrator.__file__).parent
_MAKE: Mapping[str, tuple[Encodable, ...]] = {
    "string": ("SET", "1"),
    "hash": ("HSET", "field", "1"),
    "stream": ("XADD", "1-1", "p", "x"),
    "zset": ("ZADD", 1, "member"),
    "list": ("RPUSH", "x"),
}


@dataclass(frozen=True)
class Use:
    """How a script is called so that it would change all that it can."""

    script: Script
    keys: tuple[str, ...]
    args: tuple[Encodable, ...] = ()


def _finish(kind: str, reason: str, place: Sequence[Encodable]) -> tuple[Encodable, ...]:
    of_all = ("1", GROUP, 10, 60_000, 10, 9, 9, 9, 1 << 20)
    return (
        *of_all,
        "1-1",
        kind,
        "body",
        reason,
        *place,
        "cam",
        "detail",
        "head",
        4,
        1,
        "next",
        "context",
        2,
        "o:x",
        "y",
    )


_FINISHING = (SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.seen, KEYS.ledger, SHARD.dead, KEYS.chain, KEYS.contexts)
_TRIMMING = (SHARD.fence, KEYS.features, KEYS.outcomes, KEYS.ledger, SHARD.dead)
_PLACE = (epoch_field(1), 5)
_USES = {
    "finish with a mask": Use(FINISH, _FINISHING, _finish("mask", "", _PLACE)),
    "finish with a refusal": Use(FINISH, _FINISHING, _finish("refused", "packet", _PLACE)),
    "finish outside any sequence": Use(FINISH, _FINISHING, _finish("refused", "packet", ("", ""))),
    "close": Use(CLOSE_GAPS, (SHARD.fence, KEYS.seen, KEYS.ledger), ("1", epoch_field(1), 0)),
    "acquire": Use(ACQUIRE, (SHARD.lease, SHARD.fence), ("me", 1000)),
    "renew": Use(RENEW, (SHARD.lease, SHARD.fence), ("1", "me", 1000)),
    "release": Use(RELEASE, (SHARD.lease,), ("1", "me")),
    "heartbeat": Use(HEARTBEAT, ("narrows:dispatchers",), ("me", 1000)),
    "trim": Use(TRIM, _TRIMMING, ("1", 10, 0, 0, 10, 60_000, 10, "cam", "too_large", "body", "detail", GROUP, "me")),
    "forget": Use(FORGET_CONSUMERS, (KEYS.features,), (GROUP, "me", 0)),
}


def scripts_of_the_cloud() -> dict[str, Script]:
    """Each script that any module of the cloud's programs declares, by its name there."""
    names = [info.name for info in pkgutil.walk_packages(orchestrator.__path__, "orchestrator.")]
    modules = [importlib.import_module(name) for name in names if not name.endswith("__main__")]
    return {name: value for module in modules for name, value in vars(module).items() if isinstance(value, Script)}


def _changing() -> list[Use]:
    """All that change something: how those beside the frame's way are called does not matter to what is checked."""
    named = list(_USES.values())
    others = [script for script in scripts_of_the_cloud().values() if script not in [use.script for use in named]]
    beside = [Use(each, tuple(f"narrows:{{0}}:{n}" for n in range(len(each.types))), ("1",)) for each in others]
    return [use for use in named + beside if use.script.types]


async def _make(store: Store, key: str, kind: str) -> None:
    command, *args = _MAKE[kind]
    await store.call(command, key, *args)


async def _everything(store: Store) -> dict[bytes, Reply]:
    return {key: await store.call("DUMP", key) for key in await store.call("KEYS", "*")}


async def _refused(store: Store, use: Use) -> ReplyRefused:
    """The refusal of a call that must change nothing."""
    before = await _everything(store)
    with pytest.raises(ReplyRefused) as refused:
        await _run(store, use)
    assert await _everything(store) == before
    return refused.value


async def _run(store: Store, use: Use) -> None:
    """Raises what was refused, be it the call or the one frame that it was to end."""
    reply = await store.run(use.script, use.keys, *use.args)
    for each in within(reply) if isinstance(reply, list) else ():
        if isinstance(each, ReplyRefused):
            raise each


@pytest.mark.parametrize("use", _changing(), ids=lambda use: f"{use.keys[0]} {use.script.sha[:4]}")
async def test_a_key_of_a_wrong_type_is_named_and_nothing_is_changed(store: Store, use: Use) -> None:
    for wrong, key in enumerate(use.keys):
        await store.call("FLUSHALL")
        for place, (each, kind) in enumerate(zip(use.keys, use.script.types, strict=True)):
            wrong_kind = "zset" if kind == "list" else "list"
            await _make(store, each, wrong_kind if place == wrong else kind)
        refused = await _refused(store, use)
        assert refused.code == "WRONGTYPE"
        assert key in str(refused)


_WITHOUT_TYPES = Use(SET_BACK, (SHARD.fence, KEYS.features), ("1", GROUP, 1000))


@pytest.mark.parametrize("use", [*_changing(), _WITHOUT_TYPES], ids=lambda use: f"{use.keys[0]} {use.script.sha[:4]}")
async def test_a_command_that_its_user_lost_is_named_and_nothing_is_changed(
    store: Store, server: LocalRedis, use: Use
) -> None:
    for key, kind in zip(use.keys, use.script.types or ("string", "stream"), strict=True):
        await _make(store, key, kind)
    limited = Store.connect(server.url.replace("//", "//limited:pw@"))
    try:
        for command in commands_of(use.script.body):
            lost = command.lower().replace(" ", "|")
            await store.call("ACL", "SETUSER", "limited", "reset", "on", ">pw", "~*", "+@all", f"-{lost}")
            refused = await _refused(limited, use)
            assert (refused.code, refused.remedy) == ("NOPERM", Remedy.WAIT), refused
            assert f"may not run {command}:" in str(refused)
    finally:
        await limited.close()
        await store.call("ACL", "DELUSER", "limited")


@pytest.mark.parametrize(
    ("name", "key", "field"),
    [
        *[("finish with a mask", KEYS.ledger, field) for field in ("mask", "lost", "duplicate")],
        *[("finish with a refusal", KEYS.ledger, field) for field in ("refused", "refused:packet")],
        ("finish outside any sequence", KEYS.ledger, "outside"),
        ("close", KEYS.ledger, "lost"),
        ("finish with a mask", KEYS.seen, epoch_field(1)),
        ("close", KEYS.seen, epoch_field(1)),
    ],
)
@pytest.mark.parametrize("value", ["junk", "1e3", "-1", "9" * 16, " 1", "1.5", ""])
async def test_a_value_that_cannot_be_counted_is_named_and_nothing_is_changed(
    store: Store, name: str, key: str, field: str, value: str
) -> None:
    use = _USES[name]
    await store.call("SET", SHARD.fence, "1")
    await store.call("XADD", KEYS.features, "1-1", "p", "x")
    await store.call("HSET", key, field, value)
    refused = await _refused(store, use)
    assert refused.code == "BADVALUE"
    assert key in str(refused)
    assert field in str(refused)


async def test_a_field_that_is_no_epoch_takes_no_place_from_one(store: Store) -> None:
    await store.call("SET", SHARD.fence, "1")
    for n in range(8):
        await store.call("HSET", KEYS.seen, f"junk {n}", "x")
    use = _USES["finish with a mask"]
    for epoch in (1, 2):
        entry = await store.call("XADD", KEYS.features, "*", "p", "x")
        args = _finish("mask", "", (epoch_field(epoch), 0))
        assert await store.run(use.script, use.keys, *args[:9], entry, *args[10:]) == [[b"finished", 0]]
    assert await store.call("HEXISTS", KEYS.seen, epoch_field(1)) == 1


async def test_the_backlog_leaves_out_a_key_of_a_wrong_type_and_counts_its_neighbours(store: Store) -> None:
    neighbour = StreamKeys("neighbour", 0)
    await _make(store, KEYS.features, "string")
    await _make(store, neighbour.features, "stream")
    assert await store.run(BACKLOG, [KEYS.features, neighbour.features], GROUP, 1 << 20) == [
        [0, b"", 0],
        [1, b"1-1", ANY],
    ]


async def test_what_has_no_types_leaves_out_a_key_of_a_wrong_type_and_sees_to_its_neighbours(store: Store) -> None:
    neighbour = StreamKeys("neighbour", 0)
    await store.call("SET", SHARD.fence, "1")
    await store.call("SET", KEYS.features, "1")
    await store.call("XADD", neighbour.features, "MAXLEN", 0, "99999999999999-1", "p", "x")
    assert await store.run(LAST_IDS, [KEYS.features, neighbour.features]) == [b"", b""]
    assert await store.run(SET_BACK, [SHARD.fence, KEYS.features, neighbour.features], "2", GROUP, 1000) == 0
    assert await store.run(SET_BACK, [SHARD.fence, KEYS.features, neighbour.features], "1", GROUP, 1000) == 1
    entry = await store.call("XADD", neighbour.features, "*", "p", "x")
    assert await store.run(LAST_IDS, [neighbour.features]) == [entry]
    assert int(entry.partition(b"-")[0]) <= await store.time_ms()


async def test_the_page_leaves_out_a_key_of_a_wrong_type_and_shows_its_neighbours(
    store: Store, server: LocalRedis
) -> None:
    await store.call("SET", INSTALL_KEY, Install(shards=1).to_json())
    for stream in ("a", "b"):
        await _make(store, StreamKeys(stream, 0).features, "stream")
        await store.call("HSET", StreamKeys(stream, 0).ledger, "mask", 7)
    for key in (StreamKeys("a", 0).features, StreamKeys("a", 0).ledger, StreamKeys("a", 0).outcomes):
        await store.call("DEL", key)
        await _make(store, key, "list")
    view = RedisView(server.url)
    pulses = view.pulses(["a", "b"])
    assert (pulses["a"].waiting, pulses["a"].masks) == (0, 0)
    assert (pulses["b"].waiting, pulses["b"].masks) == (1, 7)
    assert view.newest_masks({"a": "", "b": ""}) == {}
    view.close()


def test_every_script_of_the_cloud_is_among_those_tried() -> None:
    declared = scripts_of_the_cloud()
    assert {use.script for use in _changing()} | {BACKLOG, LAST_IDS, SET_BACK} == set(declared.values())
    written = {path: path.read_text() for path in _ROOT.rglob("*.lua")}
    pages = [path for path in written if "page" in path.parts]
    assert all(written.pop(path).startswith("#!lua flags=no-writes\n") for path in pages), "a page changes nothing"
    texts = written.values()
    assert [text for text in texts if not any(text in script.body for script in declared.values())] == []
