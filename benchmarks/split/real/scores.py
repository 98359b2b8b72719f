"""What a camera's journal and the results of its frames come to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narrows.contract.schedule import Objective


@dataclass(frozen=True)
class Result:
    """One contender on one trace.

    Attributes:
        results_per_s: that were there before the trace ended.
        mean_latency_s: of the frame that was begun last, averaged over time; without any frame the trace's length.
        switches: changes of the design during the trace.
        lost: frames that were acknowledged and have no end.
        designs: seconds for which each was in use.
    """

    results_per_s: float
    mean_latency_s: float
    switches: int
    lost: int
    designs: Mapping[str, float]

    def score(self, objective: Objective) -> float:
        """More is better."""
        return self.results_per_s if objective is Objective.THROUGHPUT else 1 / self.mean_latency_s


@dataclass(frozen=True)
class Play:
    """What is known of one camera after a trace.

    Attributes:
        began_ms: when the trace began, Unix time.
        journal: lines of the camera's journal.
        done_ms: when results were there, by epoch and sequence.
        ended_otherwise: frames that ended in no result, by the ledger.
    """

    began_ms: float
    length_s: int
    journal: Sequence[Mapping[str, Any]]
    done_ms: Mapping[tuple[int, int], int]
    ended_otherwise: int = 0

    def result(self) -> Result:
        """Its numbers."""
        done = [self._second(each) for each in self.done_ms.values()]
        changes = self._changes()
        return Result(
            results_per_s=sum(0 <= each <= self.length_s for each in done) / self.length_s,
            mean_latency_s=self._mean_latency_s(),
            switches=sum(0 <= at_s <= self.length_s for at_s, _ in changes[1:]),
            lost=max(0, self._without_result() - self.ended_otherwise),
            designs=self._designs(changes),
        )

    def _without_result(self) -> int:
        """By identity: what was not acknowledged before the camera ended may have arrived all the same."""
        sent = {(line["epoch"], line["sequence"]) for line in self.journal if line.get("sent")}
        return len(sent - self.done_ms.keys())

    def _second(self, unix_ms: float) -> float:
        return (unix_ms - self.began_ms) / 1e3

    def _frames(self) -> list[tuple[float, float]]:
        """Seconds of the trace at which frames were taken and their results were there; a frame without one never."""
        found = []
        for line in self.journal:
            if line.get("sent"):
                done_ms = self.done_ms.get((line["epoch"], line["sequence"]))
                done_s = float("inf") if done_ms is None else self._second(done_ms)
                found.append((self._second(line["capture_ms"]), done_s))
        return sorted(found)

    def _mean_latency_s(self) -> float:
        """A frame counts for as long as it is the newest within the trace; the one taken before it began, too."""
        frames = self._frames()
        if not frames:
            return float(self.length_s)
        ends = [*(taken_s for taken_s, _ in frames[1:]), float(self.length_s)]
        spans = [
            max(0.0, min(end_s, self.length_s) - max(taken_s, 0.0))
            for (taken_s, _), end_s in zip(frames, ends, strict=True)
        ]
        if not sum(spans):
            return float(self.length_s)
        weighed = sum((done_s - taken_s) * span for (taken_s, done_s), span in zip(frames, spans, strict=True) if span)
        return weighed / sum(spans)

    def _changes(self) -> list[tuple[float, str]]:
        """When each design took over: at the first frame that was coded at it."""
        taken = {(line["epoch"], line["sequence"]): line["capture_ms"] for line in self.journal if "capture_ms" in line}
        chosen = [(line["design"], line["epoch"], line["from_sequence"]) for line in self.journal if "design" in line]
        return [
            (self._second(taken[epoch, sequence]), design)
            for design, epoch, sequence in chosen if (epoch, sequence) in taken
        ]  # fmt: skip

    def _designs(self, changes: Sequence[tuple[float, str]]) -> dict[str, float]:
        used: dict[str, float] = {}
        if not changes:
            return used
        ends = [*(at_s for at_s, _ in changes[1:]), float(self.length_s)]
        for (at_s, design), end_s in zip(changes, ends, strict=True):
            span_s = max(0.0, min(end_s, self.length_s) - max(at_s, 0.0))
            used[design] = used.get(design, 0.0) + span_s
        return {design: round(span_s, 2) for design, span_s in used.items() if span_s > 0}
