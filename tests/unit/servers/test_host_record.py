"""The records between an autoscaler and a supervisor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import RecordError
from orchestrator.servers.host_record import MAX_RECORD_BYTES, HostState, WantedServers

counts = st.integers(0, 2**53)
STATE = HostState(1_000, "me", 4, 2, ready=1, starting=1, servers=("127.0.0.1:1",), trouble="no space left")


@given(counts, counts)
def test_what_is_wanted_comes_back(target: int, token: int) -> None:
    assert WantedServers.parse(WantedServers(target, token).to_json()) == WantedServers(target, token)


def test_a_state_comes_back_and_may_be_newer() -> None:
    assert HostState.parse(STATE.to_json()) == STATE
    assert HostState.parse(json.dumps(json.loads(STATE.to_json()) | {"later": [1]}).encode()) == STATE


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_named_error(data: bytes) -> None:
    for kind in (WantedServers, HostState):
        try:
            kind.parse(data)
        except RecordError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b'{"v":2,"target":1,"token":1}',
        b'{"v":1,"target":-1,"token":1}',
        b'{"v":1,"target":1e999,"token":1}',
        b'{"v":1,"target":null,"token":1}',
        b'{"v":1}',
        b"[1]",
        b"[" * 10_000,
        b" " * (MAX_RECORD_BYTES + 1),
    ],
)
def test_what_is_wanted_cannot_be_read(data: bytes) -> None:
    with pytest.raises(RecordError):
        WantedServers.parse(data)
