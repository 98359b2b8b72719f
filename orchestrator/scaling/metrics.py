"""Every metric of the autoscaler, declared in one place. Labels grow with bundles and servers, never with cameras.

Counters with a closed set of labels begin at 0: Prometheus cannot see the first step of a series that was not there.
"""

from __future__ import annotations

import math
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from orchestrator.scaling.reason import Reason
from orchestrator.scaling.signals import SIGNALS

BATCHES = (1, 2, 4, 8, 16)
ACTIONS = ("scale_up", "scale_down", "add_instances", "remove_instances", "keep")
OUTCOMES = ("ok", "redis", "engine", "crash")
LOOPS = ("lead", "rounds")
FAILURES = ("observe", "failed", "exhausted", "stale")


class ScaleMetrics:
    """The container: one registry, one attribute a metric."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.leader = gauge("narrows_scale_leader", "1 where this process decides")
        self.frozen = gauge("narrows_scale_frozen", "1 where the operator forbids any change")
        self.manual = gauge("narrows_scale_manual", "1 where the operator set the number of servers")
        self.dry_run = gauge("narrows_scale_dry_run", "1 where decisions are only said")
        self.exhausted = gauge(
            "narrows_scale_capacity_exhausted", "1 where more servers are wanted than slots are free"
        )
        self.wanted = gauge("narrows_scale_servers_wanted", "Servers that there should be")
        self.servers = gauge("narrows_scale_servers", "Servers", ["state"])
        self.instances = gauge("narrows_scale_instances", "Decoder instances in each server")
        self.instances_wanted = gauge("narrows_scale_instances_wanted", "Decoder instances that each should have")
        self.slots = gauge("narrows_scale_slots", "Servers that this place can hold; NaN: no limit is known")
        self.decisions = counter("narrows_scale_decisions_total", "Decisions that changed", ["action", "reason"])
        self.actuation_failures = counter(
            "narrows_scale_actuation_failures_total", "What an engine did not do", ["engine", "kind"]
        )
        self.rounds = counter("narrows_scale_rounds_total", "Looks, by how they ended", ["outcome"])
        self.signals = {name: gauge(each.metric, each.help) for name, each in SIGNALS.items()}
        self.loop_crashes = counter(
            "narrows_loop_crashes_total", "Unforeseen errors in a loop, which went on after it", ["loop"]
        )
        for loop in LOOPS:
            self.loop_crashes.labels(loop)
        self.offered = gauge("narrows_scale_offered_frames_per_second", "Frames offered each second", ["bundle"])
        self.reports = gauge("narrows_scale_dispatchers", "Dispatchers with a fresh report")
        self.load = gauge("narrows_scale_load_ratio", "Offered work over the capacity of the servers that are ready")
        self.target_load = gauge("narrows_scale_target_load_ratio", "The load that is aimed at")
        self.capacity = gauge(
            "narrows_scale_capacity_frames_per_second", "Frames a second that the servers that are ready do"
        )
        self.server_rate = gauge(
            "narrows_server_capacity_frames_per_second", "Frames a second that a server does", ["instances"]
        )
        self.capacity_streams = gauge("narrows_capacity_streams", "How many more cameras fit in the servers there are")
        self.capacity_streams_most = gauge(
            "narrows_capacity_streams_at_most", "How many more cameras fit in the servers that there may be"
        )
        self.batch_cost = gauge("narrows_batch_cost_seconds", "Learned cost of a batch", ["bundle", "batch"])
        self.decode_cost = gauge(
            "narrows_symbol_decode_seconds", "Learned cost of a frame's symbols in a dispatcher", ["bundle", "level"]
        )
        self.line_slope = gauge("narrows_load_line_slope", "Load against streams: load a stream")
        self.line_intercept = gauge("narrows_load_line_intercept", "Load against streams: load without streams")
        self.line_slope_error = gauge(
            "narrows_load_line_slope_error", "Load against streams: the slope's standard error"
        )
        self.line_r_squared = gauge("narrows_load_line_r_squared", "Load against streams: share of variance explained")
        self.line_points = gauge("narrows_load_line_points", "Load against streams: points that the line rests on")
        self.server_pending = gauge("narrows_server_pending_requests", "Requests in Triton's queues", ["server"])
        self.server_outstanding = gauge(
            "narrows_server_outstanding_frames", "Frames that dispatchers have there", ["server"]
        )
        self.server_queue = gauge("narrows_server_queue_seconds", "Mean wait in Triton's queue", ["server"])
        self.server_compute = gauge("narrows_server_compute_seconds", "Mean compute of a batch", ["server"])
        self.server_busy = gauge("narrows_server_busy_instances", "Instances that compute, on the mean", ["server"])
        self.server_gpu = gauge("narrows_server_gpu_ratio", "nv_gpu_utilization, which steers nothing", ["server"])
        self.server_gpu_memory = gauge("narrows_server_gpu_memory_ratio", "GPU memory in use", ["server"])
        self.build_info = gauge("narrows_build_info", "Always 1", ["version"])
        ProcessCollector(registry=self.registry)
        for outcome in OUTCOMES:
            self.rounds.labels(outcome)
        for action in ACTIONS:
            for reason in Reason:
                self.decisions.labels(action, reason.value)

    def engine_is(self, engine: str) -> None:
        """What this engine may fail to do is counted from 0."""
        for kind in FAILURES:
            self.actuation_failures.labels(engine, kind)

    def not_leading(self) -> None:
        """What only a leader can say is not said by others."""
        self.leader.set(0)
        for each in (self.wanted, self.instances_wanted, self.exhausted, self.frozen, self.manual):
            each.set(math.nan)
