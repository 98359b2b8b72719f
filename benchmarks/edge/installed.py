"""A fresh environment with the camera's program alone, and how large it is."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from narrows.contract.errors import ServiceError

_NOT_OURS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "__pycache__")
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "-c", "constraints.txt")


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment: its Python, and the bytes of its packages, by name; Python and its installer aside."""

    python: Path
    packages: dict[str, int]

    @property
    def megabytes(self) -> float:
        """All packages."""
        return sum(self.packages.values()) / 1e6

    def imports(self, module: str) -> bool:
        """Whether it has a module."""
        code = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
        return subprocess.run([self.python, "-I", "-c", code], check=False).returncode == 0


def install(folder: Path, extras: str) -> Installed:
    """Install ``narrows[extras]`` from this checkout, as a wheel.

    Raises:
        ServiceError: a step failed; the message has its words.
    """
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", folder)
    python = folder.absolute() / "bin" / "python"
    _run(python, *_PIP, f".[{extras}]")
    (packages,) = folder.glob("lib/python*/site-packages")
    sizes = {path.name: _bytes(path) for path in packages.iterdir() if not path.name.startswith(_NOT_OURS)}
    return Installed(python, sizes)


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files if each.suffix != ".pyc")


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ServiceError(f"{' '.join(map(str, command))} failed:\n{done.stderr.strip()[-2000:]}")
