"""What the cloud's program takes along."""

import subprocess
import sys

_CODE = """
import sys
import orchestrator.dispatch.program
print([name for name in ("torch", "onnx", "onnxruntime", "edge_client") if name in sys.modules])
"""


def test_the_program_loads_without_torch_onnx_or_the_cameras_program() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_is_declared_without_loading_the_program() -> None:
    code = "import sys, narrows.cli.orchestrate; print('orchestrator.dispatch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
