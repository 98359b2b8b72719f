"""Claims about the records between operator and autoscaler: what is written is read, and nothing else is."""

from __future__ import annotations

import contextlib
import json
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from narrows.contract.errors import ConfigError, RecordError, ServiceError
from narrows.contract.wire.scale_order import MAX_SERVERS, ScaleOrder, parse_target
from narrows.runtime.redis.store import Store
from orchestrator.scaling.engines import EngineName, EngineOptions, make_engine
from orchestrator.scaling.journal import JournalEntry, action_of
from orchestrator.scaling.setting_values import with_values
from orchestrator.scaling.settings import PolicySettings
from orchestrator.scaling.signals import Decision
from orchestrator.scaling.status import ServerLine, Status

TEXT = st.text(max_size=30)
COUNT = st.integers(0, 10_000)
SHARE = st.floats(0, 1e6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ORDERS = st.builds(
    ScaleOrder, servers=st.none() | st.integers(0, MAX_SERVERS), frozen=st.booleans(), who=TEXT, at_ms=COUNT
)
LINES = st.builds(
    ServerLine,
    address=TEXT,
    instances=st.none() | COUNT,
    busy_instances=st.none() | SHARE,
    outstanding=COUNT,
    pending=st.none() | COUNT,
    queue_s=st.none() | SHARE,
    compute_s=st.none() | SHARE,
    gpu_ratio=st.none() | SHARE,
    gpu_memory_ratio=st.none() | SHARE,
)
STATUS = st.builds(
    Status,
    at_ms=COUNT,
    interval_s=SHARE,
    leader=TEXT,
    token=COUNT,
    engine=TEXT,
    dry_run=st.booleans(),
    frozen=st.booleans(),
    ordered=st.none() | COUNT,
    wanted=COUNT,
    ready=COUNT,
    starting=COUNT,
    draining=COUNT,
    slots=st.none() | COUNT,
    min_servers=COUNT,
    max_servers=COUNT,
    instances=COUNT,
    instances_wanted=COUNT,
    streams=COUNT,
    frames_per_s=st.none() | SHARE,
    server_frames_per_s=st.none() | SHARE,
    load=st.none() | SHARE,
    target_load=SHARE,
    streams_left=st.none() | COUNT,
    streams_left_at_most=st.none() | COUNT,
    load_a_stream=st.none() | SHARE,
    load_a_stream_error=st.none() | SHARE,
    backlog_frames=COUNT,
    backlog_age_s=SHARE,
    late_ratio=SHARE,
    dispatchers=COUNT,
    dispatcher_saturation=SHARE,
    capacity_exhausted=st.booleans(),
    reasons=st.lists(TEXT, max_size=3).map(tuple),
    detail=TEXT,
    failure=TEXT,
    servers=st.lists(LINES, max_size=3).map(tuple),
)
ENTRIES = st.builds(
    JournalEntry,
    action=TEXT,
    servers=COUNT,
    instances=COUNT,
    reasons=st.lists(TEXT, max_size=3).map(tuple),
    detail=TEXT,
    by=TEXT,
    dry_run=st.booleans(),
    at_ms=st.just(5),
)


@given(ORDERS)
def test_an_order_is_read_as_it_was_written(order: ScaleOrder) -> None:
    assert ScaleOrder.parse(order.to_json()) == order


@given(STATUS)
def test_a_status_is_read_as_it_was_written(status: Status) -> None:
    assert Status.parse(status.to_json()) == status


@given(ENTRIES)
def test_a_decision_is_read_as_it_was_written(entry: JournalEntry) -> None:
    assert JournalEntry.parse_entry(entry.to_json(), 5) == entry


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_other_bytes_are_refused_by_name(data: bytes) -> None:
    for parse in (ScaleOrder.parse, Status.parse, lambda data: JournalEntry.parse_entry(data, 0)):
        with contextlib.suppress(RecordError):
            parse(data)


@given(st.sampled_from(ScaleOrder.__struct_fields__), JSON)
@example("servers", {"": -(1 << 63) - 1})
def test_an_order_with_an_odd_field_is_refused_or_means_what_it_says(name: str, value: object) -> None:
    read, refusal = None, ""
    try:
        read = ScaleOrder.parse(json.dumps({"v": 1, name: value}).encode())
    except RecordError as error:
        refusal = str(error)
    within = isinstance(value, dict | list) and "beyond 64 bits" in refusal  # named by the innermost key
    assert within or name in refusal if read is None else getattr(read, name) == value


def test_numbers_that_are_none_become_unknown() -> None:
    status = Status.parse(STATUS_EXAMPLE.to_json())
    assert status.load is None
    assert json.loads(STATUS_EXAMPLE.to_json())["load"] is None


STATUS_EXAMPLE = Status(
    at_ms=1,
    interval_s=2.0,
    leader="a",
    token=7,
    engine="local",
    dry_run=False,
    frozen=False,
    ordered=None,
    wanted=1,
    ready=0,
    starting=1,
    draining=0,
    slots=None,
    min_servers=1,
    max_servers=4,
    instances=1,
    instances_wanted=1,
    streams=3,
    frames_per_s=6.0,
    server_frames_per_s=None,
    load=float("inf"),
    target_load=0.75,
    streams_left=None,
    streams_left_at_most=None,
    load_a_stream=None,
    load_a_stream_error=float("nan"),
    backlog_frames=0,
    backlog_age_s=0.0,
    late_ratio=0.0,
    dispatchers=1,
    dispatcher_saturation=0.1,
    capacity_exhausted=False,
    reasons=("cold_start",),
    detail="",
)


@given(st.integers(0, MAX_SERVERS))
def test_a_number_of_servers_is_ordered(number: int) -> None:
    assert parse_target(str(number)) == number


@pytest.mark.parametrize("text", ["auto", "AUTO", " auto "])
def test_auto_gives_it_back(text: str) -> None:
    assert parse_target(text) is None


@given(st.text(max_size=12).filter(lambda text: text.strip().lower() != "auto"))
def test_any_other_text_is_refused_by_name(text: str) -> None:
    number, refusal = None, ""
    try:
        number = parse_target(text)
    except RecordError as error:
        refusal = str(error)
    assert "servers" in refusal if number is None else number == int(text) <= MAX_SERVERS


@pytest.mark.parametrize(
    ("now", "before", "action"),
    [
        ((3, 1), None, "keep"),
        ((3, 1), (2, 1), "scale_up"),
        ((1, 1), (2, 1), "scale_down"),
        ((2, 2), (2, 1), "add_instances"),
        ((2, 1), (2, 2), "remove_instances"),
        ((3, 1), (2, 2), "scale_up"),
        ((2, 2), (2, 2), "keep"),
    ],
)
def test_what_a_decision_changes_has_a_name(now: tuple[int, int], before: tuple[int, int] | None, action: str) -> None:
    assert action_of(Decision(*now), None if before is None else Decision(*before)) == action


def test_settings_of_the_policy_are_read_by_name() -> None:
    changed = with_values(PolicySettings(), ["drain_s=20", "max-servers = 3", "surge_servers=2"])
    assert (changed.drain_s, changed.max_servers, changed.surge_servers) == (20.0, 3, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("drain=20", "did you mean drain_s"),
        ("drain_s", "NAME=VALUE"),
        ("surge_servers=1.5", "whole number"),
        ("drain_s=soon", "is a number"),
        ("max_servers=0", "max >= 1"),
        ("xyz=1", "it has min_servers, max_servers"),
    ],
)
def test_a_setting_that_is_none_is_named_with_its_nearest_match(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_values(PolicySettings(), [text])


@pytest.mark.parametrize("name", list(EngineName))
async def test_every_engine_is_made_by_its_name(name: EngineName) -> None:
    store = Store.connect("redis://127.0.0.1:1/0")
    engine = make_engine(name, EngineOptions(), store)
    assert engine.name == name.value
    await engine.close()
    await store.close()


@pytest.mark.parametrize(
    ("name", "package"),
    [(EngineName.COMPOSE, "docker"), (EngineName.SWARM, "docker"), (EngineName.KUBERNETES, "kubernetes")],
)
async def test_a_missing_client_is_named_with_the_remedy(
    name: EngineName, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [each for each in sys.modules if each.partition(".")[0] == package or ".engines." in each]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    store = Store.connect("redis://127.0.0.1:1/0")
    with pytest.raises(ServiceError, match=rf"--engine {name}.*pip install 'narrows\[{package}\]'"):
        make_engine(name, EngineOptions(), store)
    await store.close()
