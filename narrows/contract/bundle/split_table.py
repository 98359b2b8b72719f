"""The plan table of a split network's bundle: a design for each level of each cut."""

from __future__ import annotations

from narrows.contract.bundle.split_manifest import SplitManifest
from narrows.contract.schedule import Design, Kind, PlanTable

_MS = 1e-3


def design_name(cut: int, level: int) -> str:
    """What operators pin: packets name cut and level by the same numbers."""
    return f"cut {cut}, level {level}"


def plan_table(manifest: SplitManifest) -> PlanTable:
    """Every level of every cut, as it was measured when the bundle was written.

    What the head takes is the device's that was profiled; a planner corrects it by what its own device takes.
    """
    return PlanTable(
        manifest.network_sha256,
        "agreement with the unmodified network",
        tuple(
            Design(
                name=design_name(number, level),
                kind=Kind.SPLIT,
                device_macs=cut.head_macs,
                device_s=cut.head_ms * _MS,
                link_bytes=found.bytes,
                server_s=cut.tail_ms * _MS,
                accuracy=found.agreement,
                memory_bytes=cut.head_memory_bytes,
                device_energy_j=cut.head_energy_mj * _MS,
                cut=number,
                precision_bits=found.precision_bits,
                coding="rANS",
            )
            for number, cut in enumerate(manifest.cuts)
            for level, found in enumerate(cut.levels)
        ),
    )
