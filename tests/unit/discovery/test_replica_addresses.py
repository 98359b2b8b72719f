"""Where servers are to be found, and what they write of themselves: every text is read or refused by name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import RecordError, ServiceError
from orchestrator.discovery.address import Address
from orchestrator.discovery.record import MAX_RECORD_BYTES, ServerRecord
from orchestrator.discovery.sources import EndpointSource, parse_sources

PORTS = st.integers(1, 65535)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9_.-]{0,20}[a-z0-9])?", fullmatch=True)
HOSTS = NAMES | st.ip_addresses().map(str)


@given(HOSTS, PORTS)
def test_an_address_is_read_as_it_is_written(host: str, port: int) -> None:
    address = Address(host, port)
    assert Address.parse(str(address)) == address


@given(st.text(max_size=40))
def test_every_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except ServiceError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "triton",
        "triton:",
        ":8001",
        "triton:0",
        "triton:65536",
        "a b:1",
        "::1:8001",
        "[tri]:1",
        "http://a:1",
        "a:+1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ServiceError, match="HOST:PORT"):
        Address.parse(text)


@given(HOSTS, PORTS, st.text(max_size=20))
def test_a_record_is_read_as_it_is_written(host: str, port: int, slot: str) -> None:
    record = ServerRecord(str(Address(host, port)), slot)
    assert ServerRecord.parse(record.to_json()) == record


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_refused_by_name(data: bytes) -> None:
    try:
        ServerRecord.parse(data)
    except RecordError:
        return


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=5,
)


@given(VALUES | st.fixed_dictionaries({"v": VALUES | st.just(1), "address": VALUES | st.just("a:1"), "slot": VALUES}))
def test_any_json_is_a_record_or_refused_by_name(raw: object) -> None:
    try:
        record = ServerRecord.parse(json.dumps(raw).encode())
    except RecordError:
        return
    assert Address.parse(record.address)


@pytest.mark.parametrize("cores", ["5e-324", "0.0", "-1.0", "1e300"])
def test_a_share_of_a_processor_that_none_can_give_is_refused(cores: str) -> None:
    with pytest.raises(RecordError, match="cores"):
        ServerRecord.parse(f'{{"v":1,"address":"10.0.0.1:8001","cores":{cores}}}'.encode())


def test_a_newer_record_may_have_more_fields_but_not_another_version() -> None:
    assert ServerRecord.parse(b'{"v":1,"address":"a:1","zone":"b"}') == ServerRecord("a:1")
    with pytest.raises(RecordError, match="version 2"):
        ServerRecord.parse(b'{"v":2,"address":"a:1"}')
    with pytest.raises(RecordError, match="are read"):
        ServerRecord.parse(b" " * (MAX_RECORD_BYTES + 1))


def test_values_name_servers_names_and_the_register_in_one_list() -> None:
    assert parse_sources(["10.0.0.7:8001, dns:tasks.triton:8001", "redis:", "[::1]:9", "triton:8001"]) == (
        EndpointSource(Address("10.0.0.7", 8001)),
        EndpointSource(Address("tasks.triton", 8001), named=True),
        EndpointSource(None),
        EndpointSource(Address("::1", 9)),
        EndpointSource(Address("triton", 8001), named=True),
    )


def test_what_is_named_twice_is_one() -> None:
    assert len(parse_sources(["a:1,a:1", "dns:a:1"])) == 1


@pytest.mark.parametrize("values", [[], [""], [" , "], ["redis://127.0.0.1:6379"], ["a:1", "b"]])
def test_what_names_no_server_is_refused(values: list[str]) -> None:
    with pytest.raises(ServiceError):
        parse_sources(values)
