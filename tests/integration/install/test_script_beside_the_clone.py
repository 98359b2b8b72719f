"""A script in the folder that holds the clone: the clone's own folder, named narrows, must not hide the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("narrows", "edge_client", "orchestrator")


def run_beside(folder: Path, code: str, *flags: str) -> str:
    """What a script in ``folder`` prints, started there as a user starts it."""
    (folder / "script.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, *flags, "script.py"]
    return subprocess.check_output(command, cwd=folder, env=environment, text=True, stderr=subprocess.STDOUT).strip()


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """A folder in which every package has a namesake without an ``__init__.py``, the clone itself among them."""
    (tmp_path / "narrows").symlink_to(ROOT)
    for name in PACKAGES[1:]:
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_script_beside_the_clone_gets_the_package(parent: Path) -> None:
    code = "import narrows; print(narrows.__version__, callable(narrows.subscribe))"
    assert run_beside(parent, code) == "0.1.0 True"


@pytest.mark.parametrize("name", PACKAGES)
def test_no_package_is_hidden_by_a_folder_of_its_name(parent: Path, name: str) -> None:
    found = run_beside(parent, f"import {name}; print({name}.__file__)")
    assert Path(found) == ROOT / name / "__init__.py"
