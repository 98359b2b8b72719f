"""The doctor on a real stack: well, then with one thing broken after the other."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from rich.console import Console
from tritonclient.grpc import InferenceServerClient

from narrows.contract.bundle import Bundle
from narrows.contract.wire import FeaturePacket, LatentShape, StreamKeys
from narrows.contract.wire.keys import DEFAULT_SHARDS, INSTALL_KEY, ScaleKeys
from narrows.ops.demo.stack import Stack
from narrows.ops.doctor.examine import Patient, examine
from narrows.runtime.config import Configuration
from narrows.runtime.finding import Finding, Level
from narrows.runtime.redis import connect
from narrows.runtime.triton_config import model_name
from orchestrator.discovery.record import ServerRecord
from orchestrator.servers import LocalRedis
from orchestrator.servers.ports import free_ports
from tests.healthy_host import HEALTHY_HOST

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def stack(demo_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(demo_bundle, tmp_path_factory.mktemp("stack"), Console(quiet=True)) as started:
        yield started


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[redis.Redis]:
    with closing(connect(stack.redis.url)) as connected:
        yield connected


def patient(**told: Any) -> Patient:
    nothing: dict[str, Any] = {"redis_url": None, "triton": None, "orchestrators": (), "bundles": ()}
    nothing |= {"configuration": Configuration(), "environment": {}, "variables": frozenset()}
    nothing |= {"look_at_host": lambda: HEALTHY_HOST}
    return Patient(**nothing | told)


def of(stack: Stack) -> Patient:
    return patient(
        redis_url=stack.redis.url,
        triton=stack.triton.grpc_address,
        orchestrators=(f"http://{stack.metrics_address}",),
        bundles=(stack.bundle.folder,),
    )


def found(who: Patient, level: Level = Level.OK) -> list[Finding]:
    """The findings worse than ``level``, each with a remedy."""
    worse = [each for each in examine(who) if list(Level).index(each.level) > list(Level).index(level)]
    assert all(each.remedy for each in worse)
    return worse


def until_found(who: Patient, wanted: Callable[[Finding], bool]) -> Finding:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        for finding in found(who):
            if wanted(finding):
                return finding
    raise AssertionError(f"never found; the last were {found(who)}")


@contextmanager
def changed(client: redis.Redis, name: str, value: str) -> Iterator[None]:
    before: Any = client.config_get(name)
    client.config_set(name, value)
    try:
        yield
    finally:
        client.config_set(name, before[name])


def test_a_stack_that_is_well_has_no_troubles(stack: Stack) -> None:
    assert found(of(stack)) == []
    subjects = {finding.subject for finding in examine(of(stack))}
    assert {"Redis options", "leases", "decoder", "dispatcher", "bundles", "backlog", "dead letters"} <= subjects


def test_a_camera_that_is_told_to_send_masks_and_may_not_is_named(stack: Stack) -> None:
    told = {"NARROWS_EDGE_SEND": "masks", "NARROWS_STREAM_ID": "gate-3"}
    (trouble,) = found(replace(of(stack), environment=told, variables=frozenset(told)))
    assert (trouble.level, trouble.subject) == (Level.WARN, "packet format")
    assert trouble.detail.startswith("gate-3 is told to send masks")


def test_each_of_several_servers_is_looked_at_however_they_are_named(stack: Stack, client: redis.Redis) -> None:
    (silent,) = free_ports(1)
    client.hset(ScaleKeys.SERVERS, "one", ServerRecord(stack.triton.grpc_address).to_json())
    client.hset(ScaleKeys.SERVERS, "two", b"{")
    try:
        findings = list(examine(replace(of(stack), triton=f"redis:,127.0.0.1:{silent}")))
    finally:
        client.delete(ScaleKeys.SERVERS)
    assert [each.level for each in findings if each.subject == "Triton"] == [Level.OK, Level.FAIL]
    assert any(
        each.detail.startswith(f"{stack.triton.grpc_address}: ") for each in findings if each.subject == "decoder"
    )
    assert "names no server" in found(replace(of(stack), triton="redis:"))[0].detail


def test_an_eviction_policy_is_a_failure(stack: Stack, client: redis.Redis) -> None:
    with changed(client, "maxmemory-policy", "allkeys-lru"):
        (trouble,) = found(of(stack))
    assert (trouble.level, trouble.subject) == (Level.FAIL, "Redis options")
    assert "CONFIG SET maxmemory-policy noeviction" in trouble.remedy


def test_memory_that_runs_out_is_a_failure(stack: Stack, client: redis.Redis) -> None:
    with changed(client, "maxmemory", "1mb"):
        troubles = {each.subject for each in found(of(stack), Level.WARN)}
    assert "Redis memory" in troubles


def test_a_redis_without_a_log_is_a_warning(stack: Stack, client: redis.Redis) -> None:
    with changed(client, "appendonly", "no"):
        (trouble,) = found(of(stack))
    assert (trouble.level, trouble.subject) == (Level.WARN, "Redis options")
    assert "appendonly is no" in trouble.detail


@pytest.mark.parametrize(
    ("name", "value"), [("maxmemory-clients", "0"), ("maxmemory-clients", "32mb"), ("proto-max-bulk-len", "512mb")]
)
def test_a_door_that_is_open_or_too_narrow_is_a_warning_with_what_to_type(
    stack: Stack, client: redis.Redis, name: str, value: str
) -> None:
    with changed(client, name, value):
        (trouble,) = found(of(stack))
    assert (trouble.level, trouble.subject) == (Level.WARN, "Redis options")
    assert f"CONFIG SET {name} " in trouble.remedy


def test_bytes_that_are_no_packets_are_named_by_reason(stack: Stack, client: redis.Redis) -> None:
    client.xadd(StreamKeys.of("cam-bad", DEFAULT_SHARDS).features, {"p": b"abc"})
    trouble = until_found(of(stack), lambda each: each.subject == "dead letters")
    assert trouble.detail == "1 truncated in ten minutes, of cam-bad"


def test_keys_of_no_stream_are_named(stack: Stack, client: redis.Redis) -> None:
    client.xadd("narrows:{0}:in:no such id!", {"p": b"abc"})
    try:
        assert "narrows:{0}:in:no such id!" in until_found(of(stack), lambda each: each.subject == "keys").detail
    finally:
        client.delete("narrows:{0}:in:no such id!")


def test_a_bundle_that_is_sent_and_not_served_is_named(stack: Stack, client: redis.Redis, packet: bytes) -> None:
    client.xadd(StreamKeys.of("cam-old", DEFAULT_SHARDS).features, {"p": packet})
    trouble = until_found(of(stack), lambda each: each.subject == "bundles")
    assert f"00000000000000fe by cam-old; served: {stack.bundle.hex_id}" in trouble.detail


@pytest.fixture
def packet() -> bytes:
    """A frame of a bundle that nobody serves."""
    shape = LatentShape(4, 6, 8)
    packet = FeaturePacket(
        bundle_id=0xFE, epoch=1, sequence=0, capture_ms=0, level=0, shape=shape, own_digest=0, payload=b"x"
    )
    return packet.to_bytes()


def test_a_dispatcher_that_is_stopped_shows_in_its_leases_its_silence_and_what_waits(
    stack: Stack, client: redis.Redis, packet: bytes
) -> None:
    os.kill(stack.dispatcher.pid, signal.SIGSTOP)
    try:
        none = until_found(of(stack), lambda each: each.subject == "dispatchers")
        assert none.level is Level.FAIL
        assert "dispatcher" in {each.subject for each in found(of(stack), Level.WARN)}
        with sending(client, packet):
            waits = until_found(of(stack), lambda each: each.subject == "backlog")
        assert "most in cam-old" in waits.detail
    finally:
        os.kill(stack.dispatcher.pid, signal.SIGCONT)
    until(lambda: not [each for each in found(of(stack), Level.WARN) if each.subject == "dispatchers"])


@contextmanager
def sending(client: redis.Redis, packet: bytes) -> Iterator[None]:
    """A camera that sends a packet every 20 ms."""
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.02):
            client.xadd(StreamKeys.of("cam-old", DEFAULT_SHARDS).features, {"p": packet})

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_dead_or_hung_stub_of_a_ready_decoder_is_a_failure_until_the_model_is_loaded_anew(
    stack: Stack, number: signal.Signals
) -> None:
    for stub in stubs_of(stack.triton.pid):
        os.kill(stub, number)
    trouble = until_found(of(stack), lambda each: each.subject == "decoder")
    assert trouble.level is Level.FAIL
    assert "is READY, but 2 of 2 frames failed: an instance is dead or hangs" in trouble.detail
    with InferenceServerClient(stack.triton.grpc_address) as triton:
        triton.unload_model(model_name(stack.bundle.id))
        until(lambda: not triton.is_model_ready(model_name(stack.bundle.id)))
        triton.load_model(model_name(stack.bundle.id))
    assert not [each for each in found(of(stack)) if each.subject == "decoder"]


def stubs_of(server: int) -> list[int]:
    """The processes of Triton's python backend; they are in the server's process group."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                if b"triton_python_backend_stub" in command and os.getpgid(int(folder.name)) == os.getpgid(server):
                    found.append(int(folder.name))
    assert found
    return found


def until(there: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not there():
        assert time.monotonic() < give_up, "it never came true"


def test_another_programs_redis_is_named(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, closing(connect(server.url)) as client:
        (none,) = [each for each in found(patient(redis_url=server.url)) if each.subject == "install"]
        assert "is not in this Redis" in none.detail
        client.set(INSTALL_KEY, b"something else")
        (other,) = [each for each in found(patient(redis_url=server.url)) if each.subject == "install"]
        assert "no JSON" in other.detail
        client.delete(INSTALL_KEY)
        client.lpush(INSTALL_KEY, "x")
        (refused,) = [each for each in found(patient(redis_url=server.url)) if each.subject == "Redis"]
        assert "WRONGTYPE" in refused.detail


def test_a_password_that_is_wrong_is_named_and_not_shown(tmp_path: Path) -> None:
    with LocalRedis.start(tmp_path) as server, closing(connect(server.url)) as client:
        client.config_set("requirepass", "right")
        url = server.url.replace("redis://", "redis://:hunter2@")
        (refused,) = [each for each in found(patient(redis_url=url)) if each.subject == "Redis"]
    assert refused.level is Level.FAIL
    assert "hunter2" not in refused.detail + refused.remedy


def test_what_answers_in_a_parts_place_and_is_another_is_named(stack: Stack) -> None:
    swapped = patient(
        redis_url=f"redis://{stack.triton.grpc_address}/0",
        triton=stack.triton.http_address,
        orchestrators=(f"http://{stack.triton.http_address}", stack.redis.url, "nonsense"),
    )
    failed = [each.subject for each in found(swapped, Level.WARN)]
    assert failed == ["Triton", "Redis", "dispatcher", "dispatcher", "dispatcher"]


def doctor(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    variables = inherited | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-m", "narrows.cli", "doctor", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=60, check=False)


def test_where_everything_is_absent_it_is_said_in_lines_with_remedies() -> None:
    one, two, three = free_ports(3)
    shown = doctor(
        *("--redis-url", f"redis://:hunter2@127.0.0.1:{one}/0", "--triton", f"127.0.0.1:{two}"),
        *("--orchestrator", f"http://127.0.0.1:{three}", "--bundle", "nowhere"),
    )
    assert shown.returncode == 1
    failed = [line for line in shown.stdout.splitlines() if line.startswith("fail ")]
    assert [line.split()[1] for line in failed] == ["bundle", "Triton", "Redis", "dispatcher"]
    assert all(" -> " in line for line in failed)
    assert shown.stderr == ""
    assert "hunter2" not in shown.stdout


def test_a_wrong_configuration_file_is_one_of_the_lines(tmp_path: Path) -> None:
    (tmp_path / "narrows.toml").write_text("[edge]\nfsp = 5\n")
    shown = doctor(folder=tmp_path)
    assert shown.returncode == 1
    assert "narrows.toml:2: there is no key 'fsp' in [edge]; did you mean 'fps'?" in shown.stdout


def test_json_has_every_finding_and_the_exit_status(stack: Stack) -> None:
    shown = doctor("--json", "--redis-url", stack.redis.url)
    answer = json.loads(shown.stdout)
    assert answer["ok"] is (shown.returncode == 0)
    assert {"level", "subject", "detail", "remedy"} == set(answer["findings"][0])
