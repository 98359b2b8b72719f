"""The nodes of a Redis Cluster: are they enough, in step, of one version, and where they say that they are?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import redis

from narrows.ops.doctor.no_answer import NoAnswer
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redis import connect
from narrows.runtime.redis.address import Address, Endpoint

LEAST_MASTERS = 3
"""A failover needs the votes of most masters: with two, none is left to vote when one is away."""
_SLOTS = 16384
_SUBJECT = "Redis Cluster"


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a cluster.

    Attributes:
        name: its id.
        at: the address that it announces.
        master: the id of whom it follows; empty for a master.
        serves: whether it serves slots.
        failed: whether the others hold it to be away.
        version: what it runs; empty where it does not answer.
        link_up: whether a replica has its master's data.
        answers_as: the id of who answers at that address; empty where nobody does, or who is there does not say.
        no_answer: why; ``None`` where it answers, or was not asked.
    """

    name: str
    at: Endpoint
    master: str
    serves: bool
    failed: bool
    version: str = ""
    link_up: bool = True
    answers_as: str = ""
    no_answer: NoAnswer | None = None


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was found of a cluster.

    Attributes:
        silent: servers of the address that say nothing of a cluster, and why.
        state: ``cluster_state`` of CLUSTER INFO.
        uncovered: slots that nobody serves.
        full_coverage: whether one slot that nobody serves stops all others.
    """

    nodes: tuple[Node, ...] = ()
    silent: dict[str, NoAnswer] = field(default_factory=dict)
    state: str = ""
    uncovered: int = 0
    full_coverage: bool = False


def look(address: Address) -> Iterator[Finding]:
    """A line for each thing that is amiss, one if none is."""
    yield from judge(gather(address))


def judge(facts: ClusterFacts) -> Iterator[Finding]:
    """A line for each thing that is amiss, one if none is."""
    troubles = list(_silent(facts))
    if facts.nodes:
        troubles += [*_about_slots(facts), *(each for node in facts.nodes for each in _about_node(node))]
        troubles += _about_all(facts)
    yield from troubles
    if not troubles:
        masters = sum(node.serves for node in facts.nodes)
        detail = f"{masters} masters serve all slots, replicas that follow: {len(facts.nodes) - masters}"
        yield ok(_SUBJECT, detail)


def _silent(facts: ClusterFacts) -> Iterator[Finding]:
    for server, why in facts.silent.items():
        alone = "cluster support disabled" in why.why
        remedy = "begin --redis-url with redis://, or start it with --cluster-enabled yes" if alone else why.remedy
        yield (fail if alone or not facts.nodes else warn)(_SUBJECT, f"{server} {why}", remedy)


def _about_slots(facts: ClusterFacts) -> Iterator[Finding]:
    masters = sum(node.serves for node in facts.nodes)
    if masters < LEAST_MASTERS:
        remedy = "at least three, on three machines: CLUSTER MEET, then move slots to them"
        yield fail(_SUBJECT, f"{masters} serve slots: too few masters to agree on a failover", remedy)
    if facts.state != "ok" or facts.uncovered:
        detail = f"its state is {facts.state}, and nobody serves {facts.uncovered} slots"
        yield fail(_SUBJECT, detail, "start the nodes that are away, or give their slots to others")
    if facts.full_coverage:
        remedy = "CONFIG SET cluster-require-full-coverage no, and in its file"
        yield warn(_SUBJECT, "where one node without an heir is lost, all shards stop", remedy)


def _about_node(node: Node) -> Iterator[Finding]:
    if node.failed:
        yield warn(_SUBJECT, f"the node {node.at} is away, by the others' word", "start it, or CLUSTER FORGET it")
    elif node.no_answer is not None and node.no_answer.refused:
        yield fail(_SUBJECT, f"the node {node.at} {node.no_answer}", node.no_answer.remedy)
    elif node.answers_as != node.name:
        cause = f": {node.no_answer.why}" if node.no_answer else ""
        who = f"node {node.answers_as[:8]} answers" if node.answers_as else f"no node answers from here{cause}"
        remedy = "set cluster-announce-ip, -hostname and -port to what cameras and programs reach"
        yield fail(_SUBJECT, f"node {node.name[:8]} announces {node.at}, where {who}", remedy)
    elif not node.link_up:
        remedy = "wait for its first copy: until then nobody takes over from its master; look at its log"
        yield warn(_SUBJECT, f"the replica {node.at} is not in step with its master", remedy)


def _about_all(facts: ClusterFacts) -> Iterator[Finding]:
    followed = {node.master for node in facts.nodes if not node.failed}
    for node in facts.nodes:
        if node.serves and node.name not in followed:
            yield warn(_SUBJECT, f"the master {node.at} has no replica: its shards end with it", "CLUSTER REPLICATE")
    versions = sorted({node.version for node in facts.nodes if node.version})
    if len(versions) > 1:
        yield warn(_SUBJECT, f"its nodes run different versions: {', '.join(versions)}", "upgrade them all to one")


def gather(address: Address) -> ClusterFacts:
    """Ask every server of the address for its cluster, and every node that it names for itself."""
    silent: dict[str, NoAnswer] = {}
    facts = ClusterFacts()
    for server in address.servers:
        try:
            with closing(connect(address.of_server(server))) as client:
                ask: Any = client.execute_command
                lines = _text(ask("CLUSTER", "NODES")).splitlines()
                info = _pairs(_text(ask("CLUSTER", "INFO")))
                full = _full_coverage(client)
        except redis.RedisError as error:
            silent[str(server)] = NoAnswer.of(error)
            continue
        if not facts.nodes:
            nodes = tuple(_asked(address, node) for node in parse_nodes(lines, server))
            uncovered = _SLOTS - int(info.get("cluster_slots_assigned", 0))
            facts = ClusterFacts(nodes, {}, info.get("cluster_state", "?"), uncovered, full)
    return replace(facts, silent=silent)


def parse_nodes(lines: Sequence[str], asked: Endpoint) -> list[Node]:
    """The lines of CLUSTER NODES; a node without an address is at the one that was asked."""
    nodes = []
    for line in lines:
        name, where, flags, master, _, _, _, _, *slots = line.split(" ")
        host, _, port = where.partition(",")[0].partition("@")[0].rpartition(":")
        named = where.split(",")[1] if "," in where else ""
        flagged = flags.split(",")
        if "handshake" in flagged or "noaddr" in flagged:
            continue
        at = Endpoint(named or host.strip("[]") or asked.host, int(port))
        away = "fail" in flagged or "fail?" in flagged
        nodes.append(Node(name, at, "" if master == "-" else master, "master" in flagged and bool(slots), away))
    return nodes


def _asked(address: Address, node: Node) -> Node:
    """A node, with what it says of itself at the address that it announces."""
    try:
        with closing(connect(address.of_server(node.at))) as client:
            return as_it_says(node, client)
    except redis.RedisError as error:
        return replace(node, no_answer=NoAnswer.of(error))


def as_it_says(node: Node, client: redis.Redis) -> Node:
    """A node, with what the server that answers at its address says of itself: by commands that every role may use."""
    ask: Any = client.execute_command
    own = _own_name(_text(ask("CLUSTER", "NODES")).splitlines())
    info: Any = client.info()
    version = f"{info.get('server_name', 'redis')} {info.get('valkey_version', info.get('redis_version', '?'))}"
    link_up = not node.master or info.get("master_link_status", "up") == "up"
    return replace(node, version=version, link_up=link_up, answers_as=own)


def _own_name(lines: Sequence[str]) -> str:
    """CLUSTER MYID says it too, which the roles of ``narrows keys acl`` may not ask."""
    own = (name for name, _, flags, *_ in (line.split(" ") for line in lines) if "myself" in flags.split(","))
    return next(own, "")


def _full_coverage(client: redis.Redis) -> bool:
    with suppress(redis.ResponseError):
        found: Any = client.config_get("cluster-require-full-coverage")
        return bool(found.get("cluster-require-full-coverage", "no") in ("yes", b"yes"))
    return False


def _pairs(info: str) -> dict[str, str]:
    return dict(line.split(":", 1) for line in info.splitlines() if ":" in line)


def _text(word: object) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
