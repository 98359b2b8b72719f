"""Server-side scripts: each is one atomic step, written in Lua beside the module that declares it.

A script of Redis is atomic, yet nothing takes back what it wrote before an error. So each looks at the type of every
key first: where one is not what it should be, the script refuses by that key's name, and nothing was changed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

# Ending a frame frees memory, so it must also run on a server that is full (`noeviction`), and so must what lets an
# owner go on: leases are of a fixed size.
ON_A_FULL_SERVER = "#!lua flags=allow-oom\n"
READS_ONLY = "#!lua flags=no-writes\n"
_CHECK_TYPES = """\
for i, key in ipairs(KEYS) do
  local types = {%s}
  local found, wanted = redis.call('TYPE', key).ok, types[(i - 1) %% #types + 1]
  if found ~= wanted and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. found .. ' and must be a ' .. wanted .. ': delete it')
  end
end
"""


@dataclass(frozen=True)
class Script:
    """A Lua script that changes nothing where a key has the wrong type; it answers ``WRONGTYPE KEY ...`` then.

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
        check = _CHECK_TYPES % ", ".join(f"'{each}'" for each in self.types) if self.types else ""
        return self.shebang + check + self.body

    @property
    def reads_only(self) -> bool:
        """Whether the server refuses it every write; then the right to read its keys is enough to run it."""
        return self.shebang == READS_ONLY

    @cached_property
    def sha(self) -> str:
        """SHA-1 of the text, as EVALSHA wants it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def read_lua(package: str, name: str) -> str:
    """The text of a script in the folder ``lua`` of a package."""
    return files(package).joinpath("lua", name).read_text()
