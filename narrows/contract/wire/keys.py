"""The names of all Redis keys, and which shard a stream belongs to.

Everything of a shard carries the hash tag ``{shard}``, so that one Redis Cluster node holds it and one
script may touch it. A camera's ACL needs six keys of its own and ``narrows:install``, nothing else::

    narrows:install                    JSON: how many shards, fixed at install
    narrows:dispatchers                sorted set: living dispatchers by last heartbeat (Unix ms)
    narrows:dispatchers:unready        hash: dispatcher -> how many of its bundles it cannot decode now
    narrows:label_tables               hash: id (16 hex digits) -> label tables, for those who read small masks
    narrows:audit                      stream: who changed a stream's settings, and how
    narrows:{scale}:reports            hash: dispatcher -> what it measured, JSON, once a second
    narrows:{scale}:servers            hash: server id -> address and slot, JSON; for servers that register themselves
    narrows:{scale}:draining           hash: server address -> since when (Unix ms); it gets no new work
    narrows:{scale}:wanted             hash: actuator -> target and fencing token, JSON, for a supervisor on a host
    narrows:{scale}:supervisors        hash: supervisor of a host -> its slots and servers, JSON, twice a second
    narrows:{scale}:command            string: what the operator ordered (servers, frozen), JSON
    narrows:{scale}:status             string: what the leader sees and did last, JSON, expiring
    narrows:{scale}:decisions          stream: every decision with its reasons
    narrows:{scale}:leader             string: the leading autoscaler, expiring
    narrows:{scale}:fence              integer: the last fencing token given out to a leader
    narrows:{S}:in:STREAM              stream: feature packets, one field "p"
    narrows:{S}:out:STREAM             stream: how each frame ended, fields "k" (mask, skipped, refused) and "p"
    narrows:{S}:ctl:STREAM             string: the control record, expiring
    narrows:{S}:prompts:STREAM         string: what an operator points at, JSON, expiring with the last prompt
    narrows:{S}:prompt_state:STREAM    stream of one entry, field "p": what the camera says of its prompts, JSON
    narrows:{S}:still:STREAM           stream of one entry, fields "p" and "b": a still picture that its site lets out
    narrows:{S}:plan:STREAM            stream of one entry, field "p": which design of a split network it uses, JSON
    narrows:{S}:ctx:STREAM             list: the newest contexts of packets of format 2
    narrows:{S}:seen:STREAM            hash: window of finished identities, by epoch
    narrows:{S}:ledger:STREAM          hash: frames by outcome, counted by the finishing script
    narrows:{S}:streams                hash: stream -> settings
    narrows:{S}:lease                  string: the owning dispatcher, expiring
    narrows:{S}:fence                  integer: the last fencing token given out
    narrows:{S}:dead                   stream: refused entries with their reason
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cached_property

from narrows.contract.errors import StreamIdInvalid

INSTALL_KEY = "narrows:install"
DISPATCHERS_KEY = "narrows:dispatchers"
UNREADY_KEY = "narrows:dispatchers:unready"
AUDIT_KEY = "narrows:audit"
LABEL_TABLES_KEY = "narrows:label_tables"


class ScaleKeys:
    """The keys of scaling; one hash tag, so that one script may touch several."""

    REPORTS = "narrows:{scale}:reports"
    SERVERS = "narrows:{scale}:servers"
    DRAINING = "narrows:{scale}:draining"
    WANTED = "narrows:{scale}:wanted"
    SUPERVISORS = "narrows:{scale}:supervisors"
    COMMAND = "narrows:{scale}:command"
    STATUS = "narrows:{scale}:status"
    DECISIONS = "narrows:{scale}:decisions"
    LEADER = "narrows:{scale}:leader"
    FENCE = "narrows:{scale}:fence"


PACKET_FIELD, KIND_FIELD = b"p", b"k"
ABLE_FIELD, ABLE_TO_MAKE_MASKS = b"c", b"masks"
"""Beside a packet that begins a context or a chain: what the camera can do if it is asked."""
GROUP = "narrows"
DEFAULT_SHARDS = 4
_STREAM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FEATURE_KEY = re.compile(rb"narrows:\{(0|[1-9]\d{0,5})\}:in:(.*)", re.DOTALL)


def check_stream_id(stream: str) -> str:
    """Return ``stream`` if it is a valid id: 1-64 of ``A-Z a-z 0-9 . _ -``, the first a letter or digit.

    Raises:
        StreamIdInvalid: it is not.
    """
    if not _STREAM_ID.fullmatch(stream):
        raise StreamIdInvalid(
            f"stream id {stream[:80]!r}: use 1-64 of A-Z a-z 0-9 . _ - and begin with a letter or digit"
        )
    return stream


def shard_of(stream: str, shards: int) -> int:
    """The shard that a stream belongs to: CRC-32 of its id modulo the number of shards."""
    return zlib.crc32(stream.encode()) % shards


def parse_feature_key(key: bytes) -> tuple[int, str]:
    """The shard and stream of a ``narrows:{S}:in:STREAM`` key, as a scan finds it.

    Raises:
        StreamIdInvalid: the key's last part is no valid stream id, or the key is no feature key.
    """
    match = _FEATURE_KEY.fullmatch(key)
    if match is None:
        raise StreamIdInvalid(f"{key[:80]!r} is no feature key")
    return int(match[1]), check_stream_id(match[2].decode("utf-8", "replace"))


@dataclass(frozen=True)
class ShardKeys:
    """The keys that belong to a shard as a whole."""

    shard: int

    @cached_property
    def prefix(self) -> str:
        """``narrows:{S}``"""
        return f"narrows:{{{self.shard}}}"

    @cached_property
    def features(self) -> str:
        """How the feature keys of its streams begin."""
        return f"{self.prefix}:in:"

    @cached_property
    def lease(self) -> str:
        """The owner's lease."""
        return f"{self.prefix}:lease"

    @cached_property
    def fence(self) -> str:
        """The counter of fencing tokens."""
        return f"{self.prefix}:fence"

    @cached_property
    def streams(self) -> str:
        """The settings of the shard's streams."""
        return f"{self.prefix}:streams"

    @cached_property
    def dead(self) -> str:
        """The dead letters."""
        return f"{self.prefix}:dead"


@dataclass(frozen=True)
class StreamKeys:
    """The keys of one stream."""

    stream: str
    shard: int

    @classmethod
    def of(cls, stream: str, shards: int) -> StreamKeys:
        """The keys of ``stream`` in an install of ``shards`` shards.

        Raises:
            StreamIdInvalid: the id cannot be used.
        """
        return cls(check_stream_id(stream), shard_of(stream, shards))

    def _key(self, kind: str) -> str:
        return f"narrows:{{{self.shard}}}:{kind}:{self.stream}"

    @cached_property
    def features(self) -> str:
        """Feature packets on their way in."""
        return self._key("in")

    @cached_property
    def outcomes(self) -> str:
        """How each frame ended."""
        return self._key("out")

    @cached_property
    def control(self) -> str:
        """What the camera is asked to do."""
        return self._key("ctl")

    @cached_property
    def prompts(self) -> str:
        """What an operator points at."""
        return self._key("prompts")

    @cached_property
    def prompt_state(self) -> str:
        """What the camera says of its prompts."""
        return self._key("prompt_state")

    @cached_property
    def still(self) -> str:
        """The still picture that an operator asked for, where the camera's site allows it."""
        return self._key("still")

    @cached_property
    def plan(self) -> str:
        """Which design of a split network the camera uses, and why."""
        return self._key("plan")

    @cached_property
    def seen(self) -> str:
        """Finished identities."""
        return self._key("seen")

    @cached_property
    def chain(self) -> str:
        """Packets that ended since the last key frame: what later ones are coded against."""
        return self._key("chain")

    @cached_property
    def contexts(self) -> str:
        """Contexts of packets of format 2, the newest last."""
        return self._key("ctx")

    @cached_property
    def ledger(self) -> str:
        """Frames by outcome."""
        return self._key("ledger")
