"""How a dispatcher behaves: one frozen value, read once at the start."""

from __future__ import annotations

from dataclasses import dataclass, field

from narrows.contract.errors import ServiceError
from narrows.contract.wire.streams import StreamSettings


@dataclass(frozen=True, slots=True)
class DispatchSettings:
    """Limits and times of one dispatcher.

    Attributes:
        lease_ttl_ms: a shard whose owner is silent for so long may be taken.
        beat_s: how often leases are renewed and the living are counted.
        discover_s: how often new streams are looked for.
        sweep_s: how often settings are read, gaps and backlog looked at.
        claim_idle_ms: pending entries that nobody moved for so long are claimed.
        forget_idle_ms: consumers of other dispatchers that are silent for so long, with nothing pending, are forgotten.
        deliveries: how often an entry may be taken up before it is called poison.
        room: frames of one stream that may be in this process at once.
        read_count: entries of one stream that one read may bring; small, for an entry may be large.
        waited_streams: a shard of at most so many streams waits for entries in one read; of more, Redis says which are
            written.
        read_bytes: what one read of a shard may bring; a stream that sends more is read apart from the others.
        stream_entries, stream_bytes: a stream that holds more is trimmed to it, oldest first.
        isolated_s: a stream that sent too much is read apart from the others for so long.
        cached_references: symbol references kept per stream for P packets.
        references_bytes: what those of all streams may take in this process, about; beyond it the oldest are forgotten.
        max_batch: frames in one batch, if the decoder takes so many.
        tries: inference tries a frame has.
        gap_s: a gap in a stream's sequence is called lost after so long.
        retention: outcomes kept per stream, about.
        retention_bytes: what they may take, about: of larger ones fewer are kept.
        retention_s: outcomes of a silent stream are dropped after so long.
        dead_letters: refused entries kept per shard, about.
        future_ms: a capture time so far ahead of the server's clock is no capture time.
        past_ms: a capture time so long ago is no measure of the uplink; its histogram ends there.
        drain_s: at the end, what is in flight has so long to finish.
        readiness_s: a decoder that is lost, or is back, changes what this dispatcher is given after so long.
        rest_s: a stream whose keys are amiss, so that its frames cannot be ended, is left alone for so long.
        slo_ms: a mask that comes within so long of its entry id meets the objective.
        threads: threads that decode symbols and pack masks.
        unregistered: the settings of streams that nobody has set.
    """

    lease_ttl_ms: int = 3000
    beat_s: float = 0.7
    discover_s: float = 0.25
    sweep_s: float = 1.0
    claim_idle_ms: int = 10_000
    forget_idle_ms: int = 60_000
    deliveries: int = 3
    room: int = 16
    read_count: int = 4
    waited_streams: int = 32
    read_bytes: int = 32 << 20
    stream_entries: int = 4096
    stream_bytes: int = 16 << 20
    isolated_s: float = 30.0
    cached_references: int = 8
    references_bytes: int = 512 << 20
    max_batch: int = 16
    tries: int = 3
    gap_s: float = 30.0
    retention: int = 256
    retention_bytes: int = 32 << 20
    retention_s: int = 3600
    dead_letters: int = 1000
    future_ms: int = 5000
    past_ms: int = 60_000
    drain_s: float = 5.0
    readiness_s: float = 5.0
    rest_s: float = 5.0
    slo_ms: int = 500
    threads: int = 2
    unregistered: StreamSettings = field(default_factory=StreamSettings)

    def __post_init__(self) -> None:
        """Refuse values that would make the dispatcher lie or stop.

        Raises:
            ServiceError: a value is out of its range; the message names it.
        """
        positive = (
            "lease_ttl_ms",
            "beat_s",
            "discover_s",
            "sweep_s",
            "room",
            "read_count",
            "read_bytes",
            "stream_entries",
            "stream_bytes",
            "deliveries",
            "cached_references",
            "references_bytes",
            "max_batch",
            "tries",
            "retention",
            "retention_bytes",
            "retention_s",
            "threads",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ServiceError(f"setting {name} is {getattr(self, name)}; it must be above 0")
        if self.room < self.read_count:
            raise ServiceError(
                f"no read would fit: a stream has room for {self.room} frames, a read brings up to {self.read_count}"
            )
        if self.beat_s * 2000 > self.lease_ttl_ms:
            raise ServiceError(
                f"leases of {self.lease_ttl_ms} ms need a beat of at most half of it, not {self.beat_s} s"
            )
