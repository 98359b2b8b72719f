"""What the doctor makes of facts."""

import resource
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from narrows.cli.sections import all_keys
from narrows.contract.errors import ConfigError
from narrows.contract.records.report import StreamRates
from narrows.contract.wire import Install
from narrows.ops.doctor import checkout, dispatcher, host, install, redis_server, settings, streams, triton_server
from narrows.runtime.config import Configuration, read
from narrows.runtime.finding import Finding, Level, ok
from narrows.runtime.redis.server_options import look
from tests.healthy_host import HEALTHY_HOST, HEALTHY_MACHINE

GIB, MIB = 1 << 30, 1 << 20
GOOD_VALUES = {
    "maxmemory-policy": "noeviction",
    "maxmemory": str(GIB),
    "maxmemory-clients": str(128 * MIB),
    "proto-max-bulk-len": str(MIB),
    "appendonly": "yes",
    "appendfsync": "everysec",
}
GOOD = redis_server.RedisFacts(
    name="valkey",
    version="9.1.2",
    protocol=(7, 2, 4),
    role="master",
    options=look(GOOD_VALUES, {}),
    used_bytes=50 * MIB,
    most_bytes=100 * MIB,
    log_ok=True,
    clock_ahead_s=0.01,
    answer_s=0.001,
)


def troubles(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(each.level.value, each.subject) for each in findings if each.level is not Level.OK]


def test_a_good_redis_has_no_troubles() -> None:
    assert troubles(list(redis_server.judge(GOOD))) == []


@pytest.mark.parametrize(
    ("facts", "trouble"),
    [
        (replace(GOOD, protocol=(6, 2, 5)), ("fail", "Redis version")),
        (replace(GOOD, protocol=()), ("fail", "Redis version")),
        (replace(GOOD, role="slave"), ("fail", "Redis role")),
        (replace(GOOD, options=look(GOOD_VALUES | {"maxmemory-policy": "allkeys-lru"}, {})), ("fail", "Redis options")),
        (replace(GOOD, options=look(GOOD_VALUES | {"appendonly": "no"}, {})), ("warn", "Redis options")),
        (replace(GOOD, used_bytes=96 * MIB), ("fail", "Redis memory")),
        (replace(GOOD, used_bytes=85 * MIB), ("warn", "Redis memory")),
        (replace(GOOD, log_ok=False), ("fail", "Redis durability")),
        (replace(GOOD, clock_ahead_s=-2.0), ("warn", "clocks")),
        (replace(GOOD, clock_ahead_s=60.0), ("fail", "clocks")),
    ],
)
def test_each_trouble_of_redis_is_one_line_with_its_remedy(
    facts: redis_server.RedisFacts, trouble: tuple[str, str]
) -> None:
    findings = list(redis_server.judge(facts))
    assert troubles(findings) == [trouble]
    assert all(each.remedy for each in findings if each.level is not Level.OK)


def test_options_that_nobody_may_ask_for_are_unknown_and_no_trouble() -> None:
    """Managed servers refuse CONFIG GET; INFO has the rest."""
    info = {"maxmemory_policy": "noeviction", "maxmemory": "1000000", "aof_enabled": "1"}
    findings = list(redis_server.judge(replace(GOOD, options=look({}, info))))
    assert troubles(findings) == []
    (line,) = [each.detail for each in findings if each.subject == "Redis options"]
    assert line == "not known, for CONFIG GET is refused: maxmemory-clients, proto-max-bulk-len, appendfsync"


def test_without_a_limit_memory_is_no_trouble() -> None:
    assert troubles(list(redis_server.judge(replace(GOOD, most_bytes=0)))) == []


@pytest.mark.parametrize(("text", "version"), [("7.2.4", (7, 2, 4)), ("7.4-rc1", (7,)), ("", ()), ("x.1", ())])
def test_versions_are_read_as_far_as_they_are_numbers(text: str, version: tuple[int, ...]) -> None:
    assert redis_server.parse_version(text) == version


@pytest.mark.parametrize(
    ("living", "owners", "trouble"),
    [
        ({"a"}, ("a", "a"), []),
        ({"a", "b"}, ("a", "b"), []),
        (set(), (None, None), [("fail", "dispatchers")]),
        ({"a"}, ("a", None), [("warn", "leases")]),
        ({"a"}, ("a", "b"), [("warn", "leases")]),
        (set(), ("a", "a"), [("fail", "dispatchers"), ("warn", "leases")]),
    ],
)
def test_shards_need_living_owners(
    living: set[str], owners: tuple[str | None, ...], trouble: list[tuple[str, str]]
) -> None:
    assert troubles(list(install.judge(install.Ownership(frozenset(living), owners)))) == trouble


def test_an_install_record_is_needed() -> None:
    assert install.judge_record(None).level is Level.FAIL
    assert install.judge_record(Install(4)).level is Level.OK


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ({}, {}, Level.OK),
        ({"a": 100}, {"a": 100}, Level.OK),
        ({"a": 100}, {"a": 90}, Level.OK),
        ({"a": 1}, {"a": 3}, Level.OK),
        ({"a": 90, "b": 5}, {"a": 91, "b": 50}, Level.WARN),
    ],
)
def test_a_backlog_is_a_trouble_when_it_grows(before: dict[str, int], after: dict[str, int], level: Level) -> None:
    finding = streams.judge_backlog(before, after)
    assert finding.level is level
    if level is Level.WARN:
        assert "most in b" in finding.detail


def test_bundles_that_are_sent_but_not_served_are_named_with_their_streams() -> None:
    letter = streams.DeadLetterSummary(
        "cam-2", "unknown_bundle", "bundle 00000000000000ff is not served here; these are: 01"
    )
    finding = streams.judge_bundles({"cam-1": 0xFE, "cam-3": 1}, [letter], {1})
    assert finding.level is Level.WARN
    assert "00000000000000fe by cam-1; 00000000000000ff by cam-2; served: 0000000000000001" in finding.detail
    assert streams.judge_bundles({"cam-3": 1}, [], {1}).level is Level.OK


def test_dead_letters_are_counted_by_reason_the_commonest_first() -> None:
    letters = [
        streams.DeadLetterSummary("a", "clock_future", ""),
        *[streams.DeadLetterSummary(f"cam-{i}", "truncated", "") for i in range(5)],
    ]
    first, second = streams.judge_letters(letters, older=7)
    assert "5 truncated in ten minutes, of cam-0, cam-1, cam-2 ..." in first.detail
    assert "NTP" in second.remedy
    (none,) = streams.judge_letters([], older=7)
    assert (none.level, none.detail) == (Level.OK, "none in ten minutes, 7 older")


@pytest.mark.parametrize(
    ("probe", "level", "said"),
    [
        (triton_server.Probe(2, 4, (), 0), Level.OK, "2 instances answer"),
        (triton_server.Probe(2, 3, ("Stub process 'x' is not healthy.",), 0), Level.FAIL, "an instance is dead"),
        (triton_server.Probe(2, 3, ("out of memory\nat x",), 0), Level.FAIL, "1 of 4 frames failed: out of memory"),
        (triton_server.Probe(2, 2, (), 2), Level.FAIL, "2 of 4 frames got no answer"),
    ],
)
def test_ready_is_believed_only_of_a_decoder_that_decodes(probe: triton_server.Probe, level: Level, said: str) -> None:
    finding = triton_server.judge_probe("decoder_0000000000000001", probe)
    assert finding.level is level
    assert said in finding.detail


def test_a_wanted_decoder_must_be_there() -> None:
    one, two = "decoder_0000000000000001", "decoder_0000000000000002"
    facts = triton_server.TritonFacts("2.51.0", {one: "UNAVAILABLE"}, {})
    assert troubles(list(triton_server.judge(facts, [one, two]))) == [("fail", "decoder"), ("fail", "decoder")]
    assert troubles(list(triton_server.judge(replace(facts, states={}), []))) == [("warn", "decoder")]
    assert replace(facts, probes={one: triton_server.Probe(1, 2, (), 0)}).served == {1}


@pytest.mark.parametrize(
    ("lines", "loads"),
    [
        (['{bundle="ab"} 0.5', '{bundle="cd"} 0.25'], {"ab": 0.5, "cd": 0.25}),
        (['{process="1",bundle="ab"} 0.5', '{bundle="ab",process="2"} 0.75'], {"ab": 1.25}),
        (
            ['{process="1",bundle="ab"} NaN', '{process="2",bundle="ab"} 0.5', '{process="3",bundle="ab"} NaN'],
            {"ab": 0.5},
        ),
        (['{process="1",bundle="ab"} +Inf', '{process="2",bundle="ab"} 0.5'], {"ab": float("inf")}),
    ],
)
def test_the_load_of_a_bundle_is_what_all_processes_of_a_dispatcher_offer(
    lines: list[str], loads: dict[str, float]
) -> None:
    text = "".join(f"narrows_decoder_load_ratio{line}\n" for line in lines)
    assert dispatcher.loads_in(f"# TYPE narrows_decoder_load_ratio gauge\n{text}") == loads


def test_a_dispatchers_own_reasons_are_passed_on() -> None:
    facts = dispatcher.DispatcherFacts("http://h:1", ("Redis does not answer",), {"ab": 1.2, "cd": 0.9, "ef": 0.89})
    assert troubles(list(dispatcher.judge(facts))) == [("fail", "dispatcher"), ("fail", "load"), ("warn", "load")]
    assert "no server" in dispatcher.judge_load("ab", float("inf")).detail


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (host.judge_disk(Path("x"), 100 * GIB), Level.OK),
        (host.judge_disk(Path("x"), 3 * GIB), Level.WARN),
        (host.judge_disk(Path("x"), GIB // 2), Level.FAIL),
        (host.judge_shm(GIB), Level.OK),
        (host.judge_shm(64 * MIB), Level.WARN),
        (host.judge_shm(MIB), Level.FAIL),
        (host.judge_shm(None), Level.FAIL),
        (host.judge_files(-1), Level.OK),
        (host.judge_files(1024), Level.OK),
        (host.judge_files(256), Level.WARN),
        (checkout.judge_extras({"edge": [], "train": ["torch"]}), Level.OK),
        (checkout.judge_extras({"edge": ["onnxruntime"], "cloud": []}), Level.OK),
        (checkout.judge_extras({"edge": ["onnxruntime"], "local": []}), Level.WARN),
    ],
)
def test_limits_of_the_machine(finding: Finding, level: Level) -> None:
    assert finding.level is level
    assert bool(finding.remedy) is (level is not Level.OK)


def test_a_good_machine_has_no_troubles_and_a_bad_one_names_all() -> None:
    assert troubles(list(host.judge_machine(HEALTHY_MACHINE))) == []
    bad = replace(HEALTHY_MACHINE, libpython=None, architecture="riscv64", compiler=None)
    assert troubles(list(host.judge_machine(bad))) == [("fail", "libpython"), ("fail", "system")]


def test_all_of_a_machine_is_judged_by_its_facts_alone() -> None:
    assert troubles(list(host.judge(HEALTHY_HOST))) == []
    tight = replace(HEALTHY_HOST, free_disk_bytes=2 * GIB, free_shm_bytes=None, most_files=256)
    assert troubles(list(host.judge(tight))) == [("warn", "disk"), ("fail", "shared memory"), ("warn", "open files")]


def test_the_facts_are_those_of_the_machine_that_runs_this(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(host, "PORTS", {port: "a test"})
        facts = host.gather()
    assert (facts.folder, facts.listening) == (tmp_path, {port: True})
    assert facts.most_files == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 0 < facts.free_disk_bytes < shutil.disk_usage(tmp_path).total


def test_a_bundle_that_is_not_whole_is_named(tmp_path: Path) -> None:
    assert checkout.look_at_bundle(tmp_path / "none", given=False).level is Level.WARN
    assert checkout.look_at_bundle(tmp_path / "none", given=True).level is Level.FAIL
    (tmp_path / "manifest.json").write_text("{}")
    assert checkout.look_at_bundle(tmp_path, given=False).level is Level.FAIL


def test_a_local_triton_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NARROWS_TRITON_ENV", str(tmp_path / "none"))
    assert checkout.look_at_local_triton().level is Level.WARN


def test_a_variable_that_means_nothing_is_named_with_its_nearest() -> None:
    known = {key.variable for key in all_keys()}
    environment = {"NARROWS_REDIS_ULR": "x", "NARROWS_EDGE_FPS": "5", "NARROWS_CONFIG": "y", "HOME": "z"}
    findings = list(settings.judge(Configuration(), environment, known))
    assert troubles(findings) == [("warn", "environment")]
    assert findings[-1].remedy == "did you mean NARROWS_REDIS_URL?"


def test_a_file_that_tells_everyone_its_password_is_named(tmp_path: Path) -> None:
    path = tmp_path / "narrows.toml"
    path.write_text('[redis]\nurl = "redis://:hunter2@h:1/0"\n')
    path.chmod(0o644)
    told = settings.judge_file(read(path, all_keys()))
    assert told.level is Level.WARN
    assert "hunter2" not in told.detail + told.remedy
    path.chmod(0o600)
    assert settings.judge_file(read(path, all_keys())).level is Level.OK


def test_a_wrong_file_is_a_line_not_an_end() -> None:
    finding = settings.judge_file(ConfigError("narrows.toml:2: there is no key 'fsp'"))
    assert (finding.level, finding.detail) == (Level.FAIL, "narrows.toml:2: there is no key 'fsp'")


def test_who_floods_is_named_with_what_it_loses() -> None:
    finding = streams.judge_rates(
        [StreamRates("flood", 512.0, 480.0), StreamRates("quiet", 5.0, 0.4), StreamRates("late", 10.0, 2.5)]
    )
    assert finding.level is Level.WARN
    assert finding.detail == "frames/s skipped of those offered: flood 480.0 of 512.0, late 2.5 of 10.0"
    assert "narrows streams list --sort skipped" in finding.remedy


def test_where_nothing_is_lost_the_busiest_are_named() -> None:
    rates = [StreamRates(f"cam-{number}", float(number)) for number in range(5)]
    assert streams.judge_rates(rates) == ok("busiest streams", "frames/s offered: cam-4 4.0, cam-3 3.0, cam-2 2.0")
    assert streams.judge_rates([]).level is Level.OK


def test_a_camera_whose_clock_is_ahead_is_named() -> None:
    (finding,) = streams.judge_clocks([StreamRates("one", 5.0, 0.0, 5.0), StreamRates("two", 5.0)])
    assert (finding.level, finding.detail) == (Level.WARN, "1 ahead of the server's: one")
    assert "NTP" in finding.remedy
    assert list(streams.judge_clocks([StreamRates("two", 5.0)])) == []


MASKS_IN_FILE = '[edge]\nsend = "masks"\nstream-id = "gate-3"\n'


@pytest.mark.parametrize(
    ("file", "environment", "stream"),
    [
        (MASKS_IN_FILE, {}, "gate-3"),
        (MASKS_IN_FILE, {"NARROWS_STREAM_ID": "gate-4"}, "gate-4"),
        (MASKS_IN_FILE, {"NARROWS_EDGE_SEND": "features"}, None),
        ("", {"NARROWS_EDGE_SEND": "masks"}, "this machine's camera"),
        ("", {"NARROWS_EDGE_SEND": "auto"}, None),
        ('[edge]\nstream-id = "gate-3"\n', {}, None),
        ('[demo]\nsend = "masks"\n', {}, None),
    ],
)
def test_a_camera_is_told_masks_by_the_environment_before_the_file(
    tmp_path: Path, file: str, environment: dict[str, str], stream: str | None
) -> None:
    path = tmp_path / "narrows.toml"
    path.write_text(file)
    assert settings.stream_told_masks(read(path, all_keys()), environment) == stream


def test_a_file_that_cannot_be_read_tells_no_camera_anything() -> None:
    assert settings.stream_told_masks(ConfigError("narrows.toml:2: there is no key 'fsp'"), {}) is None


def test_a_camera_of_masks_is_named_while_the_install_allows_features_alone() -> None:
    finding = install.judge_packet_format(Install(4), "gate-3")
    assert (finding.level, finding.subject) == (Level.WARN, "packet format")
    assert "gate-3" in finding.detail
    assert "narrows streams packet-format 2" in (finding.remedy or "")
    assert install.judge_packet_format(Install(4, packet_format=2), "gate-3").level is Level.OK
    fresh = install.judge_packet_format(Install(4), None)
    assert fresh.level is Level.OK
    assert "narrows streams packet-format 2" in fresh.detail, "cameras that send masks say so at their end alone"
