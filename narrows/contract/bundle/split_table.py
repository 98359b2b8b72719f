"""The plan table of a split network's bundle: a design for each level of each cut."""

from __future__ import annotations

from narrows.contract.bundle.split_manifest import CutLevel, SplitCut, SplitManifest
from narrows.contract.schedule import Design, Kind, PlanTable

_MS = 1e-3


def design_name(cut: int, level: int) -> str:
    """What operators pin: packets name cut and level by the same numbers."""
    return f"cut {cut}, level {level}"


def plan_table(manifest: SplitManifest) -> PlanTable:
    """Every level of every cut, as it was measured when the bundle was written.

    What head and coder take is the device's that was profiled; a planner corrects it by what its own device takes.
    """
    return PlanTable(
        manifest.network_sha256,
        "agreement with the unmodified network",
        tuple(
            Design(
                name=design_name(number, level),
                kind=Kind.SPLIT,
                device_macs=cut.head_macs,
                device_s=(cut.head_ms + found.encode_ms) * _MS,
                link_bytes=found.bytes,
                server_s=(cut.tail_ms + found.decode_ms) * _MS,
                accuracy=found.agreement,
                memory_bytes=cut.head_memory_bytes,
                device_energy_j=_energy_mj(cut, found) * _MS,
                cut=number,
                precision_bits=found.precision_bits,
                coding="rANS",
            )
            for number, cut in enumerate(manifest.cuts)
            for level, found in enumerate(cut.levels)
        ),
    )


def _energy_mj(cut: SplitCut, level: CutLevel) -> float:
    """The head's, as much longer as coding makes it; unknown (0) where there is no head to go by."""
    return cut.head_energy_mj * (1 + level.encode_ms / cut.head_ms) if cut.head_ms else 0.0
