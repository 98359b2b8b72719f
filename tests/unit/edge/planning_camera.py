"""A camera that plans, on a link model: governor, meter and planning stage are the product's, time is the test's."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec.structs import replace as with_fields

from edge_client.encode.packet_sizes import FRAMING_BYTES
from edge_client.encode.split import SplitHead
from edge_client.planning.device import Device
from edge_client.planning.device_load import DeviceLoad
from edge_client.planning.settings import PlanSettings
from edge_client.planning.stage import PlanningStage
from edge_client.rate.goodput import Delivery
from edge_client.rate.governor import Governor
from edge_client.rate.steering import Choice
from narrows.contract.bundle import SplitBundle
from narrows.contract.bundle.split_manifest import SplitCut
from narrows.contract.schedule import Objective
from narrows.contract.wire import Control, FrameIdentity
from tests import split_bundles
from tests.unit.edge.edge_link_model import Link

LARGE, SMALL = 0, 1
"""Cuts: a quarter of a second at the camera and 20 kB, or over half a second and 1.3 kB."""
_TOOK_S = (0.27, 0.58)
_BYTES = (20_000, 1_300)
_PROBE_PERIOD_S, _LOOK_S, _QUESTION_BYTES = 1.0, 0.02, 80


def still_device(limit_cores: Callable[[], float] = lambda: math.inf) -> Device:
    """Nothing else runs on it, and a frame takes nothing beside its head."""
    load = DeviceLoad(lambda: 0.0, times=lambda: (0.0, 0.0), limit_cores=limit_cores)
    return Device(load=load, processor_s=lambda: 0.0)


def bundle_of_two_cuts(folder: Path) -> SplitBundle:
    """As a head early in a network and one at its end have it."""
    made = split_bundles.write(folder, unlike=True)
    cuts = [_with_bytes(cut, size) for cut, size in zip(made.manifest.cuts, _BYTES, strict=True)]
    return SplitBundle(made.folder, made.id, replace(made.manifest, cuts=tuple(cuts)), made.plans)


def _with_bytes(cut: SplitCut, size: int) -> SplitCut:
    levels = tuple(with_fields(level, bytes=float(size - FRAMING_BYTES)) for level in cut.levels)
    return with_fields(cut, levels=levels, head_ms=1e3 * _TOOK_S[cut.name != "early"] / 10, tail_ms=1.0)


@dataclass(frozen=True)
class _OnTheWay:
    coded_s: float
    acked_s: float
    size_bytes: int


@dataclass
class PlanningCamera:
    """Codes frame after frame as long as the link takes them.

    Attributes:
        notices_every_s: the device sleeps in between, as under a quota, and sees acknowledgements late; 0: at once.
        frames: when each was coded, at which cut, and how many bytes it has.
        results: when each was acknowledged.
    """

    bundle: SplitBundle
    link: Link
    notices_every_s: float = 0.0
    objective: Objective = Objective.THROUGHPUT
    pinned: str | None = None
    now_s: float = 0.0
    frames: list[tuple[float, int]] = field(default_factory=list)
    results: list[float] = field(default_factory=list)
    waiting: deque[_OnTheWay] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.stage = PlanningStage(
            self.bundle,
            SplitHead(self.bundle),
            PlanSettings(self.objective),
            lambda: self.now_s,
            device=still_device(),
            celsius=lambda: None,
        )
        self.governor = Governor(self.bundle.manifest, Choice(0, 30.0), adaptive=True, monotonic_s=lambda: self.now_s)
        self.probe_due_s = self.last_ack_s = 0.0

    def play(self, until_s: float) -> PlanningCamera:
        """Go on until then."""
        while self.now_s < until_s:
            self._take_in()
            self._probe()
            planned = self.stage.plan(
                self.governor.reading,
                self._first_in_line,
                Control(design=self.pinned),
                FrameIdentity(7, len(self.frames)),
            )
            self.governor.plan(planned.cut, planned.level)
            patience_s = self.governor.patience_s or math.inf
            if self.waiting and self.now_s - self.waiting[0].coded_s > patience_s:
                self.governor.held_back()
                self.now_s += _LOOK_S
                continue
            self._code(planned.cut, planned.level)
        return self

    def leap(self, ahead_s: float) -> None:
        """The clock is so far ahead of where it was: the machine slept."""
        self.now_s += ahead_s

    def shares(self, from_s: float, until_s: float) -> dict[int, float]:
        """Of the frames coded between two moments, the share at each cut."""
        cuts = Counter(cut for at_s, cut in self.frames if from_s <= at_s < until_s)
        return {cut: cuts[cut] / cuts.total() for cut in (LARGE, SMALL)}

    def results_per_s(self, from_s: float, until_s: float) -> float:
        """Acknowledged between two moments."""
        return sum(from_s <= at_s < until_s for at_s in self.results) / (until_s - from_s)

    @property
    def _first_in_line(self) -> tuple[int, float]:
        if not self.waiting:
            return 0, 0.0
        first = self.waiting[0]
        return first.size_bytes, self.now_s - max(first.coded_s, self.last_ack_s)

    def _code(self, cut: int, level: int) -> None:
        self.now_s += _TOOK_S[cut]
        size = _BYTES[cut] + (len(self.frames) * 37) % 60 - 30
        self.stage.coded(level, _TOOK_S[cut], size - FRAMING_BYTES)
        self.governor.coded(level, size - FRAMING_BYTES, _TOOK_S[cut])
        acked_s = self._noticed_s(self.link.answered_s(size, self.now_s))
        if self.waiting:
            acked_s = max(acked_s, self.waiting[-1].acked_s)
        self.waiting.append(_OnTheWay(self.now_s, acked_s, size))
        self.frames.append((self.now_s, cut))

    def _take_in(self) -> None:
        while self.waiting and self.waiting[0].acked_s <= self.now_s:
            each = self.waiting.popleft()
            self.last_ack_s = each.acked_s
            self.results.append(each.acked_s)
            self.governor.delivered(Delivery(each.coded_s, each.coded_s, each.acked_s, each.size_bytes))

    def _probe(self) -> None:
        if self.now_s >= self.probe_due_s and not self.waiting:
            self.probe_due_s = self.now_s + _PROBE_PERIOD_S
            answered_s = self._noticed_s(self.link.answered_s(_QUESTION_BYTES, self.now_s))
            self.governor.probed(answered_s - self.now_s)

    def _noticed_s(self, at_s: float) -> float:
        if not self.notices_every_s:
            return at_s
        return math.ceil(at_s / self.notices_every_s) * self.notices_every_s
