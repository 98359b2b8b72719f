import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.runtime.triton_config import model_name
from orchestrator.servers import LocalTriton
from tests.integration.servers.processes import eventually, members, shared_memory_of

OWNER = """
import json, pathlib, sys, time
from orchestrator.servers import LocalRedis, LocalTriton
repository, run, model = sys.argv[1:]
redis = LocalRedis.start(pathlib.Path(run))
triton = LocalTriton.start(pathlib.Path(repository), pathlib.Path(run), [model])
print(json.dumps([redis.pid, triton.pid, triton.shm_prefix]), flush=True)
time.sleep(600)
"""


def test_it_serves_the_production_configuration_unchanged(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    model = model_name(demo_bundle.id)
    with LocalTriton.start(model_repository, tmp_path, [model]) as server:
        with urllib.request.urlopen(f"http://{server.http_address}/v2/models/{model}/config") as answer:
            config = json.load(answer)
        with urllib.request.urlopen(f"http://{server.metrics_address}/metrics") as answer:
            metrics = answer.read().decode()
    assert config["backend"] == "onnxruntime"
    assert [(group["count"], group["kind"]) for group in config["instance_group"]] == [(1, "KIND_CPU")]
    assert f'nv_inference_count{{model="{model}"' in metrics


def test_stopping_leaves_no_process_and_no_shared_memory(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    with LocalTriton.start(model_repository, tmp_path, [model_name(demo_bundle.id)]) as server:
        assert len(members(server.pid)) >= 2, "the server and its backend's stub"
        assert shared_memory_of(server.shm_prefix)
    assert members(server.pid) == []
    assert shared_memory_of(server.shm_prefix) == []
    assert not server.running()


def test_a_killed_owner_leaves_no_server_no_stub_and_no_shared_memory(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", OWNER, str(model_repository), str(tmp_path), model_name(demo_bundle.id)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        redis, triton, prefix = json.loads(owner.stdout.readline())
        assert members(redis)
        assert len(members(triton)) >= 2
        owner.kill()
    assert eventually(lambda: not members(redis) and not members(triton))
    assert eventually(lambda: not shared_memory_of(prefix))


def test_a_killed_server_leaves_no_stub(demo_bundle: Bundle, model_repository: Path, tmp_path: Path) -> None:
    with LocalTriton.start(model_repository, tmp_path, [model_name(demo_bundle.id)]) as server:
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.running())
        assert members(server.pid) == []
        assert shared_memory_of(server.shm_prefix) == []


def test_a_model_that_cannot_be_loaded_is_answered_with_the_servers_words(
    demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    model = model_name(demo_bundle.id)
    shutil.copytree(model_repository, tmp_path / "repository")
    (tmp_path / "repository" / model / "1" / "model.cpu.onnx").write_bytes(b"no network")
    with pytest.raises(ServiceError, match=r"(?s)does not get ready.*model\.cpu\.onnx"):
        LocalTriton.start(tmp_path / "repository", tmp_path, [model])


def test_a_model_that_is_not_in_the_repository_is_named(tmp_path: Path) -> None:
    (tmp_path / "repository").mkdir()
    with pytest.raises(ServiceError, match="decoder_0"):
        LocalTriton.start(tmp_path / "repository", tmp_path, ["decoder_0"])
