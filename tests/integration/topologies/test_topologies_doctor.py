"""The doctor on real Sentinels and a real cluster: well, then with one thing broken after the other."""

from __future__ import annotations

from typing import Any

import redis

from narrows.ops.doctor import cluster
from narrows.ops.doctor import sentinels as doctor_of_sentinels
from narrows.ops.doctor.examine import Patient, examine
from narrows.runtime.config import Configuration
from narrows.runtime.finding import Finding, Level
from narrows.runtime.redis.address import Address
from tests.integration.topologies.servers import MASTER, Nodes, Watched, eventually, kill

_OF_REDIS = ("Redis", "Redis role", "Redis Cluster", "Sentinel")


def of_redis(url: str) -> list[Finding]:
    nothing: dict[str, Any] = {"triton": None, "orchestrators": (), "bundles": ()}
    nothing |= {"configuration": Configuration(), "environment": {}, "variables": frozenset()}
    return [each for each in examine(Patient(redis_url=url, **nothing)) if each.subject in _OF_REDIS]


def says(findings: list[Finding], words: str) -> bool:
    return any(words in each.detail for each in findings)


def test_a_cluster_that_is_well_has_no_troubles_and_each_master_is_looked_at(nodes: Nodes) -> None:
    found = of_redis(nodes.url)
    assert {each.level for each in found} == {Level.OK}, found
    assert says(found, "3 masters serve all slots, replicas that follow: 3")
    assert len([each for each in found if each.subject == "Redis"]) == 3


def test_one_node_of_a_cluster_by_itself_is_named(nodes: Nodes) -> None:
    (line,) = [each for each in of_redis(nodes.masters()[0].url) if each.subject == "Redis role"]
    assert line.level is Level.FAIL
    assert "one node of a cluster" in line.detail
    assert "redis+cluster://" in line.remedy


def test_a_wrong_announced_address_is_named(nodes: Nodes) -> None:
    address, wrong = Address.parse(nodes.url), nodes.servers[-1]
    nodes.say(wrong, "CONFIG", "SET", "cluster-announce-port", 1)
    try:
        eventually(lambda: says(list(cluster.look(address)), "announces 127.0.0.1:1, where no node answers"))
    finally:
        nodes.say(wrong, "CONFIG", "SET", "cluster-announce-port", 0)
        eventually(lambda: {each.level for each in cluster.look(address)} == {Level.OK})


def test_a_cluster_address_of_one_server_is_named(sentinels: Watched) -> None:
    alone = f"redis+cluster://127.0.0.1:{sentinels.servers[0].port}"
    (line,) = cluster.look(Address.parse(alone))
    assert "cluster support disabled" in line.detail
    assert "redis://" in line.remedy


def test_sentinels_that_are_well_have_no_troubles_and_a_dead_master_is_named(sentinels: Watched) -> None:
    sentinels.heal()
    found = of_redis(sentinels.url)
    assert {each.level for each in found} == {Level.OK}, found
    _wait_before_failover(sentinels, 60_000)
    master = sentinels.master
    kill(master)
    said = list(look_at(sentinels))
    assert says(said, f"names a dead master, 127.0.0.1:{master.port}")
    _wait_before_failover(sentinels, 500)
    sentinels.heal()
    eventually(lambda: {each.level for each in look_at(sentinels)} == {Level.OK})


def look_at(watched: Watched) -> list[Finding]:
    return list(doctor_of_sentinels.look(Address.parse(watched.url)))


def _wait_before_failover(watched: Watched, down_after_ms: int) -> None:
    for port in watched.sentinels:
        with redis.Redis(port=port) as sentinel:
            sentinel.execute_command("SENTINEL", "SET", MASTER, "down-after-milliseconds", down_after_ms)
