"""The dispatcher's scripts, written in Lua beside this file."""

from __future__ import annotations

from functools import partial

from narrows.runtime.redis.script import ON_A_FULL_SERVER, READS_ONLY, Script, read_lua
from orchestrator.shards.scripts import SIZE

_read = partial(read_lua, __package__)

HEARTBEAT = Script(_read("heartbeat.lua"), ("zset",), ON_A_FULL_SERVER)
FORGET_CONSUMERS = Script(_read("forget.lua"), ("stream",))
LAST_IDS = Script(_read("last_ids.lua"), (), READS_ONLY)
SET_BACK = Script(_read("set_back.lua"), (), ON_A_FULL_SERVER)
TRIM = Script(
    SIZE + _read("ledger.lua") + _read("trim.lua"),
    ("string", "stream", "stream", "hash", "stream"),
    ON_A_FULL_SERVER,
)
FINISH = Script(
    _read("ledger.lua") + _read("window.lua") + _read("finish.lua"),
    ("string", "stream", "stream", "hash", "hash", "stream", "list", "list"),
    ON_A_FULL_SERVER,
)
CLOSE_GAPS = Script(
    _read("ledger.lua") + _read("window.lua") + _read("close.lua"), ("string", "hash", "hash"), ON_A_FULL_SERVER
)
