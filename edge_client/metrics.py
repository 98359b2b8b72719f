"""What a camera's program shows Prometheus: every metric is declared here, and read when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from edge_client.capture.camera_watch import CameraState
from edge_client.reading import Reading
from edge_client.stats import LATENCY_BOUNDS_S, EdgeStats
from narrows.contract.records.prompts import PromptState

PREFIX = "narrows_edge_"


class EdgeMetrics(Collector):
    """Turns a reading into metric families."""

    def __init__(self, read: Callable[[], Reading]) -> None:
        self._read = read
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The families, of one reading."""
        reading = self._read()
        yield from _counters(reading.stats)
        yield from _labelled(reading.stats)
        yield _latency(reading.stats)
        yield from _gauges(reading)
        yield from _planning(reading)


def _counters(stats: EdgeStats) -> Iterator[Metric]:
    for name, value, text in (
        ("frames_taken", stats.frames_taken, "Frames that were given an identity."),
        ("frames_resumed", stats.frames_resumed, "Frames that a run before left in the spool."),
        ("frames_sent", stats.frames_sent, "Frames that Redis acknowledged."),
        ("bytes_sent", stats.bytes_sent, "Bytes of their packets."),
        ("frames_passed_over", stats.passed_over, "Frames of a camera that were not read, as a newer one was there."),
        ("behind_seconds", stats.behind_s, "Time by which frames came later than their pace."),
        ("network_seconds", stats.network_s, "Time in the encoder network."),
        ("coder_seconds", stats.coder_s, "Time in quantiser and entropy coder."),
        ("mask_seconds", stats.mask_s, "Time in masks made here: camera decoder, label coder, local masks."),
        ("prompt_seconds", stats.prompt_s, "Time in outlining what is pointed at."),
        ("control_malformed", stats.control_malformed, "Control records that could not be read."),
    ):
        yield CounterMetricFamily(PREFIX + name, text, value)


def _labelled(stats: EdgeStats) -> Iterator[Metric]:
    yield _by("frames_sent_as", "kind", stats.frames_sent_as, "Of the frames sent, those that carried this.")
    yield _by("frames_dropped", "reason", stats.frames_dropped, "Frames that were given up.")
    yield _by("link_failures", "reason", stats.link_failures, "Failed tries to reach Redis or to write to it.")
    yield _by("stills", "outcome", stats.stills, "Still pictures that the cloud asked for, by what became of each.")
    yield _by("camera_events", "event", stats.camera_events, "States the camera entered, breaks, pictures skipped.")


def _by(name: str, label: str, counts: Mapping[str, int], text: str) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _latency(stats: EdgeStats) -> Metric:
    family = HistogramMetricFamily(
        PREFIX + "latency_seconds", "From capture to the Redis entry, by the server's clock."
    )
    total, buckets = 0, []
    for bound, count in zip((*map(str, LATENCY_BOUNDS_S), "+Inf"), stats.latency, strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric([], buckets, stats.latency_s)
    return family


def _planning(reading: Reading) -> Iterator[Metric]:
    if not reading.design:
        return
    design = GaugeMetricFamily(
        PREFIX + "design", "1 for the design of the split network in use and why.", labels=["design", "reason"]
    )
    design.add_metric([reading.design, reading.design_reason], 1)
    yield design
    yield _by("design_changes", "reason", reading.design_changes, "How often another design took over.")


def _gauges(reading: Reading) -> Iterator[Metric]:
    state = GaugeMetricFamily(PREFIX + "camera_state", "1 for the state that the camera is in.", labels=["state"])
    for one in CameraState:
        state.add_metric([one.value], reading.stats.camera_state == one)
    yield state
    if reading.verdict is not None:
        sends = GaugeMetricFamily(PREFIX + "sends", "1 for what is sent now and why.", labels=["kind", "reason"])
        sends.add_metric([reading.verdict.sends.value, reading.verdict.reason.value], 1)
        yield sends
    prompts = GaugeMetricFamily(PREFIX + "prompts", "Prompts by what became of them.", labels=["state"])
    states = [each.state for each in reading.prompts]
    for one_state in PromptState:
        prompts.add_metric([one_state.value], states.count(one_state.value))
    yield prompts
    for name, value, text in (
        ("frames_waiting", reading.stats.frames_waiting, "Frames that wait or are on their way."),
        ("link_up", reading.trouble is None, "Whether Redis takes packets."),
        ("spool_frames", reading.spool_frames, "Frames on disk that were not read back."),
        ("spool_bytes", reading.spool_bytes, "What the spool takes of the disk."),
        ("goodput_bytes_per_second", reading.goodput_bytes_per_s, "What the link carried last."),
        ("round_trip_seconds", reading.round_trip_s, "The link's bare round trip."),
    ):
        yield GaugeMetricFamily(PREFIX + name, text, value)
    if reading.clock is not None:
        text = "This machine's wall clock less the server's."
        yield GaugeMetricFamily(PREFIX + "clock_offset_seconds", text, reading.clock.value_s)
        text = "How far that, and each latency, may be off."
        yield GaugeMetricFamily(PREFIX + "clock_error_seconds", text, reading.clock.error_s)
