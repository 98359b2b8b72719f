"""Compile the coders beside their sources: ``python -m narrows.contract.codec.build``.

The object's name holds a hash of the sources, so an object of older sources is never loaded.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from narrows.contract.codec.artifact import SOURCES, object_path
from narrows.contract.errors import KernelMissing

FLAGS = (
    "-O3",
    "-fno-tree-slp-vectorize",
    "-std=c11",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-fno-strict-overflow",
    "-Wall",
    "-Wextra",
)
ZIG_FLAGS = ("-mcpu=baseline", "-fno-sanitize=undefined")


def build(target: str | None = None, output: Path | None = None) -> Path:
    """Compile the kernel for this machine, or with ziglang for ``target`` (``aarch64-linux-gnu``, say) into ``output``.

    Raises:
        KernelMissing: there is no compiler, or it failed; the message has its words.
    """
    final = output or object_path()
    partial = final.with_name(f".{final.name}.{os.getpid()}")
    command = [*_compiler(target), *FLAGS, "-o", str(partial), *map(str, SOURCES)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise KernelMissing(f"{command[0]} cannot be run: {error}; correct $CC or install a C compiler") from None
    if done.returncode != 0:
        partial.unlink(missing_ok=True)
        raise KernelMissing(f"{shlex.join(command)} failed:\n{done.stderr.strip()}")
    partial.replace(final)
    if output is None:
        _remove_older(final)
    return final


def _compiler(target: str | None) -> list[str]:
    zig = [sys.executable, "-m", "ziglang", "cc", *ZIG_FLAGS] if importlib.util.find_spec("ziglang") else None
    if target is not None:
        if zig is None:
            raise KernelMissing(f"compiling for {target} needs ziglang: pip install ziglang")
        return [*zig, "-target", target]
    if chosen := os.environ.get("CC"):
        return shlex.split(chosen)
    if (found := shutil.which("cc")) is not None:
        return [found]
    if zig is not None:
        return zig
    raise KernelMissing(
        "no C compiler: install one (apt-get install gcc), or pip install ziglang; "
        "then python -m narrows.contract.codec.build"
    )


def _remove_older(final: Path) -> None:
    for old in final.parent.glob("_kernel_*.so"):
        if old != final:
            old.unlink(missing_ok=True)


def main() -> int:
    """Build, and say where the object lies or why there is none."""
    parser = argparse.ArgumentParser(prog="python -m narrows.contract.codec.build", description=__doc__)
    parser.add_argument("--target", help="a zig target triple, to cross-compile")
    parser.add_argument("--output", type=Path, help="where to write the object (default: beside the source)")
    arguments = parser.parse_args()
    try:
        built = build(arguments.target, arguments.output)
    except KernelMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{built}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
