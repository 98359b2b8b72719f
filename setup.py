"""Compile the symbol coder into the wheel; all else is declared in ``pyproject.toml``.

``NARROWS_WHEEL_PLATFORM`` names another platform than the present one, as ``manylinux_2_17_aarch64``; it needs ziglang.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
PLATFORM = os.environ.get("NARROWS_WHEEL_PLATFORM", "")


class Native(Distribution):
    """Has compiled code, so that its wheel is of one platform."""

    def has_ext_modules(self) -> bool:
        """As setuptools asks."""
        return True


class Wheel(bdist_wheel):
    """The coder is loaded with ctypes: any Python 3 takes it."""

    def get_tag(self) -> tuple[str, str, str]:
        """As setuptools asks."""
        return "py3", "none", PLATFORM or super().get_tag()[2]


class BuildWithCoder(build_py):
    """Copies the packages, then compiles the coder beside its copied source."""

    def run(self) -> None:
        """As setuptools asks; an editable install gets its coder from ``python -m narrows.contract.codec.build``."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # of an earlier build: modules that are gone by now
        super().run()
        build = codec_module("build")
        compiled = Path(self.build_lib, build.object_path().relative_to(ROOT)).absolute()
        try:
            build.build(zig_target(PLATFORM), compiled)
        except build.KernelMissing as error:
            sys.exit(f"the symbol coder is not compiled, and without it no camera runs: {error}")


def codec_module(name: str) -> ModuleType:
    """A module of ``narrows.contract.codec`` without its package's imports: they need NumPy, building does not."""
    sys.path.insert(0, str(ROOT))
    package = ModuleType("narrows.contract.codec")
    package.__path__ = [str(ROOT / "narrows" / "contract" / "codec")]
    sys.modules["narrows.contract.codec"] = package
    return import_module(f"narrows.contract.codec.{name}")


def zig_target(platform: str) -> str | None:
    """What zig calls a manylinux platform, with the glibc that it promises; ``None`` for this machine.

    Raises:
        SystemExit: it is no such platform.
    """
    if not platform:
        return None
    named = re.fullmatch(r"manylinux_(2)_(\d+)_(x86_64|aarch64)", platform)
    if named is None:
        sys.exit(f"NARROWS_WHEEL_PLATFORM={platform}: it is manylinux_2_17_x86_64 or manylinux_2_17_aarch64, say")
    return f"{named[3]}-linux-gnu.{named[1]}.{named[2]}"


setup(
    distclass=Native,
    cmdclass={"bdist_wheel": Wheel, "build_py": BuildWithCoder},
    setup_requires=["ziglang"] if PLATFORM or not (os.environ.get("CC") or shutil.which("cc")) else [],
)
