"""The coder on an emulated aarch64 machine beside this one's: every level, K and P, bit for bit.

Needs ``qemu-aarch64`` (Debian's qemu-user) and a compiler for it (PyPI's ziglang, or gcc-aarch64-linux-gnu with
libc6-dev-arm64-cross). Where one is missing it says so and passes, unless ``--required``.

Example: python -m tests.aarch64 --bundle bundles/demo
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from narrows.contract.bundle import Bundle
from narrows.contract.codec import CodingTables, Memory, encode_symbols, remember
from narrows.contract.codec.build import ZIG_FLAGS
from narrows.contract.codec.contexts import LevelContexts, Thresholds, native_arrays
from narrows.contract.codec.kernel import CONTEXT_ARRAYS
from narrows.contract.codec.tables import LevelTables
from tests.unit.codec.codec_samples import arbitrary_tables, smooth_planes

SOURCE = Path(__file__).with_name("check.c")
EMULATORS = ("qemu-aarch64", "qemu-aarch64-static")
GCC = "aarch64-linux-gnu-gcc"
PLANES_A_LEVEL = 6
ARBITRARY = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="make test-aarch64", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/demo"))
    parser.add_argument("--required", action="store_true", help="fail where the emulator or compiler is missing")
    options = parser.parse_args()
    emulator = next((found for name in EMULATORS if (found := shutil.which(name))), None)
    compiler = _compiler()
    if emulator is None or compiler is None:
        missing = (
            "qemu-aarch64: apt-get install qemu-user" if emulator is None else f"{GCC} or ziglang: pip install ziglang"
        )
        print(f"SKIPPED: there is no {missing}")
        return int(options.required)
    bundle = Bundle.open(options.bundle)
    cases = [(bundle.tables, bundle.manifest.latent.as_tuple())]
    cases += [(arbitrary_tables(seed, 4), (4, 9, 13)) for seed in range(ARBITRARY)]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "check"
        subprocess.run([*compiler, "-O3", "-std=c11", "-static", "-o", program, SOURCE], check=True)
        for index, (tables, shape) in enumerate(cases):
            given = Path(folder) / "given"
            given.write_bytes(b"".join(written(tables, shape)))
            done = subprocess.run([emulator, program, given], capture_output=True, text=True, check=False)
            print(
                f"{'bundle ' + bundle.hex_id if index == 0 else 'arbitrary tables'}: {done.stdout.strip()}{done.stderr}"
            )
            if done.returncode:
                return 1
    return 0


def _compiler() -> list[str] | None:
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", *ZIG_FLAGS, "-target", "aarch64-linux-musl"]
    return [GCC] if shutil.which(GCC) else None


def written(tables: CodingTables, shape: tuple[int, int, int]) -> Iterator[bytes]:
    """What ``check.c`` reads: the tables, planes of ``shape`` (C, h, w), and what this machine makes of them."""
    yield _number(tables.levels)
    for index, level in enumerate(tables.by_level):
        yield _number(tables.channels)
        yield _blob(level.channels)
        yield from _contexts(tables.key, level.key, level)
        if tables.predict is not None and level.predicted is not None:
            yield from _contexts(tables.predict, level.predicted, level)
        else:
            yield _number(0) * 2 + _blob(np.zeros(0, np.uint8)) * len(CONTEXT_ARRAYS)
        yield _blob(np.array([len(table) for table in level.frequencies], dtype=np.uint16))
        yield _blob(np.concatenate(level.frequencies))
        planes = list(_planes(tables, index, shape))
        yield _number(len(planes))
        for symbols, memory in planes:
            yield from _plane(tables, index, symbols, memory)


def _planes(
    tables: CodingTables, level: int, shape: tuple[int, int, int]
) -> Iterator[tuple[NDArray[np.int8], Memory | None]]:
    """Planes as K, and, where the tables can, as P in a chain."""
    memory: Memory | None = None
    for spread in (1.0, 40.0):
        for plane in smooth_planes(PLANES_A_LEVEL, shape, spread, level):
            symbols = tables.silence(plane, level)
            yield symbols, None
            if tables.predicted and memory is not None:
                yield symbols, memory
            memory = remember(symbols, memory)


def _plane(tables: CodingTables, level: int, symbols: NDArray[np.int8], memory: Memory | None) -> Iterator[bytes]:
    yield _number(symbols.shape[1]) + _number(symbols.shape[2]) + _blob(symbols)
    nothing = np.zeros(0, np.int16)
    yield _blob(nothing if memory is None else memory)
    yield _blob(np.frombuffer(encode_symbols(symbols, tables, level, memory), dtype=np.uint8))
    yield _blob(nothing if memory is None else remember(symbols, memory))


def _contexts(thresholds: Thresholds, contexts: LevelContexts, level: LevelTables) -> Iterator[bytes]:
    arrays = native_arrays(thresholds, contexts, level.channels, level.frequencies)
    yield _number(thresholds.bins) + _number(contexts.magnitude_weights.shape[1])
    yield from (_blob(arrays[name]) for name in CONTEXT_ARRAYS)


def _number(value: int) -> bytes:
    return struct.pack("<II", 4, value)


def _blob(array: NDArray[np.generic]) -> bytes:
    data = np.ascontiguousarray(array).tobytes()
    return struct.pack("<I", len(data)) + data


if __name__ == "__main__":
    sys.exit(main())
