"""Build what is published: the source distribution, and from it a wheel for each platform, each with its symbol coder.

Example: python -m tools.wheels --to dist
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import zipfile
from pathlib import Path

from tools.step_runner import StepFailed, run_step

ROOT = Path(__file__).resolve().parents[1]
PLATFORMS = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64")
"""With the oldest glibc that any manylinux names for aarch64 (PEP 599)."""
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
_MACHINE_AT = 18
_CODER = re.compile(r"narrows/contract/codec/_kernel_[0-9a-f]{12}\.so")


class WheelWrong(Exception):
    """A wheel is not what its name says; the message says how."""


def main() -> int:
    """Build and check; answers the exit status."""
    parser = argparse.ArgumentParser(prog="make wheels", description=__doc__)
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="the folder that they are written to")
    options = parser.parse_args()
    try:
        for built in build(options.to):
            print(built)
    except (StepFailed, WheelWrong) as error:
        print(error)
        return 1
    return 0


def build(folder: Path) -> list[Path]:
    """The source distribution and the wheels; each wheel is made of the former alone, so that nothing else gets in.

    Raises:
        StepFailed: something could not be built; the message has its words.
        WheelWrong: a wheel is not what its name says.
    """
    made = [_one(folder, "narrows-*.tar.gz", "source", ["build", "--sdist", "--outdir", str(folder), str(ROOT)], "")]
    for platform in PLATFORMS:
        command = ["pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(made[0])]
        made.append(_one(folder, f"narrows-*-{platform}.whl", f"wheel for {platform}", command, platform))
        check(made[-1])
    return made


def check(wheel: Path) -> None:
    """See that the coder in a wheel is of the wheel's platform: the processor, and no later glibc.

    Raises:
        WheelWrong: it is not, or it is missing.
    """
    named = re.search(r"-manylinux_(\d+)_(\d+)_(\w+)\.whl$", wheel.name)
    coders = [each for each in zipfile.ZipFile(wheel).namelist() if _CODER.fullmatch(each)]
    if named is None or len(coders) != 1:
        raise WheelWrong(f"{wheel.name} has {len(coders)} compiled symbol coders: one is to be in it")
    compiled = zipfile.ZipFile(wheel).read(coders[0])
    (machine,) = struct.unpack_from("<H", compiled, _MACHINE_AT)
    if machine != ELF_MACHINES[named[3]]:
        raise WheelWrong(f"{wheel.name}: {coders[0]} is for ELF machine {machine}")
    later = {found for found in glibc_versions(compiled) if found > (int(named[1]), int(named[2]))}
    if later:
        raise WheelWrong(f"{wheel.name}: {coders[0]} needs glibc {max(later)}")


def glibc_versions(compiled: bytes) -> set[tuple[int, int]]:
    """The versions of glibc's symbols that a shared object names."""
    return {(int(major), int(minor)) for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)", compiled)}


def _one(folder: Path, pattern: str, label: str, command: list[str], platform: str) -> Path:
    """Run a module of this Python that makes one file."""
    for old in folder.glob(pattern):
        old.unlink()
    run_step(label, ["env", f"NARROWS_WHEEL_PLATFORM={platform}", sys.executable, "-m", *command], ROOT)
    (made,) = folder.glob(pattern)
    return made


if __name__ == "__main__":
    sys.exit(main())
