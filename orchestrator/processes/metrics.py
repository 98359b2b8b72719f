"""What the supervisor of several dispatcher processes exports of its own."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from orchestrator.processes.exposition import LABEL


class ProcessMetrics:
    """The container: one registry, one attribute a metric. What has no label ``process`` is the supervisor's own."""

    def __init__(self, processes: Iterable[str]) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self.up = Gauge(
            "narrows_dispatcher_process_up", "1 where a process answered this scrape", [LABEL], registry=self.registry
        )
        self.restarts = Counter(
            "narrows_dispatcher_process_restarts_total",
            "Times that a process ended by itself, or was silent, and was started again",
            [LABEL],
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        for process in processes:
            self.up.labels(process)
            self.restarts.labels(process)
