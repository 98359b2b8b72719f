"""The check of engines says the terms before anything is fetched, and reports what the parser refused."""

import subprocess
import sys

import pytest

from benchmarks.engines.figures import render
from benchmarks.engines.terms import ACCEPT

BUILD = {"bundle": "00ff", "graph": "float", "capability": "SM89", "batches": [1, 4, 8]}


@pytest.mark.parametrize(("arguments", "status"), [([], 1), (["--quick"], 1), ([ACCEPT], 0)])
def test_only_who_accepted_the_terms_goes_on(arguments: list[str], status: int) -> None:
    command = [sys.executable, "-m", "benchmarks.engines.terms", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "proprietary" in done.stdout
    assert "LICENSE.txt" in done.stdout


def test_a_build_is_a_row_and_so_is_a_refusal() -> None:
    built = {**BUILD, "layers": 74, "fused_layers": 29, "size_bytes": 2_433_732, "seconds": 0.61}
    refused = {**BUILD, "graph": "int8", "refused": "Cast: UNSUPPORTED_NODE"}
    shown = render({"parser": "TensorRT-RTX 1.7", "builds": [built, refused]})
    assert "| float | SM89 | 1 to 8 | 74 | 29 | 2.4 | 0.6 |" in shown
    assert "| int8 | SM89 | 1 to 8 | refused: Cast: UNSUPPORTED_NODE |  |  |  |" in shown
    assert shown.endswith("built by TensorRT-RTX 1.7.")
