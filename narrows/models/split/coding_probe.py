"""Times coding where it runs: `python3 coding_probe.py JOB`. On a device it needs what its camera runs, this package.

It prints one line of JSON: processor milliseconds to code and to decode a picture in each way of the job, and how much
longer than its processor time the whole job took: under a quota, or beside other programs, longer. Single runs are too
short to show that, for a group that has a tenth of a core may have its tenth at once.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from narrows.contract.bundle.split_plan import TensorPlan, read_plan
from narrows.contract.codec.tensor_quantiser import Symbols, tensor_digest

_RUNS, _LEAST_S, _LEAST_JOB_S = 3, 0.01, 0.2


class Array(msgspec.Struct, frozen=True):
    """A tensor or a picture."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, array: NDArray[Any]) -> Array:
        """To be sent."""
        return cls(str(array.dtype), array.shape, np.ascontiguousarray(array).tobytes())

    def array(self) -> NDArray[Any]:
        """As it was."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


class Job(msgspec.Struct, frozen=True):
    """What is coded, and in which ways. Answers come in this order: plans, packed, codecs.

    Attributes:
        tensors: what crosses on one picture.
        bits: of each level of the plan.
        plan: a cut's, as bundles have it.
        packed: whether each level is timed packed, too: so many bits a number, one behind the other.
        pictures: for picture codecs.
        codecs: name and quality of each.
    """

    tensors: tuple[Array, ...] = ()
    bits: tuple[int, ...] = ()
    plan: bytes = b""
    packed: bool = False
    pictures: tuple[Array, ...] = ()
    codecs: tuple[tuple[str, int], ...] = ()


Way = tuple[Callable[[], object], Callable[[], object]]
"""Coding and decoding once."""


def ways_of(job: Job) -> list[Way]:
    """All that a job asks for."""
    tensors = [each.array() for each in job.tensors]
    levels = read_plan(job.plan, job.bits, [each.shape for each in tensors]) if job.plan else ()
    pictures = [each.array() for each in job.pictures]
    ways = [_coded(plans, tensors) for plans in levels]
    if job.packed:
        ways += [_packed(plans, tensors) for plans in levels]
    return ways + [_pictured(kind, quality, picture) for kind, quality in job.codecs for picture in pictures]


def _coded(plans: tuple[TensorPlan, ...], tensors: list[NDArray[Any]]) -> Way:
    payloads = [plan.encode(tensor)[0] for plan, tensor in zip(plans, tensors, strict=True)]

    def encode() -> None:
        for plan, tensor in zip(plans, tensors, strict=True):
            plan.encode(tensor)

    def decode() -> None:
        for plan, payload, tensor in zip(plans, payloads, tensors, strict=True):
            symbols = plan.decode(payload, tensor.shape)
            tensor_digest(symbols)
            plan.values(symbols, tensor.shape, str(tensor.dtype))

    return encode, decode


def _packed(plans: tuple[TensorPlan, ...], tensors: list[NDArray[Any]]) -> Way:
    """In as many bits a value as the precision has, from the least that each channel of this picture has."""
    given = [(plan, tensor, _least(plan, tensor)) for plan, tensor in zip(plans, tensors, strict=True)]

    def packed(plan: TensorPlan, tensor: NDArray[Any], least: Symbols) -> NDArray[np.uint8]:
        width = plan.quantiser.bits
        unsigned = (plan.quantiser.symbols(plan.quantiser.planes(tensor)) - least).ravel()
        bits = (unsigned[:, None] >> np.arange(width)) & 1
        return np.packbits(bits.astype(np.uint8))

    def unpacked(data: NDArray[np.uint8], plan: TensorPlan, tensor: NDArray[Any], least: Symbols) -> NDArray[Any]:
        width = plan.quantiser.bits
        bits = np.unpackbits(data, count=width * tensor.size).reshape(-1, width)
        unsigned = bits @ (1 << np.arange(width))
        symbols: Symbols = unsigned.reshape(plan.quantiser.planes(tensor).shape).astype(np.int32)
        return plan.values(symbols + least, tensor.shape, str(tensor.dtype))

    made = [packed(*each) for each in given]
    return (
        lambda: [packed(*each) for each in given],
        lambda: [unpacked(data, *each) for data, each in zip(made, given, strict=True)],
    )


def _least(plan: TensorPlan, tensor: NDArray[Any]) -> Symbols:
    least: Symbols = plan.quantiser.symbols(plan.quantiser.planes(tensor)).min(axis=(1, 2), keepdims=True)
    return least


def _pictured(kind: str, quality: int, picture: NDArray[np.uint8]) -> Way:
    def encode() -> bytes:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, kind, quality=quality)
        return file.getvalue()

    data = encode()
    return encode, lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))  # noqa: TID251 -- our own bytes


def measured(job: Job) -> dict[str, Any]:
    """Milliseconds of each way, and how much longer than its processor time the job took."""
    ways = ways_of(job)
    begun_s, used_s = time.perf_counter(), time.process_time()
    found = [[processor_ms(once) for once in way] for way in ways]
    while time.process_time() - used_s < _LEAST_JOB_S and ways:
        for way in ways:
            way[0]()
    stretch = (time.perf_counter() - begun_s) / max(time.process_time() - used_s, 1e-9)
    return {"processor_ms": found, "stretch": max(1.0, stretch)}


def processor_ms(once: Callable[[], object]) -> float:
    """Of a run, the median."""
    once()
    times: list[float] = []
    while len(times) < _RUNS or sum(times) < _LEAST_S:
        begun_s = time.process_time()
        once()
        times.append(time.process_time() - begun_s)
    return 1e3 * statistics.median(times)


def main() -> int:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("job", type=Path, help="MessagePack of a Job")
    parser.add_argument("--cores", type=float, help="share of the processor, where no control group is had")
    given = parser.parse_args()
    if given.cores is not None:
        from narrows.models.split.probe import throttle  # noqa: PLC0415 -- it loads ONNX Runtime

        return throttle([sys.executable, __file__, str(given.job)], given.cores)
    job = msgspec.msgpack.decode(given.job.read_bytes(), type=Job)
    sys.stdout.write(json.dumps(measured(job)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
