"""What passes: the replicas of one compose service, a further one exactly like them, one Swarm service's number.

A body is never forwarded. What it may say is worked out here from what the engine says of an existing replica
(:mod:`orchestrator.containers.clone`), compared, and our own is sent. So no key that Docker reads otherwise than
Python does (case, doubled names) can carry a mount, a capability, another image or another network.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from narrows.contract.errors import RecordError
from narrows.contract.json_text import decode_json, decode_object
from orchestrator.containers.clone import (
    Inspected,
    belongs,
    creation_of,
    endpoint_of,
    label_filters,
    name_of,
    networks_of,
    number_of,
)
from orchestrator.engine_proxy.asked import MOST_BODY_BYTES, Action, Denied, DockerRequest
from orchestrator.engine_proxy.upstream import MOST_ANSWER_BYTES, Answer, Engine

_YES, _NO = ("1", "true", "True"), ("0", "false", "False", "")
_MOST_REPLICAS = 999
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Allowed:
    """What this proxy is for.

    Attributes:
        project, service: of compose; empty: nothing of compose passes.
        swarm_service: of Swarm; empty: nothing of Swarm passes.
        gpus: devices that a further replica may be given in place of the copied one's.
    """

    project: str = ""
    service: str = ""
    swarm_service: str = ""
    gpus: tuple[str, ...] = ()


class Gate:
    """Answers one request after another."""

    def __init__(self, engine: Engine, allowed: Allowed) -> None:
        self._engine, self._allowed = engine, allowed
        self._does = {
            Action.PING: self._plain,
            Action.VERSION: self._plain,
            Action.LIST: self._list,
            Action.INSPECT: self._inspect,
            Action.CREATE: self._create,
            Action.START: self._start,
            Action.STOP: self._stop,
            Action.REMOVE: self._remove,
            Action.CONNECT: self._connect,
            Action.SERVICE: self._service,
            Action.TASKS: self._tasks,
            Action.UPDATE: self._update,
        }

    async def answer(self, asked: DockerRequest, body: bytes) -> Answer:
        """Do what was asked, if it may be.

        Raises:
            Denied: it may not, or the engine does not answer.
        """
        if body and asked.action not in (Action.CREATE, Action.CONNECT, Action.UPDATE):
            raise Denied("body", f"{asked.action} takes no body")
        try:
            return await self._does[asked.action](asked, body)
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise Denied("answer", f"the engine's answer lacks what is needed: {error!r}", 502) from None

    # ---- reading

    async def _plain(self, asked: DockerRequest, _: bytes) -> Answer:
        return await self._engine.ask("GET", f"{asked.api}/{'_ping' if asked.action is Action.PING else 'version'}", {})

    async def _list(self, asked: DockerRequest, _: bytes) -> Answer:
        if not self._allowed.project:
            raise Denied("not_ours", "no compose project may be asked for")
        filters = {"label": label_filters(self._allowed.project, self._allowed.service)}
        every = "1" if asked.query.get("all") in _YES else "0"
        query = {"all": every, "filters": json.dumps(filters)}
        return await self._engine.ask("GET", f"{asked.api}/containers/json", query)

    async def _inspect(self, asked: DockerRequest, _: bytes) -> Answer:
        answer, _ours = await self._ours(asked.api, asked.subject)
        return answer

    # ---- containers that are there

    async def _start(self, asked: DockerRequest, _: bytes) -> Answer:
        await self._ours(asked.api, asked.subject)
        return await self._engine.ask("POST", f"{asked.api}/containers/{asked.subject}/start", {})

    async def _stop(self, asked: DockerRequest, _: bytes) -> Answer:
        grace = asked.query.get("t")
        if grace is not None and not re.fullmatch(r"[0-9]{1,3}", grace):
            raise Denied("query", "t is a number of seconds below 1000")
        await self._ours(asked.api, asked.subject)
        query = {} if grace is None else {"t": grace}
        return await self._engine.ask("POST", f"{asked.api}/containers/{asked.subject}/stop", query)

    async def _remove(self, asked: DockerRequest, _: bytes) -> Answer:
        if any(asked.query.get(each, "") not in _NO for each in ("force", "link")):
            raise Denied("query", "a container is stopped before it is removed: no force, no link")
        await self._ours(asked.api, asked.subject)
        query = {"v": "1" if asked.query.get("v") in _YES else "0"}
        return await self._engine.ask("DELETE", f"{asked.api}/containers/{asked.subject}", query)

    # ---- a further one

    async def _create(self, asked: DockerRequest, body: bytes) -> Answer:
        name = asked.query.get("name", "")
        number = self._number_in(name)
        wish = _parse(body)
        wrong: list[str] | None = None
        async for replica in self._replicas(asked.api):
            for gpu in (None, *self._allowed.gpus):
                clone = creation_of(replica, number, gpu)
                differing = list(_differing(_compact(clone), wish))
                if not differing:
                    return await self._engine.ask("POST", f"{asked.api}/containers/create", {"name": name}, clone)
                wrong = differing if wrong is None or len(differing) < len(wrong) else wrong
        if wrong is None:
            raise Denied("body", f"there is no replica of {self._allowed.service} to compare with")
        raise Denied("body", f"unlike every replica in {', '.join(wrong[:_MOST_NAMED])}")

    async def _connect(self, asked: DockerRequest, body: bytes) -> Answer:
        wish = _parse(body)
        container = wish.get("Container")
        if not isinstance(container, str) or not re.fullmatch(r"[0-9a-f]{64}", container):
            raise Denied("body", "Container is an id of 64 hex digits")
        _, ours = await self._ours(asked.api, container)
        number = number_of(ours["Config"]["Labels"])
        async for replica in self._replicas(asked.api):
            for network in networks_of(replica):
                if replica["NetworkSettings"]["Networks"][network]["NetworkID"] != asked.subject:
                    continue
                own = {"Container": container, "EndpointConfig": endpoint_of(replica, network, number)}
                if not list(_differing(_compact(own), wish)):
                    return await self._engine.ask("POST", f"{asked.api}/networks/{asked.subject}/connect", {}, own)
        raise Denied("body", "no replica is attached to this network in this way")

    # ---- Swarm

    async def _service(self, asked: DockerRequest, _: bytes) -> Answer:
        self._named(asked.subject)
        return await self._engine.ask("GET", f"{asked.api}/services/{asked.subject}", {})

    async def _tasks(self, asked: DockerRequest, _: bytes) -> Answer:
        self._named(self._allowed.swarm_service)
        query = {"filters": json.dumps({"service": [self._allowed.swarm_service]})}
        return await self._engine.ask("GET", f"{asked.api}/tasks", query)

    async def _update(self, asked: DockerRequest, body: bytes) -> Answer:
        self._named(asked.subject)
        wish = _parse(body)
        answer = await self._engine.ask("GET", f"{asked.api}/services/{asked.subject}", {})
        if answer.status != 200:
            return answer
        service = _said(answer)
        if asked.query.get("version") != str(service["Version"]["Index"]):
            raise Denied("version", "update out of sequence", 409)
        replicas = _replicas_in(wish.pop("Mode", None))
        spec = service["Spec"]
        wrong = [key for key, value in wish.items() if value != _compact(spec.get(key))]
        if wrong or "Replicated" not in spec["Mode"]:
            raise Denied("body", f"only Mode.Replicated.Replicas may change, not {', '.join(wrong[:_MOST_NAMED])}")
        query = {"version": str(service["Version"]["Index"])}
        ours = spec | {"Mode": {"Replicated": {"Replicas": replicas}}}
        return await self._engine.ask("POST", f"{asked.api}/services/{asked.subject}/update", query, ours)

    # ---- whose

    async def _ours(self, api: str, container: str) -> tuple[Answer, Inspected]:
        """What the engine says of a replica of the service; of any other container it may not be asked."""
        answer = await self._engine.ask("GET", f"{api}/containers/{container}/json", {})
        if answer.status != 200:
            raise Denied("unknown", f"no such container: {container}", 404)
        inspected = _said(answer)
        labels = inspected["Config"].get("Labels") or {}
        if not self._allowed.project or not belongs(labels, self._allowed.project, self._allowed.service):
            raise Denied("not_ours", f"this container is no replica of {self._allowed.project}/{self._allowed.service}")
        return answer, inspected

    async def _replicas(self, api: str) -> AsyncIterator[Inspected]:
        listed = await self._list(DockerRequest(Action.LIST, api, "", {"all": "1"}), b"")
        for each in _said(listed) if listed.status == 200 else ():
            yield (await self._ours(api, each["Id"]))[1]

    def _number_in(self, name: str) -> int:
        digits = name.rpartition("-")[2]
        number = int(digits) if re.fullmatch(r"[1-9][0-9]{0,2}", digits) else 0
        named = name_of(self._allowed.project, self._allowed.service, number)
        if not self._allowed.project or not 1 <= number <= _MOST_REPLICAS or name != named:
            raise Denied("query", "name is PROJECT-SERVICE-NUMBER")
        return number

    def _named(self, service: str) -> None:
        if not service or service != self._allowed.swarm_service:
            raise Denied("not_ours", f"only the service {self._allowed.swarm_service!r} may be asked for")


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed: dict[str, Any] = _compact(decode_object(body, what="the body", most_bytes=MOST_BODY_BYTES))
    except (RecordError, RecursionError) as error:
        raise Denied("body", str(error)) from None
    return parsed


def _said(answer: Answer) -> Any:  # noqa: ANN401 - JSON
    try:
        return decode_json(answer.body, what="the engine's answer", most_bytes=MOST_ANSWER_BYTES)
    except RecordError as error:
        raise Denied("answer", str(error), 502) from None


def _compact(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Without nulls: clients leave them out, and they mean the same to the engine."""
    if isinstance(value, Mapping):
        return {key: _compact(each) for key, each in value.items() if each is not None}
    return [_compact(each) for each in value] if isinstance(value, list) else value


def _differing(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401 - JSON
    """The dotted names of what is not the same."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            yield from _differing(ours.get(key), theirs.get(key), f"{path}.{key[:80]}" if path else key[:80])
    elif ours != theirs or type(ours) is not type(theirs):
        yield path or "the whole"


def _replicas_in(mode: object) -> int:
    if isinstance(mode, dict) and mode.keys() == {"Replicated"} and isinstance(mode["Replicated"], dict):
        replicas = mode["Replicated"].get("Replicas")
        if mode["Replicated"].keys() == {"Replicas"} and type(replicas) is int and 0 <= replicas <= _MOST_REPLICAS:
            return replicas
    raise Denied("body", f"Mode is {{'Replicated': {{'Replicas': N}}}}, N at most {_MOST_REPLICAS}")
