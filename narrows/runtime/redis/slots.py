"""Which node of a cluster serves a key: hash slots as the cluster specification has them.

https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.crc import key_slot
from redis.exceptions import ClusterDownError

from narrows.contract.wire.keys import INSTALL_KEY
from narrows.runtime.redis.address import Endpoint

_KEY_AT = {
    **dict.fromkeys(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO"), 3),
    **dict.fromkeys(("XGROUP", "XINFO", "MEMORY", "OBJECT"), 2),
}
_BEHIND_STREAMS = frozenset({"XREAD", "XREADGROUP"})
_KEYLESS = frozenset({"PING", "TIME", "INFO", "CONFIG", "COMMAND", "CLIENT", "SCAN", "SCRIPT", "CLUSTER", "ACL"})
Word = str | bytes | int | float


def key_of(command: Sequence[Word]) -> bytes | None:
    """The first key of a command, for all of them lie in one slot; ``None`` if it has none."""
    name, both, _ = str(command[0]).upper().partition(" ")
    if name in _KEYLESS:
        return None
    at = _KEY_AT.get(name, 1) - bool(both)  # redis-py writes XINFO STREAM in one word
    if name in _BEHIND_STREAMS:
        at = 1 + next(i for i, word in enumerate(command) if _bytes(word).upper() == b"STREAMS")
    if at == _KEY_AT["EVAL"] and name in _KEY_AT and not int(command[2]):
        return None
    return _bytes(command[at]) if at < len(command) else None


def slot_of(key: str | bytes | None) -> int:
    """A key's slot; what names no key goes where the install record lies."""
    return int(key_slot(_bytes(INSTALL_KEY if key is None else key)))


def _bytes(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()


@dataclass(frozen=True, slots=True)
class Range:
    """Slots from ``first`` to ``last``, the node that serves them, and its replicas."""

    first: int
    last: int
    node: Endpoint
    replicas: tuple[Endpoint, ...]


@dataclass(frozen=True)
class SlotMap:
    """Who serves which slots, as one node says it."""

    ranges: tuple[Range, ...]

    @classmethod
    def parse(cls, reply: Any, asked: Endpoint) -> SlotMap:  # noqa: ANN401 - as the protocol has it
        """Read the reply to CLUSTER SLOTS; a node without a host is at the one that was ``asked``."""
        return cls(
            tuple(
                Range(int(first), int(last), *_nodes([_endpoint(node, asked) for node in nodes]))
                for first, last, *nodes in reply
            )
        )

    def node(self, slot: int, what: str = "") -> Endpoint:
        """Who serves a slot; ``what`` lies in it.

        Raises:
            ClusterDownError: nobody does.
        """
        for each in self.ranges:
            if each.first <= slot <= each.last:
                return each.node
        raise ClusterDownError(
            f"no node serves slot {slot}{what and f' ({what})'}: look at CLUSTER NODES and CLUSTER SHARDS"
        )

    def serves(self, node: Endpoint, slot: int) -> bool:
        """Whether it is this node that serves a slot."""
        return any(each.node == node for each in self.ranges if each.first <= slot <= each.last)

    @property
    def nodes(self) -> tuple[Endpoint, ...]:
        """Those that serve slots."""
        return tuple(dict.fromkeys(each.node for each in self.ranges))

    @property
    def members(self) -> tuple[Endpoint, ...]:
        """Everybody, those that serve slots first."""
        return tuple(dict.fromkeys((*self.nodes, *(each for part in self.ranges for each in part.replicas))))


def _nodes(nodes: list[Endpoint]) -> tuple[Endpoint, tuple[Endpoint, ...]]:
    return nodes[0], tuple(nodes[1:])


def _endpoint(node: Sequence[Any], asked: Endpoint) -> Endpoint:
    host = node[0].decode() if isinstance(node[0], bytes) else node[0] or ""
    return Endpoint(host_said(host, asked), int(node[1]))


def host_said(host: str, asked: Endpoint) -> str:
    """Where a node is: where it does not know its host, in a map, a MOVED or an ASK, at that of who was ``asked``."""
    return asked.host if host in ("", "?") else host
