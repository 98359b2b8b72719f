"""The designs of a measured network, by who may use them, and the schedulers that choose among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.split.ours import Ours
from benchmarks.split.rivals.dads import Dads
from benchmarks.split.rivals.dyno import Dyno
from benchmarks.split.rivals.neurosurgeon import Neurosurgeon, Option
from benchmarks.split.rivals.static import Static
from benchmarks.split.scheduler import Scheduler
from benchmarks.split.simulated_system import SimulationSettings
from narrows.contract.schedule import Constraints, Design, Kind, Objective, PlanTable

LEAST_ACCURACY = 0.99
"""A point of accuracy or agreement may be lost, by every scheduler."""
OURS, DEVICE_ONLY, SERVER_ONLY = "ours", "device only", "server only"
STATIC = "best static in hindsight"
RIVALS = ("Neurosurgeon", "DADS", "DynO", "DynO, our coder")
MEASURED = "split-designs"
_HEADER_BYTES = 48


@dataclass(frozen=True)
class DesignTables:
    """A network's designs, by who may use them.

    Attributes:
        table: ours: every cut at every precision, by our coder, device only, and pictures.
        packed: the same by bit shuffling and LZ4.
        tensors: single cuts with tensors as they are, as predicted by layers; ``cuts``: all of them as measured.
        server_only: the JPEG of fewest bytes that keeps the accuracy; where none does the most accurate, which no
            scheduler may use.
    """

    name: str
    table: PlanTable
    packed: tuple[Design, ...]
    tensors: tuple[Option, ...]
    cuts: tuple[Design, ...]
    server_only: Design

    @classmethod
    def of(cls, network: Mapping[str, Any]) -> DesignTables:
        """From what `benchmarks.split.measure` stored."""
        found = [(_design(each), each) for each in network["designs"] if each["accuracy"] >= LEAST_ACCURACY]
        alone = [design for design, _ in found if design.kind is Kind.DEVICE_ONLY]
        pictures = [design for design, _ in found if design.kind is Kind.SERVER_ONLY]
        ours = [design for design, each in found if each["coding"] == "rANS"]
        packed = [design for design, each in found if each["coding"] == "LZ4" and each["steps"] == "range"]
        raw = [_raw(each) for each in network["cuts"]]
        slower = network["predicted_ms"] / network["device_ms"]
        ends = [Option(each, (each.device_s or 0) * slower, each.server_s * slower) for each in (*alone, *pictures)]
        single = [
            Option(design, each["predicted_head_ms"] / 1e3, each["predicted_tail_ms"] / 1e3)
            for design, each in zip(raw, network["cuts"], strict=True) if each["single"]
        ]  # fmt: skip
        both = (*alone, *pictures)
        table = PlanTable(network["sha256"], network["measure"], tuple(_best_of((*both, *ours))))
        jpegs = [_design(each) for each in network["designs"] if each["kind"] == Kind.SERVER_ONLY]
        server_only = (
            min(pictures, key=lambda one: one.link_bytes) if pictures else max(jpegs, key=lambda one: one.accuracy)
        )
        return cls(network["name"], table, (*both, *_best_of(packed)), (*ends, *single), (*both, *raw), server_only)

    @property
    def device_only(self) -> Design:
        """The network on the device."""
        return next(design for design in self.table.designs if design.kind is Kind.DEVICE_ONLY)

    def schedulers(self, objective: Objective, settings: SimulationSettings) -> Mapping[str, Callable[[], Scheduler]]:
        """By name, each made fresh."""
        constraints = Constraints(least_accuracy=LEAST_ACCURACY)
        return {
            OURS: lambda: Ours(self.table, objective, constraints, settings.in_flight),
            DEVICE_ONLY: lambda: Static(self.device_only),
            SERVER_ONLY: lambda: Static(self.server_only),
            "Neurosurgeon": lambda: Neurosurgeon(self.tensors, settings.quota),
            "DADS": lambda: Dads(self.cuts, settings.quota, settings.frames_per_s),
            "DynO": lambda: Dyno(self.packed, objective, settings.quota),
            "DynO, our coder": lambda: Dyno(self.table.designs, objective, settings.quota),
        }


def _design(each: Mapping[str, Any]) -> Design:
    return Design(
        each["name"], Kind(each["kind"]), each["device_macs"], each["device_s"], each["link_bytes"], each["server_s"],
        each["accuracy"], each["memory_bytes"], each["device_energy_j"], None, each["bits"], each["coding"],
    )  # fmt: skip


def _raw(cut: Mapping[str, Any]) -> Design:
    """A cut with its tensors as they are."""
    name = f"{', '.join(cut['tensors'])}, as it is"
    return Design(
        name[:128], Kind.SPLIT, 0, cut["head_ms"] / 1e3, cut["bytes"] + _HEADER_BYTES, cut["tail_ms"] / 1e3, 1.0
    )


def _best_of(designs: Sequence[Design]) -> list[Design]:
    """Those than which no other is better in something and worse in nothing, accuracy aside: all have enough."""

    def costs(design: Design) -> tuple[float, float, float]:
        return design.device_s or 0.0, design.link_bytes, design.server_s

    def beaten(design: Design) -> bool:
        return any(
            all(theirs <= ours for theirs, ours in zip(costs(other), costs(design), strict=True))
            and costs(other) != costs(design)
            for other in designs
        )

    return [design for design in designs if design.kind is not Kind.SPLIT or not beaten(design)]
