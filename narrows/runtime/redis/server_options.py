"""The options of a Redis server that nothing else makes up for, declared once.

The embedded server and the compose stack set them, dispatchers look at them when they start, the doctor says which are
amiss, and ``docs/dispatch.md`` lists them (a test holds it to that).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

MIB = 1 << 20
BYTES_A_CLIENT = 48 << 10
"""Redis 7.0 had 37 KiB of buffers for each of 5,000 connections that had just sent 1.7 KB; Valkey 9.1 16 KiB."""
BYTES_BESIDE = 64 * MIB
"""For the cloud's own replies, and for packets on their way."""


def clients_bytes(connections: int) -> int:
    """What ``maxmemory-clients`` should be: it bounds the buffers of all connections together."""
    return BYTES_BESIDE + connections * BYTES_A_CLIENT


class State(StrEnum):
    """How an option stands."""

    MET = "met"
    AMISS = "amiss"
    UNKNOWN = "unknown"
    """The server does not say, or not to this user."""


@dataclass(frozen=True, slots=True)
class ServerOption:
    """One option.

    Attributes:
        name: as ``CONFIG GET`` has it.
        setting: what our own servers have.
        wanted: what is accepted, for people.
        why: what happens without it.
        accepts: whether a value, as ``CONFIG GET`` says it, is accepted with so many connections.
        fatal: without it frames vanish unseen.
    """

    name: str
    setting: str
    wanted: str
    why: str
    accepts: Callable[[str, int], bool]
    fatal: bool = False

    def state(self, value: str | None, connections: int) -> State:
        """How it stands with a value; ``None`` where nobody said."""
        if value is None:
            return State.UNKNOWN
        return State.MET if self.accepts(value, connections) else State.AMISS

    @property
    def remedy(self) -> str:
        """What to type."""
        return f"redis-cli CONFIG SET {self.name} {self.setting}, and the same in redis.conf"


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() else 0


OPTIONS = (
    ServerOption(
        "maxmemory-policy",
        "noeviction",
        "`noeviction`",
        "frames and ledgers would vanish unseen",
        lambda value, _: value == "noeviction",
        fatal=True,
    ),
    ServerOption(
        "maxmemory",
        "1gb",
        "any limit",
        "a flood would take all of the machine's memory before Redis refuses anything",
        lambda value, _: _number(value) > 0,
    ),
    ServerOption(
        "maxmemory-clients",
        "128mb",
        "64 MiB and 48 KiB more for each connection, so 128mb for 1,300 cameras and 304mb for 5,000",
        "one entry may be as large as it likes; where it is too small, honest cameras are cut off",
        lambda value, connections: _number(value) >= clients_bytes(connections),
    ),
    ServerOption(
        "proto-max-bulk-len",
        "1mb",
        "4mb at most",
        "one field of an entry may be as large as it likes",
        lambda value, _: 0 < _number(value) <= 4 * MIB,
    ),
    ServerOption(
        "appendonly",
        "yes",
        "`yes`",
        "a restart would lose frames, ledgers and leases",
        lambda value, _: value == "yes",
    ),
    ServerOption(
        "appendfsync",
        "everysec",
        "`everysec` or `always`",
        "a power failure would lose more than its last second",
        lambda value, _: value in {"everysec", "always"},
    ),
)


@dataclass(frozen=True, slots=True)
class OptionFact:
    """An option, the value it has (``None``: unknown), and how that stands."""

    option: ServerOption
    value: str | None
    state: State

    def __str__(self) -> str:
        if self.state is State.UNKNOWN:
            return f"{self.option.name} is not known: this user may not ask (CONFIG GET)"
        return f"{self.option.name} is {self.value}, not {self.option.wanted.replace('`', '')}: {self.option.why}"


def look(config: Mapping[str, str], info: Mapping[str, str]) -> tuple[OptionFact, ...]:
    """How each option stands.

    Args:
        config: what ``CONFIG GET`` answered; empty where it is refused, as managed servers do. What a server does not
            know it leaves out.
        info: what ``INFO`` answered: it has some of them too.
    """
    log = {"1": "yes", "0": "no"}.get(info.get("aof_enabled", ""))
    said = {
        "maxmemory-policy": info.get("maxmemory_policy"),
        "maxmemory": info.get("maxmemory"),
        "appendonly": log,
        **config,
    }
    connections = _number(info.get("connected_clients", "0"))
    facts = []
    for option in OPTIONS:
        value = said.get(option.name)
        facts.append(OptionFact(option, value, option.state(value, connections)))
    return tuple(facts)


def server_arguments() -> list[str]:
    """The options as a server of ours takes them on its command line."""
    return [word for option in OPTIONS for word in (f"--{option.name}", option.setting)]
