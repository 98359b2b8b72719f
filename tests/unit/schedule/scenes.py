"""Tables and conditions for the tests of planning."""

from __future__ import annotations

from narrows.contract.schedule import Conditions, Constraints, Design, Kind, Objective, Planner, PlanTable

GMAC = 1_000_000_000


def design(
    name: str,
    device_s: float | None = 0.1,
    link_bytes: float = 10_000,
    server_s: float = 0.02,
    accuracy: float = 1.0,
    memory_bytes: int = 1_000_000,
    macs: int = GMAC,
    energy_j: float = 0.3,
    kind: Kind = Kind.SPLIT,
) -> Design:
    return Design(name, kind, macs, device_s, link_bytes, server_s, accuracy, memory_bytes, energy_j)


DEVICE = design("device", 0.5, 100, 0.0, kind=Kind.DEVICE_ONLY, memory_bytes=9_000_000, energy_j=1.5, macs=5 * GMAC)
EARLY = design("early", 0.05, 60_000, 0.08, 0.995, energy_j=0.15, macs=GMAC // 2)
LATE = design("late", 0.3, 3_000, 0.02, 0.99, memory_bytes=5_000_000, energy_j=0.9, macs=3 * GMAC)
PICTURE = design("picture", 0.01, 90_000, 0.1, 0.98, kind=Kind.SERVER_ONLY, energy_j=0.03, macs=0)
SLOW, FAST = Conditions(20_000.0, 0.04), Conditions(10_000_000.0, 0.04)
AWAY = Conditions(0.0, 0.04)


def table(*designs: Design) -> PlanTable:
    return PlanTable("0" * 64, "mIoU", designs or (DEVICE, EARLY, LATE, PICTURE))


def planner(
    objective: Objective = Objective.LATENCY, constraints: Constraints | None = None, *designs: Design
) -> Planner:
    return Planner(table(*designs), objective, constraints or Constraints())
