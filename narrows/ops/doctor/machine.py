"""What this machine has of what Narrows needs, and the remedy for what it lacks. Runs before anything is installed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 12)
OLDEST_GLIBC = (2, 35)


@dataclass(frozen=True)
class Problem:
    """Something that stands in the way, and what to do."""

    subject: str
    detail: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.detail}: {self.remedy}"


@dataclass(frozen=True)
class HostMachine:
    """What was found.

    Attributes:
        python: version of the Python that runs this.
        system, architecture: ``"Linux"`` and ``"x86_64"``, say.
        glibc: version of the C library; ``None`` if it is another one.
        missing_modules: of ``venv`` and ``ensurepip``, those that Python lacks.
        libpython: the shared library of this Python.
        compiler: the C compiler.
    """

    python: tuple[int, int]
    system: str
    architecture: str
    glibc: tuple[int, ...] | None
    missing_modules: tuple[str, ...]
    libpython: Path | None
    compiler: str | None

    @classmethod
    def look(cls) -> HostMachine:
        """Look at the machine that runs this."""
        return cls(
            python=sys.version_info[:2],
            system=platform.system(),
            architecture=platform.machine(),
            glibc=_glibc(),
            missing_modules=tuple(name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None),
            libpython=find_libpython(),
            compiler=os.environ.get("CC") or shutil.which("cc"),
        )


def problems(machine: HostMachine) -> list[Problem]:
    """What stands in the way. A missing compiler does not: ``ziglang`` takes its place."""
    found = [*_python_problems(machine)]
    if (machine.system, machine.architecture) != ("Linux", "x86_64"):
        found.append(
            Problem(
                "system",
                f"this machine is {machine.system} on {machine.architecture}; the Triton wheel is for Linux on x86_64",
                "use a Linux machine on x86_64, or run the stack's containers instead of `make demo`",
            )
        )
    elif machine.glibc is None or machine.glibc < OLDEST_GLIBC:
        library = f"glibc {dotted(machine.glibc)}" if machine.glibc else "not glibc"
        oldest = dotted(OLDEST_GLIBC)
        detail = f"the C library is {library}; the Triton wheel needs glibc {oldest} or later"
        found.append(Problem("system", detail, "use Debian 12, Ubuntu 22.04 or a later one"))
    return found


def find_libpython() -> Path | None:
    """The shared libpython of this Python, which the stub of Triton's python backend loads.

    Its configuration names a folder that may not exist (relocated builds) or lack the file (Debian packs it alone).
    """
    name = f"libpython{sys.version_info[0]}.{sys.version_info[1]}.so.1.0"
    folders = [sysconfig.get_config_var("LIBDIR"), os.path.join(sys.base_prefix, "lib")]  # noqa: PTH118
    multiarch = sysconfig.get_config_var("MULTIARCH")
    folders += [os.path.join("/usr/lib", multiarch)] if multiarch else []  # noqa: PTH118
    return next((Path(folder) / name for folder in folders if folder and (Path(folder) / name).is_file()), None)


def _glibc() -> tuple[int, ...] | None:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        return None
    kind, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    return tuple(int(part) for part in version.split(".")[:2]) if kind == "glibc" else None


def _python_problems(machine: HostMachine) -> list[Problem]:
    oldest, newest = dotted(OLDEST_PYTHON), dotted(NEWEST_PYTHON)
    if not OLDEST_PYTHON <= machine.python <= NEWEST_PYTHON:
        remedy = (
            f"apt-get install python{oldest} python{oldest}-venv libpython{oldest}, then make PYTHON=python{oldest}"
        )
        return [Problem("Python", f"this is Python {dotted(machine.python)}; {oldest} to {newest} is needed", remedy)]
    version = dotted(machine.python)
    found = []
    if machine.missing_modules:
        names = " and ".join(machine.missing_modules)
        found.append(Problem("Python", f"this Python lacks {names}", f"apt-get install python{version}-venv"))
    if machine.libpython is None:
        found.append(
            Problem(
                "libpython",
                "this Python has no shared libpython, which Triton's python backend loads",
                f"apt-get install libpython{version}, or PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version}",
            )
        )
    return found


def dotted(version: tuple[int, ...]) -> str:
    """``(3, 11)`` as ``3.11``."""
    return ".".join(map(str, version))
