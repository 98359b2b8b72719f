"""What each program really loads, from its start to its first word: the one beside the Docker socket least of all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from narrows.contract.secret_files import write_secret

READS_CAMERA_BYTES = {
    *("numpy", "PIL", "av", "onnxruntime", "tritonclient", "grpc", "redis", "hiredis", "cryptography", "ml_dtypes"),
    *(
        "narrows.contract.codec",
        "narrows.contract.wire",
        "narrows.contract.bundle",
        "narrows.contract.seal",
        "narrows.client.subscription",
        "narrows.client.painting",
    ),
    *("edge_client", "orchestrator.dispatch", "orchestrator.inference", "orchestrator.page", "orchestrator.servers"),
}
ENGINE_PROXY = {
    *("narrows", "narrows.contract", "narrows.runtime", "orchestrator.containers"),
    *("narrows.cli", "narrows.runtime.config", "narrows.contract.errors", "narrows.contract.json_text"),
    *("narrows.runtime.direct", "narrows.runtime.listening", "narrows.runtime.redact", "narrows.contract.secret_files"),
    *(
        "orchestrator",
        "orchestrator.engine_proxy",
        "narrows.runtime.connections",
        "narrows.runtime.http",
        "narrows.runtime.exposure",
        "narrows.runtime.logs",
        "narrows.runtime.run_program",
        "narrows.runtime.words",
    ),
    *("orchestrator.scaling", "orchestrator.scaling.engines"),
    *("orchestrator.containers.clone", "orchestrator.scaling.engines.options"),
}
OWN = {"narrows", "orchestrator", "edge_client"}
CONFIGURATION = '[engine-proxy]\nproject = "narrows"\n[redis]\nurl = "redis://h"\n[orchestrate]\nmax-batch = 4\n'


def loaded_by(arguments: list[str], ready: str, folder: Path) -> set[str]:
    """The modules that ``narrows ARGUMENTS`` loads until its log says ``ready``, and those that it looked for."""
    command = [sys.executable, "-X", "importtime", "-m", "narrows.cli", *arguments]
    names = set[str]()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            if line.startswith("import time:"):
                names.add(line.rpartition("|")[2].strip())
                continue
            said.append(line)
            if ready in line:
                process.terminate()
        assert process.wait() == 0, "".join(said)
    return names


def within(names: set[str], packages: set[str]) -> set[str]:
    """Those of ``names`` that are one of ``packages`` or lie in it."""
    return {name for name in names if any(name == each or name.startswith(f"{each}.") for each in packages)}


@pytest.mark.parametrize("configuration", ["", CONFIGURATION], ids=["options", "narrows.toml"])
def test_who_holds_the_docker_socket_loads_nothing_that_reads_camera_bytes(tmp_path: Path, configuration: str) -> None:
    if configuration:
        (tmp_path / "narrows.toml").write_text(configuration)
    write_secret(tmp_path / "token", b"a token that is long enough")
    arguments = ["engine-proxy", "--project", "a", "--service", "b", "--listen", "127.0.0.1:0", "--token", "file:token"]
    names = loaded_by(arguments, "event=engine_proxy_started", tmp_path)
    assert within(names, READS_CAMERA_BYTES) == set()
    packages = {"narrows.cli", "narrows.runtime.config", "orchestrator.engine_proxy"}
    assert within(names, OWN) - within(names, packages) <= ENGINE_PROXY


IN_PROCESS = {
    "orchestrator.page.program": {"tritonclient", "grpc", "edge_client", "orchestrator.dispatch"},
    "orchestrator.dispatch.program": {"torch", "onnx", "onnxruntime", "edge_client", "PIL", "docker", "kubernetes"},
    "orchestrator.scaling.program": {
        "torch",
        "onnx",
        "onnxruntime",
        "edge_client",
        "PIL",
        "docker",
        "kubernetes",
        "orchestrator.dispatch",
    },
    "orchestrator.servers.host_program": {"torch", "onnx", "onnxruntime", "edge_client", "PIL", "docker"},
    "edge_client.program": {"torch", "onnx", "tritonclient", "grpc", "aiohttp", "orchestrator", "prometheus_client"},
}


@pytest.mark.parametrize("program", IN_PROCESS)
def test_a_program_is_imported_without_what_it_has_no_use_for(program: str) -> None:
    code = f"import sys, {program}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert within(set(done.stdout.split()), IN_PROCESS[program]) == set()


def test_a_command_is_declared_without_loading_its_program() -> None:
    code = "import sys, narrows.cli.orchestrate; print('orchestrator.dispatch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
