"""The plan table of a split network's bundle: a design for each level of each cut, and what a level is trusted with.

A level keeps the results if its agreement is at least ``KEPT`` on other pictures too, with 95 % confidence. That is one
rule for the default level and for the camera's planner. Of a cut's finest level no such bound is asked: nothing finer
can be sent, so its agreement counts as it was measured, up to ``KEPT``.
"""

from __future__ import annotations

from collections.abc import Sequence

from narrows.contract.bundle.split_manifest import CutLevel, SplitCut, SplitManifest
from narrows.contract.schedule import Design, Kind, PlanTable

KEPT = 0.99
"""The agreement that is kept unless an operator asks for another."""
_MS = 1e-3


def design_name(cut: int, level: int) -> str:
    """What operators pin: packets name cut and level by the same numbers."""
    return f"cut {cut}, level {level}"


def plan_table(manifest: SplitManifest) -> PlanTable:
    """Every level of every cut, as it was measured when the bundle was written.

    What head and coder take is the device's that was profiled; a planner corrects it by what its own device takes.
    """
    bounded = _says_bounds(manifest.cuts)
    return PlanTable(
        manifest.network_sha256,
        "agreement with the unmodified network" + (", at least, with 95 % confidence" if bounded else ""),
        tuple(
            Design(
                name=design_name(number, level),
                kind=Kind.SPLIT,
                device_macs=cut.head_macs,
                device_s=(cut.head_ms + found.encode_ms) * _MS,
                link_bytes=found.bytes,
                server_s=(cut.tail_ms + found.decode_ms) * _MS,
                accuracy=trusted if bounded else found.agreement,
                memory_bytes=cut.head_memory_bytes,
                device_energy_j=_energy_mj(cut, found) * _MS,
                cut=number,
                precision_bits=found.precision_bits,
                coding="rANS",
            )
            for number, cut in enumerate(manifest.cuts)
            for level, (found, trusted) in enumerate(zip(cut.levels, trusted_agreements(cut.levels), strict=True))
        ),
    )


def trusted_agreements(levels: Sequence[CutLevel]) -> list[float]:
    """What each level of a cut is trusted to agree, the finest first."""
    finest, *coarser = levels
    return [max(finest.least_agreement, min(finest.agreement, KEPT)), *(level.least_agreement for level in coarser)]


def default_level(levels: Sequence[CutLevel]) -> int:
    """The coarsest level of a cut that keeps the results; the finest if none does."""
    return max((n for n, trusted in enumerate(trusted_agreements(levels)) if trusted >= KEPT), default=0)


def _says_bounds(cuts: Sequence[SplitCut]) -> bool:
    """A bundle of before says none."""
    return any(level.least_agreement for cut in cuts for level in cut.levels)


def _energy_mj(cut: SplitCut, level: CutLevel) -> float:
    """The head's, as much longer as coding makes it; unknown (0) where there is no head to go by."""
    return cut.head_energy_mj * (1 + level.encode_ms / cut.head_ms) if cut.head_ms else 0.0
