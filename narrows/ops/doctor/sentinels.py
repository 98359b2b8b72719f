"""Sentinels and the master that they watch: do they agree, does it live, can another take over?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import redis

from narrows.runtime.finding import Finding, fail, ok, warn
from narrows.runtime.redis import connect
from narrows.runtime.redis.address import Address, Endpoint
from narrows.runtime.redis.replies import words_of
from narrows.runtime.redis.sentinel import open_sentinel

LEAST_SENTINELS = 3
_SUBJECT = "Sentinel"
Views = Sequence["SentinelView"]


@dataclass(frozen=True, slots=True)
class SentinelView:
    """What one Sentinel says; ``silent`` says why nothing, and then there is nothing else.

    Attributes:
        master: where it says that the master is; ``None`` if it does not know the name.
        others: other Sentinels that it knows.
        quorum: why there is none; empty where a failover could be agreed upon.
        behind: replicas that do not follow the master.
        replicas: how many it knows.
    """

    sentinel: Endpoint
    silent: str = ""
    master: Endpoint | None = None
    others: int = 0
    quorum: str = ""
    behind: tuple[str, ...] = ()
    replicas: int = 0


def look(address: Address) -> Iterator[Finding]:
    """A line for each thing that is amiss, one if none is."""
    views = [_ask(address, each) for each in address.servers]
    named = {view.master: _why_no_master(address, view.master) for view in views if view.master is not None}
    yield from judge(address.service, views, {master: why for master, why in named.items() if why})


def judge(service: str, views: Views, dead: Mapping[Endpoint, str]) -> Iterator[Finding]:
    """A line for each thing that is amiss, one if none is; ``dead``: named masters that are none, and why."""
    silent = [view for view in views if view.silent]
    knowing = [view for view in views if view.master is not None]
    troubles = [*_silent(silent), *_unknown(service, views), *_about_master(knowing, dead), *_about_heirs(knowing)]
    yield from troubles
    if knowing and not troubles:
        detail = f"{len(knowing)} name {knowing[0].master} as the master {service!r}"
        yield ok(_SUBJECT, f"{detail}; replicas that follow: {knowing[0].replicas}")


def _silent(views: Views) -> Iterator[Finding]:
    for view in views:
        yield warn(_SUBJECT, f"{view.sentinel} does not answer: {view.silent}", "start it, or correct --redis-url")


def _unknown(service: str, views: Views) -> Iterator[Finding]:
    ignorant = [str(view.sentinel) for view in views if not view.silent and view.master is None]
    if ignorant:
        remedy = "write the name that `sentinel monitor` has behind the hosts of --redis-url: HOST/NAME"
        yield fail(_SUBJECT, f"{', '.join(ignorant)} knows no master {service!r}", remedy)


def _about_master(knowing: Views, dead: Mapping[Endpoint, str]) -> Iterator[Finding]:
    if len({view.master for view in knowing}) > 1:
        said = "; ".join(f"{view.sentinel} says {view.master}" for view in knowing)
        yield fail(_SUBJECT, f"they disagree about the master: {said}", "SENTINEL RESET on those that are wrong")
    for master, why in dead.items():
        who = ", ".join(str(view.sentinel) for view in knowing if view.master == master)
        if who:
            remedy = "wait for the failover; if none comes, see SENTINEL CKQUORUM, and whether a replica follows"
            yield fail(_SUBJECT, f"{who} names a dead master, {master}: {why}", remedy)


def _about_heirs(knowing: Views) -> Iterator[Finding]:
    if not knowing:
        return
    for view in knowing:
        if view.quorum:
            yield fail(_SUBJECT, f"{view.sentinel}: {view.quorum}", "start the Sentinels that are away")
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
            ask: Any = client.execute_command
            try:
                state = _pairs(ask("SENTINEL", "MASTER", address.service))
            except redis.ResponseError:
                return SentinelView(sentinel)
            replicas = [_pairs(each) for each in ask("SENTINEL", "REPLICAS", address.service)]
            quorum = ""
            try:
                ask("SENTINEL", "CKQUORUM", address.service)
            except redis.ResponseError as error:
                quorum = words_of(error)
    except redis.RedisError as error:
        return SentinelView(sentinel, silent=words_of(error))
    behind = [each for each in replicas if each.get("master-link-status") != "ok" or "down" in each.get("flags", "")]
    return SentinelView(
        sentinel,
        master=Endpoint(state["ip"], int(state["port"])),
        others=int(state.get("num-other-sentinels", 0)),
        quorum=quorum,
        behind=tuple(f"{each['ip']}:{each['port']}" for each in behind),
        replicas=len(replicas),
    )


def _why_no_master(address: Address, at: Endpoint) -> str:
    try:
        with closing(connect(address.of_server(at))) as client:
            info: Any = client.info("replication")
    except redis.RedisError as error:
        return words_of(error)
    return "" if info.get("role") == "master" else f"it is a {info.get('role')}"


def _pairs(flat: Any) -> dict[str, str]:  # noqa: ANN401 - as the client has it
    if isinstance(flat, dict):
        return {_word(name): _word(value) for name, value in flat.items()}
    words = [_word(word) for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


def _word(word: object) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
