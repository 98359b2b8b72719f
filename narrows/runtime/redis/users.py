"""Redis's users: what each part may do, as lines of an ACL file. Pure.

Arguments cannot be restricted in Redis, keys and commands can: hence a key for each camera, which it alone may add to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from narrows.contract.wire import StreamKeys
from narrows.contract.wire.keys import AUDIT_KEY, INSTALL_KEY, LABEL_TABLES_KEY

CAMERA = "camera-"
"""A camera's user is this and its stream id; no role begins so."""
_READ = (
    "ping time info cluster|slots cluster|info cluster|nodes asking type exists "
    "get mget hget hmget hgetall hkeys hvals zrange zrangebyscore scan "
    "xlen xrange xrevrange xread xpending xinfo|stream xinfo|groups memory|usage"
)
_SCRIPTS = "eval evalsha eval_ro evalsha_ro script|load"
_SERVICE = "client|no-evict"
"""For programs that go on for ever: the server does not cut them for room."""
_TRACKING = "client|tracking"
"""For a dispatcher, which is told what cameras write; one that may not waits in a read of all streams."""
_CLUSTER = "cluster|slots"
"""Which node serves what; one server refuses it, whoever asks."""
_TRANSACTION = "multi exec discard watch unwatch"
_SCALE = "narrows:{scale}:*"


@dataclass(frozen=True, slots=True)
class User:
    """A user's name, its keys as Redis has them (``%R~`` to read, ``%W~`` to write, ``~`` both) and its commands."""

    name: str
    keys: tuple[str, ...]
    commands: str

    def line(self, password: str) -> str:
        """Its line of an ACL file, with the password's hash."""
        digest = hashlib.sha256(password.encode()).hexdigest()
        allowed = " ".join(f"+{command}" for command in self.commands.split())
        return " ".join(
            ["user", self.name, "on", f"#{digest}", "resetchannels", "resetkeys", *self.keys, "-@all", allowed]
        )


ROLES = (
    User(
        "dispatcher",
        ("~narrows:*",),
        # transactions are for an operator's words in its container: `narrows scale set`
        f"{_READ} {_SCRIPTS} {_SERVICE} {_TRACKING} {_TRANSACTION} config|get set del pexpire hset hdel hincrby "
        "zadd zrem zremrangebyscore xadd xdel xtrim xack xclaim xreadgroup xsetid xgroup|create xgroup|delconsumer "
        "xinfo|consumers rpush rpushx lrange ltrim",
    ),
    User(
        "autoscaler",
        (f"~{_SCALE}", "%R~narrows:*"),
        f"{_READ} {_SCRIPTS} {_SERVICE} {_TRANSACTION} set del pexpire hset hdel xadd hexists",
    ),
    User("supervisor", (f"~{_SCALE}",), f"{_READ} {_SCRIPTS} {_SERVICE} set del pexpire hset hdel hexists"),
    # keys of a script count as written to, whatever it does; its commands are held to this list all the same
    User("page", ("~narrows:*",), f"{_READ} {_SCRIPTS} {_SERVICE}"),
    User(
        "viewer",
        (f"%R~{INSTALL_KEY}", f"%R~{LABEL_TABLES_KEY}", "%R~narrows:{*}:out:*"),
        f"ping get hget exists xread xrevrange xinfo|stream {_CLUSTER}",
    ),
    User(
        "prompter",
        (
            f"%R~{INSTALL_KEY}",
            "~narrows:{*}:prompts:*",
            "%R~narrows:{*}:prompt_state:*",
            "%R~narrows:{*}:still:*",
            f"%W~{AUDIT_KEY}",
        ),
        f"ping time get exists set xadd xrevrange memory|usage {_TRANSACTION} {_CLUSTER}",
    ),
    User("exporter", (), "ping info slowlog|len latency|latest latency|histogram"),
    User(
        "maintainer",
        ("%R~narrows:*",),
        f"{_READ} acl|load acl|log acl|users config|get config|set bgrewriteaof lastsave",
    ),
    User(
        "operator", ("~narrows:*",), f"{_READ} {_SCRIPTS} {_SERVICE} {_TRANSACTION} config|get set del hset hdel xadd"
    ),
)
"""Everyone but the cameras."""


def camera_user(stream: str, shards: int) -> User:
    """The user of one camera: it adds to its own stream, asks for its length, and reads what it is asked; no more.

    Raises:
        StreamIdInvalid: the id cannot be used.
    """
    keys = StreamKeys.of(stream, shards)
    read = (keys.control, keys.prompts, INSTALL_KEY)
    added = (keys.features, keys.prompt_state, keys.still, keys.plan)
    allowed = (*(f"%W~{key}" for key in added), *(f"%R~{key}" for key in read))
    return User(f"{CAMERA}{stream}", allowed, f"ping time get xadd xlen {_CLUSTER}")


def acl_lines(users: Mapping[User, str]) -> list[str]:
    """An ACL file's lines: these users with these passwords, and nobody without one.

    The user ``default`` is off, so that no connection is or becomes its. It may do everything all the same: as it,
    Redis replays its log at a start, and leaves out whatever of a transaction or a script it may not do.
    """
    return ["user default off ~* &* +@all", *(user.line(password) for user, password in users.items())]
