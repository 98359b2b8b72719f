"""The server-side scripts: each is one atomic step, written in Lua beside this file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

# Ending a frame frees memory, so it must also run on a server that is full (`noeviction`), and so must what lets an
# owner go on: leases are of a fixed size.
_ON_A_FULL_SERVER = "#!lua flags=allow-oom\n"


@dataclass(frozen=True)
class Script:
    """A Lua script and the hash that the server knows it by."""

    text: str

    @cached_property
    def sha(self) -> str:
        """SHA-1 of the text, as EVALSHA wants it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _read(name: str) -> str:
    return files(__package__).joinpath("lua", name).read_text()


ACQUIRE = Script(_ON_A_FULL_SERVER + _read("acquire.lua"))
RENEW = Script(_ON_A_FULL_SERVER + _read("renew.lua"))
RELEASE = Script(_read("release.lua"))
HEARTBEAT = Script(_ON_A_FULL_SERVER + _read("heartbeat.lua"))
FORGET_CONSUMERS = Script(_read("forget.lua"))
BACKLOG = Script(_read("backlog.lua"))
FINISH = Script(_ON_A_FULL_SERVER + _read("window.lua") + _read("finish.lua"))
CLOSE_GAPS = Script(_ON_A_FULL_SERVER + _read("window.lua") + _read("close.lua"))
