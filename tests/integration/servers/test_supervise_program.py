"""`narrows supervise` with real servers: it follows what is wanted, keeps what it has, and leaves nothing behind."""

import os
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from narrows.contract.bundle import Bundle
from narrows.contract.bundle.heads import RECORD
from narrows.contract.records.report import FRESH_MS, DispatcherReport, ServerReport
from narrows.contract.wire.keys import ScaleKeys
from narrows.runtime.triton_config import model_name
from orchestrator.discovery.record import ServerRecord
from orchestrator.servers import LocalRedis
from orchestrator.servers.cpu_quota import QuotaUnavailable, find_hierarchy
from orchestrator.servers.host_record import HostState
from tests.integration.servers.host import WAIT_S, Host, server_pid, supervising
from tests.integration.servers.processes import eventually, members
from tests.unit.runtime.test_head_watch import listed


@pytest.fixture
def options(demo_bundle: Bundle, model_repository: Path) -> tuple[str, ...]:
    return (
        "--model-repository",
        str(model_repository),
        "--model",
        model_name(demo_bundle.id),
        "--max-servers-per-host",
        "2",
    )


@pytest.fixture
def host(client: redis.Redis, server: LocalRedis, tmp_path: Path, options: tuple[str, ...]) -> Iterator[Host]:
    """A supervisor of two slots with a server in one."""
    with supervising(server.url, tmp_path, *options) as host:
        host.comes_to(ready=1)
        yield host


def report(client: redis.Redis, server: str, *, draining: bool, outstanding: int) -> None:
    """What a living dispatcher says now."""
    seconds, micros = client.time()
    servers = {server: ServerReport(ready=not draining, draining=draining, outstanding=outstanding)}
    record = DispatcherReport("one", seconds * 1000 + micros // 1000, servers=servers).to_json()
    client.hset(ScaleKeys.REPORTS, "one", record)


def drains_while_held(host: Host, address: str) -> bool:
    """Whether the server is draining; a dispatcher that has not heard of it holds it meanwhile."""
    report(host.client, address, draining=False, outstanding=1)
    return host.draining() == {address}


def scale_keys(client: redis.Redis) -> list[object]:
    return [key for key in client.keys("narrows:{scale}:*") if key != ScaleKeys.REPORTS.encode()]


def test_it_follows_what_is_wanted_and_leaves_no_record(host: Host, client: redis.Redis) -> None:
    host.want(2)
    host.comes_to(ready=2)
    processes = [server_pid(address) for address in host.servers().values()]
    host.want(1)
    host.comes_to(ready=1)
    assert eventually(lambda: len(host.servers()) == 1 and not host.draining())
    host.want(9)
    host.comes_to(ready=2)
    assert host.end() == 0, host.told()
    assert scale_keys(client) == []
    assert not any(members(pid) for pid in processes if pid)


def test_a_draining_server_goes_on_until_its_dispatchers_let_it_go(host: Host, client: redis.Redis) -> None:
    (address,) = host.servers().values()
    pid = server_pid(address)
    assert pid is not None
    report(client, address, draining=False, outstanding=1)
    host.want(0)
    assert eventually(lambda: drains_while_held(host, address), WAIT_S)
    for draining, outstanding in ((False, 0), (True, 2), (True, 1)):
        until_s = time.monotonic() + 1.5
        while time.monotonic() < until_s:
            report(client, address, draining=draining, outstanding=outstanding)
            time.sleep(0.1)
        assert members(pid), "it has work, or somebody does not know yet"
        assert host.servers(), "it is still there for those who have work at it"
    report(client, address, draining=True, outstanding=0)
    host.comes_to(ready=0)
    assert eventually(lambda: not members(pid) and not host.draining())


def test_a_draining_server_is_taken_back(host: Host, client: redis.Redis) -> None:
    before = host.servers()
    (address,) = before.values()
    report(client, address, draining=False, outstanding=1)
    host.want(0)
    assert eventually(lambda: drains_while_held(host, address), WAIT_S)
    report(client, address, draining=True, outstanding=1)
    host.want(1)
    host.comes_to(ready=1)
    assert host.servers() == before
    assert eventually(lambda: not host.draining())


def test_dispatchers_that_could_not_report_are_not_taken_for_dead(
    host: Host, client: redis.Redis, server: LocalRedis
) -> None:
    (address,) = host.servers().values()
    pid = server_pid(address)
    assert pid is not None
    report(client, address, draining=False, outstanding=1)
    host.want(0)
    assert eventually(lambda: drains_while_held(host, address), WAIT_S)
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(FRESH_MS / 1000 + 1.5)
    os.kill(server.pid, signal.SIGCONT)
    time.sleep(1.0)  # so long a dispatcher may take until it reports again
    for _ in range(10):
        report(client, address, draining=True, outstanding=1)
        time.sleep(0.1)
    assert members(pid), "it has work"
    report(client, address, draining=True, outstanding=0)
    assert eventually(lambda: not members(pid), WAIT_S)


def test_a_server_that_is_not_let_go_is_stopped_in_the_end(
    client: redis.Redis, server: LocalRedis, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with supervising(server.url, tmp_path, *options, "--drain-s", "1") as host:
        host.comes_to(ready=1)
        (address,) = host.servers().values()
        pid = server_pid(address)
        assert pid is not None
        host.want(0)

        def gone_though_it_is_held() -> bool:
            report(client, address, draining=True, outstanding=1)
            return not members(pid)

        assert eventually(gone_though_it_is_held, WAIT_S)
        assert "event=drain_timed_out" in host.told()


def test_it_registers_where_its_metrics_are(host: Host, demo_bundle: Bundle) -> None:
    ((slot, record),) = host.records().items()
    assert record.slot == slot == "host/0"
    with urllib.request.urlopen(f"http://{record.metrics}/metrics") as answer:
        assert f'nv_inference_count{{model="{model_name(demo_bundle.id)}"' in answer.read().decode()


def test_a_crashed_server_is_back_at_its_address(host: Host) -> None:
    (address,) = host.servers().values()
    killed = server_pid(address)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: server_pid(address) not in (None, killed), WAIT_S)
    host.comes_to(ready=1)
    assert list(host.servers().values()) == [address]


def test_killed_it_leaves_no_server_and_its_successor_clears_the_records(
    host: Host, client: redis.Redis, server: LocalRedis, tmp_path: Path, options: tuple[str, ...]
) -> None:
    host.want(2)
    host.comes_to(ready=2)
    old = host.servers()
    processes = [pid for pid in map(server_pid, old.values()) if pid]
    assert len(processes) == 2
    host.process.kill()
    assert eventually(lambda: not any(members(pid) for pid in processes))
    assert host.servers() == old, "nobody was there to remove them"
    with supervising(server.url, tmp_path, *options) as successor:
        assert eventually(lambda: not successor.servers(), WAIT_S)
        successor.comes_to(ready=2)
        assert not set(successor.servers().values()) & set(old.values())


def test_while_redis_is_away_the_servers_stay(tmp_path: Path, options: tuple[str, ...]) -> None:
    with LocalRedis.start(tmp_path) as server, supervising(server.url, tmp_path, *options) as host:
        host.comes_to(ready=1)
        (address,) = host.servers().values()
        server.stop()
        assert eventually(lambda: "event=redis_away leaving=false" in host.told(), WAIT_S)
        killed = server_pid(address)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        assert eventually(lambda: server_pid(address) not in (None, killed), WAIT_S), "kept, though nobody can be told"
        shutil.rmtree(tmp_path / "redis")  # it forgets all
        server.restart()
        host.comes_to(ready=1)
        assert list(host.servers().values()) == [address]


def test_told_to_end_without_redis_it_does_not_wait_for_what_nobody_can_say(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with LocalRedis.start(tmp_path) as server, supervising(server.url, tmp_path, *options, "--drain-s", "600") as host:
        host.comes_to(ready=1)
        server.stop()
        host.process.send_signal(signal.SIGTERM)
        host.process.wait(WAIT_S)
        assert "event=drain_skipped reason=redis_away" in host.told()


def test_two_of_a_name_are_refused(host: Host, server: LocalRedis, tmp_path: Path, options: tuple[str, ...]) -> None:
    with supervising(server.url, tmp_path / "elsewhere", *options) as other:
        assert other.process.wait(WAIT_S) == 1
        assert "give this one another with --name" in other.told()
    with supervising(server.url, tmp_path, *options) as same_folder:
        assert same_folder.process.wait(WAIT_S) == 1
        assert "is another supervisor's" in same_folder.told()
    assert host.has(ready=1)


def test_a_server_that_does_not_start_is_said_and_given_up_when_not_wanted(
    client: redis.Redis, server: LocalRedis, demo_bundle: Bundle, model_repository: Path, tmp_path: Path
) -> None:
    model = model_name(demo_bundle.id)
    broken = tmp_path / "broken"
    shutil.copytree(model_repository, broken)
    (broken / model / "1" / "model.cpu.onnx").write_bytes(b"no network")
    with supervising(server.url, tmp_path, "--model-repository", str(broken), "--model", model) as host:
        assert eventually(lambda: "does not get ready" in getattr(host.state(), "trouble", ""), WAIT_S)
        shutil.copytree(model_repository, broken, dirs_exist_ok=True)
        host.comes_to(ready=1)
        assert getattr(host.state(), "trouble", "") == ""
        assert host.end() == 0


def test_a_quota_holds_the_server_and_all_that_it_starts(
    client: redis.Redis, server: LocalRedis, tmp_path: Path, options: tuple[str, ...]
) -> None:
    try:
        hierarchy = find_hierarchy()
    except QuotaUnavailable as error:
        pytest.skip(str(error))
    with supervising(server.url, tmp_path, *options, "--cpu-quota", "0.25", name="quota-test") as host:
        host.comes_to(ready=1)
        (address,) = host.servers().values()
        pid = server_pid(address)
        assert pid is not None
        group = hierarchy.folder / "narrows-quota-test-0"
        inside = {int(line) for line in (group / "cgroup.procs").read_text().split()}
        assert len(members(pid)) >= 2
        assert set(members(pid)) <= inside
        assert host.end() == 0
        assert not group.exists()


def test_options_that_cannot_be_are_named(server: LocalRedis, tmp_path: Path, options: tuple[str, ...]) -> None:
    for more, message in (
        (("--initial", "3"), "do not fit in --max-servers-per-host 2"),
        (("--name", "a b"), "--name 'a b'"),
        (("--first-port", "65535"), "need 3 ports each"),
    ):
        with supervising(server.url, tmp_path / message[:5].strip("- "), *options, *more) as host:
            assert host.process.wait(WAIT_S) == 1
            assert message in " ".join(host.told().split()), host.told()


def test_who_lives_removes_what_a_lost_host_left(host: Host, client: redis.Redis) -> None:
    left = HostState(at_ms=1, owner="lost", slots=1, wanted=1).to_json()
    client.hset(ScaleKeys.SUPERVISORS, "lost", left)
    client.hset(ScaleKeys.SERVERS, "lost/0", ServerRecord("127.0.0.1:1", "lost/0").to_json())
    client.hset(ScaleKeys.DRAINING, "127.0.0.1:1", 1)
    assert eventually(lambda: "lost/0" not in host.servers(), WAIT_S)
    assert host.has(ready=1)
    assert eventually(lambda: not host.draining() and not client.hexists(ScaleKeys.SUPERVISORS, "lost"))


def test_its_own_model_repository_follows_the_heads_of_a_bundle(
    client: redis.Redis,
    server: LocalRedis,
    demo_bundle: Bundle,
    tmp_path: Path,
) -> None:
    folder = Path(shutil.copytree(demo_bundle.folder, tmp_path / "bundle"))
    record = listed(folder)
    with supervising(server.url, tmp_path, "--bundle", str(folder), "--initial", "0") as host:
        assert eventually(lambda: host.state() is not None, WAIT_S)
        configs = [path.read_text() for path in tmp_path.rglob("cpu.pbtxt")]
        assert len(configs) == 1
        assert "head_scene" not in configs[0]
        (folder / RECORD).write_bytes(record)
        assert eventually(lambda: "head_scene" in next(tmp_path.rglob("cpu.pbtxt")).read_text(), WAIT_S), host.told()
