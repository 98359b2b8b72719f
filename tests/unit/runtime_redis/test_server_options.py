"""The options of Redis that the safety rests on: judged by value, listed where people look."""

from pathlib import Path

import pytest

from narrows.runtime.redis.server_options import MIB, OPTIONS, ServerOption, State, clients_bytes, look

ROOT = Path(__file__).resolve().parents[3]
NAMED = {option.name: option for option in OPTIONS}


@pytest.mark.parametrize(
    ("name", "value", "connections", "state"),
    [
        ("maxmemory-policy", "noeviction", 1, State.MET),
        ("maxmemory-policy", "allkeys-lru", 1, State.AMISS),
        ("maxmemory", "0", 1, State.AMISS),
        ("maxmemory", "100", 1, State.MET),
        ("maxmemory-clients", "0", 0, State.AMISS),
        ("maxmemory-clients", str(128 * MIB), 1300, State.MET),
        ("maxmemory-clients", str(128 * MIB), 5000, State.AMISS),
        ("maxmemory-clients", str(304 * MIB), 5000, State.MET),
        ("maxmemory-clients", "5%", 1, State.AMISS),
        ("proto-max-bulk-len", str(512 * MIB), 1, State.AMISS),
        ("proto-max-bulk-len", str(MIB), 1, State.MET),
        ("appendfsync", "no", 1, State.AMISS),
        ("appendfsync", "always", 1, State.MET),
        ("appendonly", "", 1, State.AMISS),
        ("appendonly", None, 1, State.UNKNOWN),
    ],
)
def test_an_option_is_judged_by_its_value(name: str, value: str | None, connections: int, state: State) -> None:
    assert NAMED[name].state(value, connections) is state


def test_more_connections_need_more_room_for_their_buffers() -> None:
    assert clients_bytes(5000) - clients_bytes(4000) == 1000 * 48 * 1024
    assert 300 * MIB > clients_bytes(5000) > 290 * MIB


def test_what_nobody_may_ask_for_is_unknown_unless_info_has_it() -> None:
    states = {
        fact.option.name: fact.state for fact in look({}, {"maxmemory_policy": "volatile-lru", "aof_enabled": "0"})
    }
    assert states.pop("maxmemory-policy") is State.AMISS
    assert states.pop("appendonly") is State.AMISS
    assert set(states.values()) == {State.UNKNOWN}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_docs_list_each_option_as_it_is_declared(option: ServerOption) -> None:
    row = f"| `{option.name}` | {option.wanted} | `{option.setting}` | {option.why} |"
    assert row in (ROOT / "docs" / "dispatch.md").read_text().splitlines()
