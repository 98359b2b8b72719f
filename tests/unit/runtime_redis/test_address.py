"""An address of several servers is taken apart as it was meant, or is an error that says what one is."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.contract.errors import ServiceError
from narrows.runtime.redis.address import Address, Endpoint, Topology

_HOSTS = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=12).filter(lambda h: h[0] != ".")
_SERVERS = st.lists(st.builds(Endpoint, _HOSTS, st.integers(1, 65535)), min_size=1, max_size=4)


def test_an_address_of_sentinels_names_them_and_the_master() -> None:
    address = Address.parse("redis+sentinel://u:p%40q@a:1,b/fleet/2?sentinel_username=s&sentinel_password=hunter2222")
    assert address.topology is Topology.SENTINEL
    assert address.servers == (Endpoint("a", 1), Endpoint("b", 26379))
    assert address.service == "fleet"
    assert address.sentinel == {"username": "s", "password": "hunter2222"}
    assert address.of_server(Endpoint("m", 6380)) == "redis://u:p%40q@m:6380/2"


def test_an_address_of_a_cluster_names_members_and_keeps_user_and_options_for_each() -> None:
    address = Address.parse("rediss+cluster://u:p@a:7000,[::1]:7001,c/?ssl_ca_certs=/etc/ca.pem")
    assert address.topology is Topology.CLUSTER
    assert address.servers == (Endpoint("a", 7000), Endpoint("::1", 7001), Endpoint("c", 6379))
    assert address.of_server(Endpoint("::2", 1)) == "rediss://u:p@[::2]:1/0?ssl_ca_certs=/etc/ca.pem"


@pytest.mark.parametrize("url", ["redis://h:6379/3", "rediss://u:p@h", "redis://h?db=3&client_name=a"])
def test_an_address_of_one_server_stays_as_it_is(url: str) -> None:
    address = Address.parse(url)
    assert (address.topology, address.url, address.servers) == (Topology.SINGLE, url, ())


@given(_SERVERS, st.sampled_from(["redis", "rediss"]))
def test_what_is_written_is_read_again(servers: list[Endpoint], scheme: str) -> None:
    hosts = ",".join(map(str, servers))
    assert Address.parse(f"{scheme}+cluster://{hosts}").servers == tuple(servers)
    assert Address.parse(f"{scheme}+sentinel://{hosts}/m").servers == tuple(servers)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis+sentinal://h/m", r"no address of Redis.*redis\+sentinel://"),
        ("redis+sentinel://h", r"name of a master.*/MASTER"),
        ("redis+sentinel://h/", r"name of a master.*/MASTER"),
        ("redis+sentinel://h/m/x", "name of a master"),
        ("redis+sentinel://h,/m", r"HOST:PORT.*redis\+sentinel"),
        ("redis+cluster://h:1,:2", r"HOST:PORT.*redis\+cluster"),
        ("redis+cluster://h:1/1", "one database"),
        ("redis+cluster://h:65536", "port beyond"),
        ("redis+cluster://h:0", "port 0"),
        ("redis+cluster://u:12/hunter@h:1", "percent-encode"),
        ("unix:///run/redis.sock", r"no address of Redis.*redis://"),
        ("redis://h?ssl_ca_certs=/ca.pem", "begin it with rediss"),
        ("redis+cluster://h?ssl_cert_reqs=none", "begin it with rediss"),
        ("rediss://h?ssl_ca_cert=/hunter.pem", "not known: behind .* ssl_ca_certs, "),
        ("redis://h?hunter=1", "not known: behind .* socket_timeout, "),
        ("redis://h?decode_responses=1", "not known"),
        ("redis://h?sentinel_password=hunter2222", "not known"),
        ("redis+sentinel://h/m?service_name=hunter", "not known: behind .* sentinel_password"),
        ("redis://h:1,h2:2/0", r"HOST:PORT.*redis\+cluster"),
    ],
)
def test_what_is_no_address_is_an_error_that_says_what_one_is(url: str, said: str) -> None:
    with pytest.raises(ServiceError, match=said) as caught:
        Address.parse(url)
    assert "hunter" not in str(caught.value)
