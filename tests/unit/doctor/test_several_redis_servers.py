"""What is amiss between several servers of Redis is named, with the server and what to do."""

from dataclasses import replace
from typing import Any, cast

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from narrows.ops.doctor import cluster, sentinels
from narrows.ops.doctor.cluster import ClusterFacts, Node, parse_nodes
from narrows.ops.doctor.examine import no_redis
from narrows.ops.doctor.no_answer import NoAnswer
from narrows.ops.doctor.sentinels import SentinelView
from narrows.runtime.finding import Finding, Level
from narrows.runtime.redis.address import Endpoint
from narrows.runtime.redis.users import ROLES, User

A, B, C, R = (Endpoint("10.0.0.1", port) for port in (1, 2, 3, 9))
MASTERS = [Node(name, at, "", True, False, "valkey 9.1.2", True, name) for name, at in (("a", A), ("b", B), ("c", C))]
REPLICAS = [
    Node(f"{each.name}-replica", replace(each.at, port=10 + each.at.port), each.name, False, False, each.version)
    for each in MASTERS
]
NODES = (*MASTERS, *(replace(each, answers_as=each.name) for each in REPLICAS))
WELL = ClusterFacts(NODES, {}, "ok", 0)
VIEW = SentinelView(R, master=A, others=2, replicas=1)


def troubles(facts: ClusterFacts) -> list[Finding]:
    return [each for each in cluster.judge(facts) if each.level is not Level.OK]


def test_a_cluster_that_is_well_is_one_line() -> None:
    (line,) = cluster.judge(WELL)
    assert (line.level, line.detail) == (Level.OK, "3 masters serve all slots, replicas that follow: 3")


@pytest.mark.parametrize(
    ("facts", "level", "said"),
    [
        (replace(WELL, nodes=(*NODES[:2], *NODES[3:5])), Level.FAIL, "2 serve slots: too few masters"),
        (replace(WELL, state="fail", uncovered=7), Level.FAIL, "nobody serves 7 slots"),
        (replace(WELL, uncovered=7), Level.FAIL, "nobody serves 7 slots"),
        (replace(WELL, full_coverage=True), Level.WARN, "all shards stop"),
        (replace(WELL, silent={"10.0.0.1:5": NoAnswer("refused")}), Level.WARN, "10.0.0.1:5 does not answer: refused"),
        (
            ClusterFacts(silent={"h:1": NoAnswer("ERR This instance has cluster support disabled")}),
            Level.FAIL,
            "cluster support disabled",
        ),
        (replace(WELL, nodes=(replace(NODES[0], failed=True), *NODES[1:])), Level.WARN, "the node 10.0.0.1:1 is away"),
        (
            replace(WELL, nodes=(replace(NODES[0], answers_as=""), *NODES[1:])),
            Level.FAIL,
            "announces 10.0.0.1:1, where no node answers",
        ),
        (
            replace(WELL, nodes=(replace(NODES[0], answers_as="b"), *NODES[1:])),
            Level.FAIL,
            "announces 10.0.0.1:1, where node b answers",
        ),
        (
            replace(WELL, nodes=(*NODES[:5], replace(NODES[5], link_up=False))),
            Level.WARN,
            "the replica 10.0.0.1:13 is not in step",
        ),
        (replace(WELL, nodes=NODES[:5]), Level.WARN, "the master 10.0.0.1:3 has no replica"),
        (
            replace(WELL, nodes=(replace(NODES[0], version="redis 7.0.15"), *NODES[1:])),
            Level.WARN,
            "different versions: redis 7.0.15, valkey 9.1.2",
        ),
    ],
)
def test_what_is_amiss_in_a_cluster_is_one_line_with_a_remedy(facts: ClusterFacts, level: Level, said: str) -> None:
    (line,) = troubles(facts)
    assert (line.level, bool(line.remedy)) == (level, True)
    assert said in line.detail


def test_the_lines_of_cluster_nodes_are_read() -> None:
    lines = [
        "aa 10.0.0.1:7001@17001,redis-1 myself,master - 0 0 1 connected 0-5460 5462",
        "bb 10.0.0.2:7001@17001 slave,fail? aa 0 0 1 connected",
        "cc :7003@17003 master - 0 0 1 connected",
        "dd :0@0 handshake - 0 0 0 disconnected",
    ]
    assert parse_nodes(lines, Endpoint("h", 7003)) == [
        Node("aa", Endpoint("redis-1", 7001), "", True, False),
        Node("bb", Endpoint("10.0.0.2", 7001), "aa", False, True),
        Node("cc", Endpoint("h", 7003), "", False, False),
    ]


class AsRole:
    """A node that lets a role ask what its line in the ACL file has, and nothing else."""

    def __init__(self, role: User) -> None:
        self._may = role.commands.split()

    def execute_command(self, *words: str) -> bytes:
        self._check("|".join(words).lower())
        return b"aa 10.0.0.2:1@1 master - 0 0 1 connected 0-9\nbb 10.0.0.1:9@9 myself,slave aa 0 0 1 connected"

    def info(self) -> dict[str, str]:
        self._check("info")
        return {"redis_version": "7.0.15", "master_link_status": "down"}

    def _check(self, command: str) -> None:
        if command not in self._may:
            raise NoPermissionError(f"User has no permissions to run the '{command}' command")


@pytest.mark.parametrize("name", ["dispatcher", "operator", "maintainer"])
def test_a_node_says_who_it_is_to_each_role_that_people_have(name: str) -> None:
    (role,) = (each for each in ROLES if each.name == name)
    asked = Node("bb", R, "aa", False, False)
    found = cluster.as_it_says(asked, cast("redis.Redis", AsRole(role)))
    assert found == replace(asked, answers_as="bb", version="redis 7.0.15", link_up=False)


def test_sentinels_that_are_well_are_one_line() -> None:
    (line,) = sentinels.judge("fleet", [VIEW] * 3, {})
    assert line.detail == "3 name 10.0.0.1:1 as the master 'fleet'; replicas that follow: 1"
    assert line.level is Level.OK


@pytest.mark.parametrize(
    ("views", "level", "said"),
    [
        ([VIEW, SentinelView(B, silent=NoAnswer("refused"))], Level.WARN, "10.0.0.1:2 does not answer: refused"),
        ([SentinelView(R)], Level.FAIL, "10.0.0.1:9 knows no master 'fleet'"),
        ([VIEW, replace(VIEW, sentinel=B, master=C)], Level.FAIL, "10.0.0.1:9 says 10.0.0.1:1; 10.0.0.1:2 says"),
        ([replace(VIEW, master=B)], Level.FAIL, "10.0.0.1:9 names a dead master, 10.0.0.1:2: it is a slave"),
        ([replace(VIEW, quorum="NOQUORUM 1 usable")], Level.FAIL, "10.0.0.1:9: NOQUORUM"),
        ([replace(VIEW, others=1)], Level.WARN, "there are 2"),
        ([replace(VIEW, replicas=0)], Level.WARN, "no replica"),
        ([replace(VIEW, behind=("10.0.0.1:8",))], Level.WARN, "the replica 10.0.0.1:8 is not in step"),
    ],
)
def test_what_is_amiss_with_sentinels_is_one_line_with_a_remedy(
    views: list[SentinelView], level: Level, said: str
) -> None:
    (line,) = sentinels.judge("fleet", views, {B: NoAnswer("it is a slave")})
    assert (line.level, bool(line.remedy)) == (level, True)
    assert said in line.detail


DENIED = NoPermissionError("User has no permissions to run the 'sentinel|master' command")
TLS = redis.ConnectionError("Error 1 connecting to h:1. [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")


@pytest.mark.parametrize(
    ("error", "said", "remedy"),
    [
        (DENIED, "refuses: NOPERM", "narrows keys acl"),
        (AuthenticationError("invalid username-password pair"), "refuses: WRONGPASS", "password in --redis-url"),
        (ResponseError("unknown command 'SENTINEL'"), "refuses: unknown command", "Sentinels listen at 26379"),
        (TLS, "refuses: Error 1", "rediss"),
        (redis.TimeoutError("Timeout reading from socket"), "does not answer: Timeout", "start it"),
        (redis.ConnectionError("Error 111 connecting"), "does not answer: Error 111", "start it"),
    ],
)
def test_one_that_refuses_is_told_from_one_that_is_away(error: redis.RedisError, said: str, remedy: str) -> None:
    why = NoAnswer.of(error)
    (of_cluster,) = troubles(replace(WELL, silent={"10.0.0.1:5": why}))
    (of_sentinels,) = sentinels.judge("fleet", [VIEW, SentinelView(B, silent=why)], {})
    for line in (of_cluster, of_sentinels):
        assert said in line.detail
        assert remedy in line.remedy


def test_a_node_that_refuses_is_not_one_that_announces_a_wrong_address() -> None:
    node = replace(NODES[0], answers_as="", no_answer=NoAnswer.of(DENIED))
    (line,) = troubles(replace(WELL, nodes=(node, *NODES[1:])))
    assert line.detail.startswith("the node 10.0.0.1:1 refuses: NOPERM")
    assert "announce" not in line.detail + line.remedy


def test_a_master_that_refuses_is_not_dead() -> None:
    (line,) = sentinels.judge("fleet", [VIEW], {A: NoAnswer.of(DENIED)})
    assert line.detail.startswith("the master 10.0.0.1:1, named by 10.0.0.1:9, refuses: NOPERM")
    assert "failover" not in line.remedy


REPLICAS_SAID = ((b"slave", b"ok"), (b"slave,s_down", b"ok"), (b"slave", b"err"))


def replica(port: int, flags: bytes, link: bytes) -> list[bytes]:
    return [b"ip", b"10.0.0.1", b"port", b"%d" % port, b"flags", flags, b"master-link-status", link]


class AsSentinel:
    """A Sentinel that answers some commands with an error."""

    def __init__(self, **errors: ResponseError) -> None:
        self._errors = errors

    def execute_command(self, _: str, command: str, __: str) -> list[Any]:
        if command in self._errors:
            raise self._errors[command]
        if command == "REPLICAS":
            return [replica(port, *said) for port, said in enumerate(REPLICAS_SAID, 1)]
        return [b"ip", b"10.0.0.1", b"port", b"1", b"num-other-sentinels", b"2"] if command == "MASTER" else []


def seen(**errors: ResponseError) -> SentinelView:
    return sentinels.view_of(cast("redis.Redis", AsSentinel(**errors)), R, "fleet")


def test_a_name_that_a_sentinel_does_not_know_is_told_from_a_command_that_it_refuses() -> None:
    assert seen(MASTER=ResponseError("No such master with that name")) == SentinelView(R)
    with pytest.raises(NoPermissionError):
        seen(MASTER=DENIED)


def test_a_quorum_that_is_not_told_is_not_one_that_is_missing() -> None:
    assert seen(CKQUORUM=ResponseError("NOQUORUM 1 usable Sentinels")).quorum == "NOQUORUM 1 usable Sentinels"
    view = seen(CKQUORUM=DENIED)
    assert (view.master, view.quorum) == (A, "")
    (line,) = sentinels.judge("fleet", [replace(view, behind=())], {})
    assert line.level is Level.WARN
    assert "does not say whether a failover could be agreed upon: NOPERM" in line.detail


def test_a_replica_that_is_down_or_has_no_link_is_behind() -> None:
    view = seen()
    assert (view.replicas, view.behind) == (3, ("10.0.0.1:2", "10.0.0.1:3"))


def test_one_server_that_refuses_is_not_to_be_started() -> None:
    line = no_redis("redis://h:1", NoAnswer.of(DENIED), given=True)
    assert (line.level, line.detail.startswith("redis://h:1 refuses: NOPERM")) == (Level.FAIL, True)
    assert "narrows keys acl" in line.remedy
    unasked = no_redis("redis://h:1", NoAnswer.of(DENIED), given=False)
    assert (unasked.level, "h:1 refuses: NOPERM" in unasked.detail) == (Level.OK, True)
    away = no_redis("redis://h:1", NoAnswer("Error 111"), given=True)
    assert (away.detail, away.remedy) == ("redis://h:1 does not answer: Error 111", "start it, or correct --redis-url")
    assert "nothing at redis://h:1" in no_redis("redis://h:1", NoAnswer("Error 111"), given=False).detail
