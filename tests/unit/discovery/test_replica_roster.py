"""Service discovery over names whose answers change; Redis' part is tested against a real one (integration)."""

import asyncio
from contextlib import suppress

from orchestrator.discovery.address import Address
from orchestrator.discovery.resolve import resolve
from orchestrator.discovery.service_discovery import ServiceDiscovery
from orchestrator.discovery.sources import parse_sources

NAME = Address("triton", 8001)


class Names:
    """A name service whose answers a test sets; without one it knows nothing."""

    def __init__(self) -> None:
        self.behind: set[str] | None = None

    async def __call__(self, name: Address) -> frozenset[str]:
        if self.behind is None:
            raise OSError("Name or service not known")
        return frozenset(f"{host}:{name.port}" for host in self.behind)


def test_a_server_given_by_its_address_is_known_at_once() -> None:
    assert ServiceDiscovery(parse_sources(["127.0.0.1:8001"])).addresses == {"127.0.0.1:8001"}


async def test_each_address_behind_a_name_is_a_server_and_followers_hear_of_each_change() -> None:
    names, heard = Names(), list[frozenset[str]]()
    service_discovery = ServiceDiscovery(parse_sources(["10.9.9.9:1", "triton:8001"]), resolver=names)
    end = service_discovery.follow(lambda: heard.append(service_discovery.addresses))
    assert service_discovery.looking
    names.behind = set()
    await service_discovery.look_up(NAME)
    assert not service_discovery.looking
    assert service_discovery.gaps() == ["triton:8001 has no address"]
    for behind in ({"10.0.0.1"}, {"10.0.0.1", "10.0.0.2"}, {"10.0.0.1", "10.0.0.2"}, {"10.0.0.2"}):
        names.behind = behind
        await service_discovery.look_up(NAME)
    assert [sorted(each) for each in heard] == [
        ["10.9.9.9:1"],
        ["10.0.0.1:8001", "10.9.9.9:1"],
        ["10.0.0.1:8001", "10.0.0.2:8001", "10.9.9.9:1"],
        ["10.0.0.2:8001", "10.9.9.9:1"],
    ]
    assert service_discovery.gaps() == []
    end()
    names.behind = {"10.0.0.3"}
    await service_discovery.look_up(NAME)
    assert len(heard) == 4


async def test_a_name_that_is_not_resolved_any_more_takes_no_server_away_and_one_that_never_was_says_why() -> None:
    names = Names()
    service_discovery = ServiceDiscovery(parse_sources(["triton:8001"]), resolver=names)
    await service_discovery.look_up(NAME)
    assert service_discovery.addresses == frozenset()
    assert service_discovery.gaps() == ["triton:8001 does not resolve: Name or service not known"]
    assert not service_discovery.looking
    names.behind = {"10.0.0.1"}
    await service_discovery.look_up(NAME)
    names.behind = None
    await service_discovery.look_up(NAME)
    assert service_discovery.addresses == {"10.0.0.1:8001"}


async def test_a_real_name_is_resolved_to_one_family_of_addresses() -> None:
    assert await resolve(Address("localhost", 8001)) in ({"127.0.0.1:8001"}, {"[::1]:8001"})


async def test_it_looks_until_it_is_told_to_end() -> None:
    names = Names()
    names.behind = {"10.0.0.1"}
    service_discovery = ServiceDiscovery(parse_sources(["triton:8001"]), resolver=names)
    found = asyncio.Event()
    service_discovery.follow(found.set)
    looking = asyncio.create_task(service_discovery.run())
    await found.wait()
    looking.cancel()
    with suppress(asyncio.CancelledError):
        await looking
    assert looking.cancelled()
