"""The map in ARCHITECTURE.md against the tree: packages exist, and import what the map lets them."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAP = ROOT / "ARCHITECTURE.md"
PROGRAMS = ("narrows", "edge_client", "orchestrator")
EVERYTHING = "all"

# Libraries that are heavy, or that make a package more than it says: who may import them.
RESERVED = {
    "torch": {"narrows.models", "narrows.models.bottleneck", "narrows.models.search"},
    "onnx": {"narrows.models", "narrows.models.bottleneck", "narrows.models.search", "narrows.models.split"},
    "optuna": {"narrows.models.search"},
    "networkx": {"narrows.models.split"},
    "onnxruntime": {"narrows.runtime", "narrows.models", "narrows.models.split", "orchestrator.servers"},
    "tritonclient": {"orchestrator.inference", "orchestrator.scaling", "narrows.ops", "narrows.runtime"},
    "docker": {"orchestrator.scaling", "orchestrator.engine_proxy"},
    "kubernetes": {"orchestrator.scaling"},
    "typer": {"narrows.cli", "narrows.runtime"},
    "av": {"edge_client", "narrows.runtime", "narrows.models"},
}


@cache
def allowed() -> dict[str, set[str]]:
    """The table: what each package may import, of this project."""
    table = MAP.read_text().partition("<!-- packages")[2].partition("<!-- /packages -->")[0]
    rows = re.findall(r"^\| `([\w.]+)` \|.*\| ([^|]*) \|$", table, re.MULTILINE)
    return {
        package: set(re.findall(r"`([\w.]+)`", may)) or ({EVERYTHING} if may == EVERYTHING else set())
        for package, may in rows
    }


def package_of(module: str) -> str | None:
    """The listed package that a module belongs to."""
    fitting = [each for each in allowed() if module == each or module.startswith(each + ".")]
    return max(fitting, key=len, default=None)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the three top-level packages."""
    for top in PROGRAMS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if "backends" not in parts:  # files that Triton loads, no package of ours
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(path: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_package_of_the_map_exists() -> None:
    missing = [each for each in allowed() if not (ROOT / each.replace(".", "/") / "__init__.py").is_file()]
    assert not missing


def test_every_module_is_on_the_map() -> None:
    unlisted = [name for name, _ in modules() if package_of(name) is None and name not in PROGRAMS]
    assert not unlisted, f"add their package to the table in ARCHITECTURE.md: {unlisted}"


@pytest.mark.parametrize("package", sorted(allowed()))
def test_a_package_imports_only_what_the_map_allows(package: str) -> None:
    may = allowed()[package] | {package}
    wrong = []
    for name, path in modules():
        if package_of(name) != package or EVERYTHING in may:
            continue
        for target in imported(path):
            theirs = package_of(target)
            if theirs is not None and theirs not in may:
                wrong.append(f"{name} imports {target}")
    assert not wrong


def test_heavy_libraries_stay_where_they_belong() -> None:
    wrong = [
        f"{name} imports {target}"
        for name, path in modules()
        for target in imported(path)
        if (library := target.partition(".")[0]) in RESERVED and package_of(name) not in RESERVED[library]
    ]
    assert not wrong


def test_the_contract_imports_no_service_library() -> None:
    services = {"redis", "tritonclient", "onnxruntime", "aiohttp", "prometheus_client", "structlog"}
    wrong = [
        f"{name} imports {target}"
        for name, path in modules()
        for target in imported(path)
        if package_of(name) == "narrows.contract" and target.partition(".")[0] in services
    ]
    assert not wrong


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"`((?:edge_client|orchestrator|narrows|monitoring|tests|docs|tools)/[\w./]*)`", text))
    assert named
    missing = [each for each in sorted(named) if not (ROOT / each).exists()]
    assert not missing


def test_standard_library_alone_sets_up_a_checkout() -> None:
    """``make setup`` runs before anything is installed."""
    standard = sys.stdlib_module_names
    for path in sorted((ROOT / "tools").glob("*.py")):
        if path.name == "page_pictures.py":  # runs in the environment
            continue
        foreign = {each.partition(".")[0] for each in imported(path)} - standard - {"tools", "narrows", "__future__"}
        assert not foreign, f"{path.name} imports {foreign}"
