"""What coding takes on the device, and decoding on the server: of what crosses at a cut, and of pictures.

::

    tensors of a picture, plan of each level ─┐         ┌─► coded on the device ─► encode_ms ─┐
    pictures, codecs and qualities ───────────┴─► job ──┴─► decoded on the server ─► decode_ms ┴─► CodingTime of each

A device that lacks the coder (it needs this package, as its camera does) has an estimate: the times of this machine,
by how much slower the network ran there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from narrows.contract.bundle.split_plan import TensorPlan, pack_plan
from narrows.contract.errors import ProfilingFailed
from narrows.models.split.coding_probe import Array, Job
from narrows.models.split.cuts import Cut
from narrows.models.split.design import fit_coders, fit_rounding
from narrows.models.split.device import Coded, Device, Local
from narrows.models.split.feeding import Picture
from narrows.models.split.halves import Values

MEASURED = "measured"
REFERENCE_BITS = 8
_REFERENCE_SHAPE = (1, 64, 28, 28)
"""A tensor as those in the middle of mobile networks."""


@dataclass(frozen=True)
class CodingTime:
    """Milliseconds of a picture: to quantise and code on the device, to decode and multiply out on the server."""

    encode_ms: float
    decode_ms: float


@dataclass(frozen=True)
class Machines:
    """Where coding is timed. Without a ``server`` the device is the machine for both."""

    device: Device = field(default_factory=Local)
    server: Device | None = None


@dataclass(frozen=True)
class CodingTimes:
    """Of the ways of a job, in its order; ``source`` says how those of the device were had."""

    times: tuple[CodingTime, ...]
    source: str = MEASURED


def time_job(machines: Machines, job: Job, slower: float) -> CodingTimes:
    """Run a job on both machines.

    Args:
        machines: the device and the server.
        job: what to code.
        slower: how many times as long as on the server the network took on the device.

    Raises:
        ProfilingFailed: the server cannot run it.
    """
    if machines.server is None:
        both = machines.device.time_coding(job)
        return CodingTimes(_paired(both, both))
    served = machines.server.time_coding(job)
    try:
        return CodingTimes(_paired(machines.device.time_coding(job), served))
    except ProfilingFailed as error:
        guessed = Coded(served.processor_ms, served.stretch * slower)
        return CodingTimes(_paired(guessed, served), f"estimate: {slower:.3g} x this machine's, for {error}")


def _paired(device: Coded, server: Coded) -> tuple[CodingTime, ...]:
    return tuple(
        CodingTime(encode_ms * device.stretch, decode_ms * server.stretch)
        for (encode_ms, _), (_, decode_ms) in zip(device.processor_ms, server.processor_ms, strict=True)
    )


def levels_job(crossed: Values, cut: Cut, levels: Sequence[Sequence[TensorPlan]], *, packed: bool = False) -> Job:
    """Coding of one picture's tensors by each level of a plan."""
    bits = tuple(level[0].quantiser.bits for level in levels)
    return Job(tuple(Array.of(crossed[name]) for name in cut.names), bits, pack_plan(levels), packed)


def pictures_job(pictures: Sequence[Picture], codecs: Sequence[tuple[str, int]]) -> Job:
    """Coding of pictures; of each codec the times of the pictures stand side by side."""
    return Job(pictures=tuple(map(Array.of, pictures)), codecs=tuple(codecs))


def reference_job() -> Job:
    """A tensor of which half is zero, as what is rectified is: tells what coding takes before there are pictures."""
    random = np.random.default_rng(0)
    values = {"crossed": np.maximum(random.laplace(size=_REFERENCE_SHAPE), 0).astype(np.float32)}
    rounding = fit_rounding([values], ["crossed"], REFERENCE_BITS, None)
    plan = TensorPlan(rounding.quantisers["crossed"], fit_coders(rounding, [values])["crossed"])
    return Job((Array.of(values["crossed"]),), (REFERENCE_BITS,), pack_plan([[plan]]))


def reference_values() -> int:
    """How many numbers the reference job codes."""
    return int(np.prod(_REFERENCE_SHAPE))
