"""A decision as a record: what was chosen, why, what was next best, what would change it.

::

    street-7 uses split at cut 2, 3 bits, rANS, for 12 s: better by the objective (latency).
    ...
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from narrows.contract.schedule.conditions import PRIOR_BYTES_PER_S, Conditions
from narrows.contract.schedule.objective import Objective, first
from narrows.contract.schedule.planner import Considered, Decision, Planner
from narrows.contract.schedule.table import MOST_DESIGNS, Design, DesignName
from narrows.contract.wire.record import Ratio, Record, Seconds, UnixMs

_WIDEST, _HALVINGS, _STEPS = 64.0, 12, 24
_Bytes = Annotated[float, Meta(ge=0, le=1e12)]
_Words = Annotated[str, Meta(max_length=256)]
_MOST_NAMED = 16
"""More than there are constraints, or ways in which another design would be best."""


class Numbers(Struct, frozen=True):
    """A design, and what it would do; a number without an end is ``None``."""

    design: DesignName
    latency_s: Seconds | None
    frames_per_s: Annotated[float, Meta(ge=0)] | None
    device_energy_j: float
    server_s: Seconds
    accuracy: Ratio
    link_bytes: _Bytes


class Change(Struct, frozen=True):
    """Another design would be best if one thing were measured otherwise.

    Attributes:
        what: ``goodput_bytes_per_s``, ``cloud_load`` or ``device_load``.
        side: ``above`` or ``below`` the value.
        design: the one that would be.
    """

    what: _Words
    side: _Words
    value: float
    design: DesignName


class Explanation(Record, frozen=True, tag_field="v", tag=1):
    """Which design a camera uses, and why.

    Attributes:
        at_ms: when it was written, by the camera's clock.
        for_s: how long the design has been in use.
        goodput_bytes_per_s, round_trip_s, device_load, temperature_c, cloud_load: what was measured.
        overhead_s: what a frame takes of the device's processor beside head and coder.
        size_ratio: bytes of the latest packets over what the table expects.
        device_factor: how many times as long as by the table heads take; ``None`` before the first was run.
        broken: constraints that it breaks because no design keeps them all, or since a moment only.
        designs: all that may be pinned.
        measure: what the accuracy of designs is.
    """

    what: ClassVar[str] = "a plan's explanation"
    most_bytes: ClassVar[int] = 1 << 18

    at_ms: UnixMs
    chosen: Numbers
    reason: _Words
    for_s: Seconds
    objective: Objective
    goodput_bytes_per_s: _Bytes | None
    round_trip_s: Seconds
    device_load: Ratio
    temperature_c: float | None
    cloud_load: Ratio
    device_factor: Annotated[float, Meta(gt=0)] | None
    next_best: Numbers | None = None
    broken: Annotated[tuple[_Words, ...], Meta(max_length=_MOST_NAMED)] = ()
    changes: Annotated[tuple[Change, ...], Meta(max_length=_MOST_NAMED)] = ()
    designs: Annotated[tuple[DesignName, ...], Meta(max_length=MOST_DESIGNS)] = ()
    size_ratio: Annotated[float, Meta(ge=0)] = 1.0
    measure: _Words = ""
    overhead_s: Seconds = 0.0


def explain(planner: Planner, decision: Decision, now_s: float, at_ms: int) -> Explanation:
    """A decision as a record."""
    seen = decision.seen
    return Explanation(
        at_ms=at_ms,
        chosen=_numbers(decision.chosen),
        reason=decision.reason.value,
        for_s=max(0.0, now_s - decision.since_s),
        objective=planner.objective,
        goodput_bytes_per_s=_finite(seen.goodput_bytes_per_s),
        round_trip_s=seen.round_trip_s,
        device_load=seen.device_load,
        temperature_c=seen.temperature_c,
        cloud_load=seen.cloud_load,
        device_factor=decision.device_factor if decision.device_measured else None,
        next_best=None if decision.next_best is None else _numbers(decision.next_best),
        broken=decision.broken,
        changes=tuple(changes(planner, seen)),
        designs=tuple(design.name for design in planner.table.designs),
        size_ratio=seen.size_ratio,
        measure=planner.table.measure,
        overhead_s=seen.overhead_s,
    )


def changes(planner: Planner, seen: Conditions) -> Iterator[Change]:
    """The nearest value of each measurement, either way, at which another design is best."""
    goodput = seen.goodput_bytes_per_s if seen.goodput_bytes_per_s < math.inf else PRIOR_BYTES_PER_S
    goodput = max(goodput, 1.0)
    contenders = _contenders(planner, seen)

    def of_goodput(share: float) -> Conditions:
        return replace(seen, goodput_bytes_per_s=goodput * _WIDEST**share)

    def of_cloud(share: float) -> Conditions:
        return replace(seen, cloud_load=_towards(seen.cloud_load, share))

    def of_device(share: float) -> Conditions:
        return replace(seen, device_load=_towards(seen.device_load, share))

    ways: tuple[tuple[str, Callable[[float], Conditions]], ...] = (
        ("goodput_bytes_per_s", of_goodput), ("cloud_load", of_cloud), ("device_load", of_device),
    )  # fmt: skip
    now = _best(planner, contenders, seen)
    for what, conditions in ways:
        for side, sign in (("below", -1.0), ("above", 1.0)):
            found = _nearest(planner, contenders, now, lambda share, of=conditions, by=sign: of(by * share))  # type: ignore[misc]
            if found is not None:
                share, design = found
                yield Change(what, side, float(getattr(conditions(sign * share), what)), design)


def _towards(value: float, share: float) -> float:
    """From a load towards 0 (share -1) or towards all but a hundredth (share 1)."""
    return value + share * ((0.99 - value) if share > 0 else value)


def _contenders(planner: Planner, seen: Conditions) -> list[Design]:
    """Those that can be best: accuracy and memory come before all that is measured, and do not depend on it."""
    considered = planner.consider(seen)
    least = min(each.rank[0] for each in considered)
    return [each.design for each in considered if each.rank[0] == least]


def _nearest(
    planner: Planner, contenders: Sequence[Design], now: str, of: Callable[[float], Conditions]
) -> tuple[float, str] | None:
    """The least share, by steps and then by halving, at which another design is best."""
    last = 0.0
    for step in range(1, _STEPS + 1):
        share = step / _STEPS
        if _best(planner, contenders, of(share)) != now:
            for _ in range(_HALVINGS):
                middle = (last + share) / 2
                still = _best(planner, contenders, of(middle)) == now
                last, share = (middle, share) if still else (last, middle)
            return share, _best(planner, contenders, of(share))
        last = share
    return None


def _best(planner: Planner, contenders: Sequence[Design], seen: Conditions) -> str:
    return contenders[first([each.rank for each in planner.consider(seen, among=contenders)])].name


def _numbers(considered: Considered) -> Numbers:
    found = considered.estimate
    return Numbers(
        considered.design.name,
        _finite(found.latency_s),
        _finite(found.frames_per_s),
        found.device_energy_j,
        found.server_s,
        found.accuracy,
        considered.design.link_bytes,
    )


def _finite(value: float) -> float | None:
    return value if value < math.inf else None
