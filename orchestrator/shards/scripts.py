"""The scripts of leases and of the backlog."""

from __future__ import annotations

from functools import partial

from narrows.runtime.redis.script import ON_A_FULL_SERVER, READS_ONLY, Script, read_lua

_read = partial(read_lua, __package__)

_LEASE = ("string", "string")
ACQUIRE = Script(_read("acquire.lua"), _LEASE, ON_A_FULL_SERVER)
RENEW = Script(_read("renew.lua"), _LEASE, ON_A_FULL_SERVER)
RELEASE = Script(_read("release.lua"), ("string",))
FIRST_ENTRY_BYTES = 1 << 20
"""Of a stream that holds more, no script looks at an entry."""
MOST_BACKLOG_FRAMES = 256
"""What one stream adds to the backlog at most: about what a camera of ours leaves in Redis (``--maxlen``)."""
BACKLOG = Script(_read("size.lua") + _read("backlog.lua"), (), READS_ONLY)
SIZE = _read("size.lua")
"""What scripts that look at a stream's size begin with."""
