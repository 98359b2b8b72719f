"""What an autoscaler and the supervisor of a host tell each other through Redis: one JSON record each way.

::

    autoscaler ── Wanted (hash ScaleKeys.WANTED) ──► supervisor ── HostState (hash ScaleKeys.SUPERVISORS) ──► autoscaler
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from narrows.errors import RecordError

MAX_RECORD_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many servers a host shall have, and by whose order: the fencing token of a leader, 0 of nobody."""

    target: int
    token: int = 0

    def to_json(self) -> bytes:
        """Serialise."""
        return json.dumps(asdict(self) | {"v": 1}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> Wanted:
        """Read a record; unknown fields are ignored.

        Raises:
            RecordError: too long, no JSON object, another version, a field of another type, or a target below 0.
        """
        raw = _fields(data, "a wanted number of servers")
        try:
            wanted = cls(int(raw["target"]), int(raw["token"]))
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise RecordError(f"a wanted number of servers cannot be read: {error!r}") from None
        if wanted.target < 0:
            raise RecordError(f"{wanted.target} servers are wanted: write 0 or more")
        return wanted


@dataclass(frozen=True, slots=True)
class HostState:
    """What a supervisor says of itself.

    Attributes:
        at_ms: Redis' clock, Unix milliseconds.
        owner: differs from process to process, so that two of one name are noticed.
        slots: servers that this host can hold.
        wanted: the target that it follows.
        ready, starting, draining: servers by state.
        servers: gRPC addresses of those that are ready or draining.
        trouble: why a server does not start, for people; empty while all do.
    """

    at_ms: int
    owner: str
    slots: int
    wanted: int
    ready: int = 0
    starting: int = 0
    draining: int = 0
    servers: tuple[str, ...] = ()
    trouble: str = ""

    def to_json(self) -> bytes:
        """Serialise."""
        return json.dumps(asdict(self) | {"v": 1}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> HostState:
        """Read a record; unknown fields are ignored.

        Raises:
            RecordError: too long, no JSON object, another version, or a field of another type.
        """
        raw = _fields(data, "a supervisor's state")
        try:
            return cls(
                at_ms=int(raw["at_ms"]),
                owner=str(raw["owner"]),
                slots=int(raw["slots"]),
                wanted=int(raw["wanted"]),
                ready=int(raw["ready"]),
                starting=int(raw["starting"]),
                draining=int(raw["draining"]),
                servers=tuple(str(address) for address in raw["servers"]),
                trouble=str(raw["trouble"]),
            )
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise RecordError(f"a supervisor's state cannot be read: {error!r}") from None


def _fields(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > MAX_RECORD_BYTES:
        raise RecordError(f"{what} of {len(data)} bytes; at most {MAX_RECORD_BYTES} are read")
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{what} cannot be read: {error!r}") from None
    if not isinstance(raw, dict) or raw.get("v") != 1:
        raise RecordError(f"{what} of another version than 1")
    return raw
