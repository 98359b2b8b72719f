"""Every metric of the orchestrator, declared in one place. No label grows with the number of cameras.

``server`` is a server's gRPC address; its series vanish with it. ``group`` is a stream's, of which the first
``MOST_GROUPS`` keep their names; streams of further groups are counted under ``other``. What is counted by a closed set
of names begins at 0, for Prometheus cannot see the first step of a series that was not there.
"""

from __future__ import annotations

from functools import cache, partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from narrows.contract.errors import refusal_reasons
from orchestrator.telemetry.loop_counter import LoopCounter
from orchestrator.telemetry.stage_times import StageTimes

_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_BATCHES = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64)
MOST_GROUPS = 64
RECORDS = ("fence", "window")
LOOPS = (
    *("audits", "batches", "decoders", "discovery", "finishing", "handing over", "health", "housekeeping", "keys"),
    *("label tables", "leases", "names of servers", "rates", "reading", "reporting", "servers", "servers in Redis"),
)
OTHER_GROUPS = "other"


class Metrics:
    """The container: one registry, one attribute a metric.

    ``stage`` is one of ``uplink`` (capture to Redis, by the camera's clock; up to a minute), ``redis`` (entry id to
    reading), ``decode``, ``batch`` (waiting for one), ``infer``, ``pack``, ``publish`` and ``total`` (to the mask).
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.batch_size = histogram("narrows_batch_size", "Frames in a batch", buckets=_BATCHES)
        self.backlog_frames = gauge("narrows_backlog_frames", "Frames without an end, in the shards owned")
        self.backlog_age = gauge("narrows_backlog_age_seconds", "Age of the oldest frame without an end")
        self.active_streams = gauge("narrows_active_streams", "Streams with a frame in the last 10 s")
        self.streams = gauge("narrows_streams", "Streams: live, or silent for a minute to a day", ["group", "state"])
        self.load_ratio = gauge("narrows_decoder_load_ratio", "Offered work over capacity", ["bundle"])
        self.busy_ratio = gauge("narrows_decoder_busy_ratio", "Share of time in which instances compute", ["bundle"])
        self.instances = gauge("narrows_decoder_instances", "Decoder instances on all servers", ["bundle"])
        self.replicas = gauge("narrows_decoder_replicas", "Triton servers that take work", ["bundle"])
        self.decoder_ready = gauge("narrows_decoder_ready", "1 where a server takes work of the bundle", ["bundle"])
        self.capacity = gauge("narrows_capacity_frames_per_second", "Frames a second that fit", ["bundle"])
        self.server_state = gauge("narrows_server_state", "1 for the state that a server is in", ["server", "state"])
        self.server_outstanding = gauge("narrows_server_outstanding_frames", "Frames that a server has", ["server"])
        self.server_frames = counter("narrows_server_frames_total", "Frames that a server answered", ["server"])
        self.server_failures = counter("narrows_server_failures_total", "Batches that a server failed", ["server"])
        self.saturation = gauge("narrows_dispatcher_saturation", "Busy share of the event loop")
        self.asked_for_masks = gauge("narrows_streams_asked_for_masks", "Cameras that are asked to make masks")
        self.throttled_streams = gauge("narrows_throttled_streams", "Cameras that are asked for fewer frames")
        self.withheld = gauge("narrows_withheld_frames_per_second", "Frames a second that throttled cameras hold back")
        self.shards_owned = gauge("narrows_shards_owned", "Shards that this dispatcher owns")
        self.install_shards = gauge("narrows_install_shards", "Shards that the install was made with")
        self.lease_lost = counter("narrows_lease_lost_total", "Shards that went to another without our release")
        self.claimed = counter("narrows_claimed_total", "Abandoned entries that were claimed")
        self.lost_frames = counter("narrows_lost_frames_total", "Frames that never came: closed gaps", ["group"])
        self.trimmed = counter(
            "narrows_trimmed_entries_total", "Entries trimmed unread: over the stream's cap", ["group"]
        )
        self.isolated_streams = gauge(
            "narrows_isolated_streams", "Streams read apart from the others: they sent too much"
        )
        self.redis_clock_set_back = gauge(
            "narrows_redis_clock_set_back_seconds", "How far Redis' clock is behind what it has shown before"
        )
        self.clock_future = counter("narrows_clock_future_total", "Frames with a capture time ahead of the server")
        self.clock_behind = counter(
            "narrows_clock_behind_total",
            "Frames captured over a minute before they came: spooled, or by a clock behind",
        )
        self.dead_letters = counter("narrows_dead_letters_total", "Entries written to dead-letter streams", ["reason"])
        self.service_errors = counter("narrows_service_errors_total", "Troubles with a service", ["service"])
        self.faults = counter("narrows_faults_total", "Faults of services, each counted when it begins", ["cause"])
        self.frame_crashes = counter("narrows_frame_crashes_total", "Frames given up by an unforeseen error")
        self.loop_crashes = counter(
            "narrows_loop_crashes_total", "Unforeseen errors in a loop, which went on after it", ["loop"]
        )
        self.records_refused = counter("narrows_records_refused_total", "Records in Redis that are no such", ["record"])
        self.build_info = gauge("narrows_build_info", "Always 1", ["version"])
        self._declare_of_each_frame()
        self._declare_camera_masks()
        self._declare_references()
        ProcessCollector(registry=self.registry)
        self._groups: set[str] = set()
        self._look_up_once()
        self._begin_at_0()

    def _look_up_once(self) -> None:
        """Looking a labelled series up costs more than counting does, and a frame moves ten."""
        stage_times = StageTimes("narrows_stage_seconds", "Time by stage", _SECONDS)
        self.registry.register(stage_times)
        self.took = stage_times.observe
        self.frames_ended = cache(self.frames.labels)
        self.masks_made = cache(self.masks.labels)
        self.sealed_by = cache(self.sealed_frames.labels)

    def _begin_at_0(self) -> None:
        for reason in refusal_reasons():
            self.dead_letters.labels(reason)
        for loop in LOOPS:
            self.loop_crashes.labels(loop)
        for record in RECORDS:
            self.records_refused.labels(record)
        for service in ("redis", "triton"):
            self.service_errors.labels(service)

    def _declare_of_each_frame(self) -> None:
        counter = partial(LoopCounter, registry=self.registry)
        self.frames = counter("narrows_frames_total", "Frames that ended", ["outcome", "reason", "group"])
        self.payload_bytes = counter("narrows_payload_bytes_total", "Bytes of feature packets that were read")
        self.masks = counter("narrows_masks_total", "Masks by who made them: camera or cloud", ["made_by", "group"])
        self.slo_frames = counter(
            "narrows_slo_frames_total", "Frames by whether their mask came within the objective", ["policy", "within"]
        )
        self.sealed_frames = counter(
            "narrows_sealed_frames_total", "Authentic frames by the key id they were sealed with; 0: open", ["key_id"]
        )

    def _declare_references(self) -> None:
        self.references_bytes = Gauge(
            "narrows_references_bytes",
            "What the symbols take that P packets are coded against, about",
            registry=self.registry,
        )
        self.references_forgotten = Counter(
            "narrows_references_forgotten_total",
            "References forgotten early: those of all streams took too much",
            registry=self.registry,
        )

    def _declare_camera_masks(self) -> None:
        counter = partial(Counter, registry=self.registry)
        self.outputs_dropped = counter(
            "narrows_outputs_dropped_total", "Outputs after the first whose values cannot be: left out", ["output"]
        )
        self.audits = counter(
            "narrows_audits_total",
            "Cameras' masks to hold against the cloud's: compared, or dropped",
            ["group", "outcome"],
        )
        self.audited_pixels = counter(
            "narrows_audited_pixels_total",
            "Pixels of cameras' masks, by whether the cloud's agree",
            ["group", "agrees"],
        )

    def crashed(self, loop: str) -> None:
        """An error that nobody foresaw ended a turn of a loop."""
        self.loop_crashes.labels(loop).inc()

    def group(self, name: str) -> str:
        """The label of a stream's group: its name, or ``other`` where there are too many names."""
        if name in self._groups:
            return name
        label = name if len(self._groups) < MOST_GROUPS else OTHER_GROUPS
        if label == name:
            self._groups.add(name)
        self.frames.labels("mask", "", label)
        self.frames.labels("skipped", "stale", label)
        self.lost_frames.labels(label)
        for made_by in ("camera", "cloud"):
            self.masks.labels(made_by, label)
        for outcome in ("compared", "dropped"):
            self.audits.labels(label, outcome)
        for agrees in ("yes", "no"):
            self.audited_pixels.labels(label, agrees)
        self.trimmed.labels(label)
        return label
