"""Sentinels and the master that they watch: do they agree, does it live, can another take over?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import redis

from narrows.ops.doctor.no_answer import NoAnswer
from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redis import connect
from narrows.runtime.redis.address import Address, Endpoint
from narrows.runtime.redis.replies import code_of, words_of
from narrows.runtime.redis.sentinel import open_sentinel

LEAST_SENTINELS = 3
_SUBJECT = "Sentinel"
_UNKNOWN = "No such master"
"""In the words in which a Sentinel says that it does not know the name."""
Views = Sequence["SentinelView"]


@dataclass(frozen=True, slots=True)
class SentinelView:
    """What one Sentinel says; ``silent`` says why nothing, and then there is nothing else.

    Attributes:
        master: where it says that the master is; ``None`` if it does not know the name.
        others: other Sentinels that it knows.
        quorum: why there is none; empty where a failover could be agreed upon, or it does not say.
        quorum_unknown: why it does not say whether there is one; ``None`` where it says it.
        behind: replicas that do not follow the master.
        replicas: how many it knows.
    """

    sentinel: Endpoint
    silent: NoAnswer | None = None
    master: Endpoint | None = None
    others: int = 0
    quorum: str = ""
    quorum_unknown: NoAnswer | None = None
    behind: tuple[str, ...] = ()
    replicas: int = 0


def look(address: Address) -> Iterator[Finding]:
    """A line for each thing that is amiss, one if none is."""
    views = [_ask(address, each) for each in address.servers]
    named = {view.master: _why_no_master(address, view.master) for view in views if view.master is not None}
    yield from judge(address.service, views, {master: why for master, why in named.items() if why is not None})


def judge(service: str, views: Views, dead: Mapping[Endpoint, NoAnswer]) -> Iterator[Finding]:
    """A line for each thing that is amiss, one if none is; ``dead``: named masters that are none, and why."""
    knowing = [view for view in views if view.master is not None]
    troubles = [*_silent(views), *_unknown(service, views), *_about_master(knowing, dead), *_about_heirs(knowing)]
    yield from troubles
    if knowing and not troubles:
        detail = f"{len(knowing)} name {knowing[0].master} as the master {service!r}"
        yield ok(_SUBJECT, f"{detail}; replicas that follow: {knowing[0].replicas}")


def _silent(views: Views) -> Iterator[Finding]:
    for view in views:
        if view.silent is not None:
            yield warn(_SUBJECT, f"{view.sentinel} {view.silent}", view.silent.remedy)


def _unknown(service: str, views: Views) -> Iterator[Finding]:
    ignorant = [str(view.sentinel) for view in views if view.silent is None and view.master is None]
    if ignorant:
        remedy = "write the name that `sentinel monitor` has behind the hosts of --redis-url: HOST/NAME"
        yield fail(_SUBJECT, f"{', '.join(ignorant)} knows no master {service!r}", remedy)


def _about_master(knowing: Views, dead: Mapping[Endpoint, NoAnswer]) -> Iterator[Finding]:
    if len({view.master for view in knowing}) > 1:
        said = "; ".join(f"{view.sentinel} says {view.master}" for view in knowing)
        yield fail(_SUBJECT, f"they disagree about the master: {said}", "SENTINEL RESET on those that are wrong")
    for master, why in dead.items():
        who = ", ".join(str(view.sentinel) for view in knowing if view.master == master)
        if who and why.refused:
            yield fail(_SUBJECT, f"the master {master}, named by {who}, {why}", why.remedy)
        elif who:
            remedy = "wait for the failover; if none comes, see SENTINEL CKQUORUM, and whether a replica follows"
            yield fail(_SUBJECT, f"{who} names a dead master, {master}: {why.why}", remedy)


def _about_heirs(knowing: Views) -> Iterator[Finding]:
    if not knowing:
        return
    for view in knowing:
        if view.quorum:
            yield fail(_SUBJECT, f"{view.sentinel}: {view.quorum}", "start the Sentinels that are away")
        if view.quorum_unknown is not None:
            detail = f"{view.sentinel} does not say whether a failover could be agreed upon: {view.quorum_unknown.why}"
            yield warn(_SUBJECT, detail, view.quorum_unknown.remedy)
    count = max(view.others for view in knowing) + 1
    if count < LEAST_SENTINELS:
        yield warn(_SUBJECT, f"there are {count}: with one lost no failover may come", "run three, on three machines")
    if not max(view.replicas for view in knowing):
        yield warn(_SUBJECT, "the master has no replica: nobody can take over", "start one: replicaof HOST PORT")
    for behind in sorted({each for view in knowing for each in view.behind}):
        yield warn(_SUBJECT, f"the replica {behind} is not in step with the master", "look at its log: is it syncing?")


def _ask(address: Address, sentinel: Endpoint) -> SentinelView:
    try:
        with closing(open_sentinel(address, sentinel)) as client:
            return view_of(client, sentinel, address.service)
    except redis.RedisError as error:
        return SentinelView(sentinel, silent=NoAnswer.of(error))


def view_of(client: redis.Redis, sentinel: Endpoint, service: str) -> SentinelView:
    """What a Sentinel says of a master.

    Raises:
        RedisError: it does not answer, or refuses.
    """
    ask: Any = client.execute_command
    try:
        state = _pairs(ask("SENTINEL", "MASTER", service))
    except redis.ResponseError as error:
        if _UNKNOWN not in str(error):  # by an ACL, or it is no Sentinel
            raise
        return SentinelView(sentinel)
    replicas = [_pairs(each) for each in ask("SENTINEL", "REPLICAS", service)]
    quorum, unknown = "", None
    try:
        ask("SENTINEL", "CKQUORUM", service)
    except redis.ResponseError as error:
        if code_of(error) == "NOQUORUM":
            quorum = words_of(error)
        else:
            unknown = NoAnswer.of(error)
    behind = [each for each in replicas if each.get("master-link-status") != "ok" or "down" in each.get("flags", "")]
    return SentinelView(
        sentinel,
        master=Endpoint(state["ip"], int(state["port"])),
        others=int(state.get("num-other-sentinels", 0)),
        quorum=quorum,
        quorum_unknown=unknown,
        behind=tuple(f"{each['ip']}:{each['port']}" for each in behind),
        replicas=len(replicas),
    )


def _why_no_master(address: Address, at: Endpoint) -> NoAnswer | None:
    try:
        with closing(connect(address.of_server(at))) as client:
            info: Any = client.info("replication")
    except redis.RedisError as error:
        return NoAnswer.of(error)
    return None if info.get("role") == "master" else NoAnswer(f"it is a {info.get('role')}")


def _pairs(flat: Any) -> dict[str, str]:  # noqa: ANN401 - as the client has it
    if isinstance(flat, dict):
        return {_word(name): _word(value) for name, value in flat.items()}
    words = [_word(word) for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _word(word: object) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
