"""Server-side scripts: each is one atomic step, written in Lua beside the module that declares it.

A script of Redis is atomic, yet nothing takes back what it wrote before an error. So each that changes anything looks
first at what can fail: where a key is not of the type that it should be, it refuses by that key's name; where its user
may not run one of its commands, by that command's. Nothing was changed then.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

# Ending a frame frees memory, so it must also run on a server that is full (`noeviction`), and so must what lets an
# owner go on: leases are of a fixed size.
ON_A_FULL_SERVER = "#!lua flags=allow-oom\n"
READS_ONLY = "#!lua flags=no-writes\n"
_CHECK_TYPES = """\
local types, looked_at = {%s}, {}
for i, key in ipairs(KEYS) do
  if not looked_at[key] then
    looked_at[key] = true
    local found, wanted = redis.call('TYPE', key).ok, types[(i - 1) %% #types + 1]
    if found ~= wanted and found ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. wanted .. ': delete it')
    end
  end
end
"""
# A command that its user lost ends a script in the middle, and what it wrote stays: a frame that counts as ended and
# has no outcome. Keys may stand for arguments, since EVALSHA was let through with them. Four are as many as any command
# here needs: asked about a command with fewer than its fixed number, a server panics.
_CHECK_COMMAND = """\
if not redis.acl_check_cmd(%s, KEYS[1], KEYS[1], KEYS[1], KEYS[1]) then
  return redis.error_reply('NOPERM this user may not run %s: give it the ACL of `narrows keys acl`')
end
"""
_CALL = re.compile(r"redis\.p?call\(([^,)]+)(?:, '([A-Z]+)')?")
_NAME = re.compile(r"'([A-Z]+)'")
_CONTAINERS = frozenset({"XGROUP", "XINFO", "MEMORY"})
"""Commands whose first argument names what they do."""


def commands_of(body: str) -> list[str]:
    """The commands that a script may run, each once, as an ACL names them but for the space."""
    found = set[str]()
    for first, second in _CALL.findall(body):
        found.update(f"{name} {second}" if name in _CONTAINERS else name for name in _NAME.findall(first))
    return sorted(found)


@dataclass(frozen=True)
class Script:
    """A Lua script that changes nothing where a key has the wrong type; it answers ``WRONGTYPE KEY ...`` then.

    Nor where its user may not run all that is in it; it answers ``NOPERM`` then.

    Attributes:
        body: what it does.
        types: the type of each of ``KEYS`` in turn, as ``TYPE`` names it; after the last comes the first again. Without
            any it checks nothing: for a script that only reads, and leaves out what it cannot.
        shebang: its first line, with flags, if it needs any.
    """

    body: str
    types: tuple[str, ...]
    shebang: str = ""

    @cached_property
    def text(self) -> str:
        """What the server runs."""
        if self.reads_only:
            return self.shebang + self.body
        body = (_CHECK_TYPES % _quoted(self.types) if self.types else "") + self.body
        checks = (_CHECK_COMMAND % (_quoted(command.split()), command) for command in commands_of(body))
        return self.shebang + "".join(checks) + body

    @property
    def reads_only(self) -> bool:
        """Whether the server refuses it every write; then the right to read its keys is enough to run it."""
        return self.shebang == READS_ONLY

    @cached_property
    def sha(self) -> str:
        """SHA-1 of the text, as EVALSHA wants it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def read_lua(package: str, name: str) -> str:
    """The text of a script in the folder ``lua`` of a package."""
    return files(package).joinpath("lua", name).read_text()
