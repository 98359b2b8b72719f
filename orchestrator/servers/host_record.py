"""What an autoscaler and the supervisor of a host tell each other through Redis: one JSON record each way.

::

    autoscaler ── WantedServers (hash ScaleKeys.WANTED) ─────► supervisor
    supervisor ── HostState (hash ScaleKeys.SUPERVISORS) ──► autoscaler
"""

from __future__ import annotations

from typing import ClassVar

from narrows.contract.wire.record import Count, Record, UnixMs

MAX_RECORD_BYTES = 1 << 16


class WantedServers(Record, frozen=True, tag_field="v", tag=1):
    """How many servers a host shall have, and by whose order: the fencing token of a leader, 0 of nobody."""

    what: ClassVar[str] = "a wanted number of servers"
    most_bytes: ClassVar[int] = MAX_RECORD_BYTES

    target: Count
    token: Count = 0


class HostState(Record, frozen=True, tag_field="v", tag=1):
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

    what: ClassVar[str] = "a supervisor's state"
    most_bytes: ClassVar[int] = MAX_RECORD_BYTES

    at_ms: UnixMs
    owner: str
    slots: Count
    wanted: Count
    ready: Count = 0
    starting: Count = 0
    draining: Count = 0
    servers: tuple[str, ...] = ()
    trouble: str = ""
