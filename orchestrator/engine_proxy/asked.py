"""A request line, read strictly: it is exactly one of a few, or it is nothing."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

MOST_BODY_BYTES = 256 << 10
_MOST_TARGET = 4096
_MOST_QUERIES = 8
_TARGET = re.compile(r"(?P<api>/v1\.[1-9][0-9])?(?P<path>/[A-Za-z0-9_./-]+)(?:\?(?P<query>[!-~]*))?")
_ID = r"(?P<subject>[0-9a-f]{64})"
_SERVICE = r"(?P<subject>[A-Za-z0-9][A-Za-z0-9_-]{0,127})"


class Action(StrEnum):
    """What may be asked for at all."""

    PING = "ping"
    VERSION = "version"
    LIST = "list"
    INSPECT = "inspect"
    CREATE = "create"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"
    CONNECT = "connect"
    SERVICE = "service"
    TASKS = "tasks"
    UPDATE = "update"


class Denied(Exception):
    """A request does not pass; ``reason`` is a counter label."""

    def __init__(self, reason: str, detail: str, status: int = 403) -> None:
        super().__init__(detail)
        self.reason, self.status = reason, status


@dataclass(frozen=True, slots=True)
class DockerRequest:
    """One request.

    Attributes:
        api: ``/v1.41``, or nothing for the engine's own version.
        subject: the id or name in the path.
        query: each name once.
    """

    action: Action
    api: str
    subject: str
    query: dict[str, str]


_ROUTES: tuple[tuple[str, re.Pattern[str], Action, Collection[str]], ...] = tuple(
    (method, re.compile(path), action, queries)
    for method, path, action, queries in (
        ("GET", "/_ping", Action.PING, ()),
        ("GET", "/version", Action.VERSION, ()),
        ("GET", "/containers/json", Action.LIST, ("all", "filters", "limit", "size", "trunc_cmd")),
        ("GET", f"/containers/{_ID}/json", Action.INSPECT, ()),
        ("POST", "/containers/create", Action.CREATE, ("name",)),
        ("POST", f"/containers/{_ID}/start", Action.START, ()),
        ("POST", f"/containers/{_ID}/stop", Action.STOP, ("t",)),
        ("DELETE", f"/containers/{_ID}", Action.REMOVE, ("v", "link", "force")),
        ("POST", f"/networks/{_ID}/connect", Action.CONNECT, ()),
        ("GET", f"/services/{_SERVICE}", Action.SERVICE, ()),
        ("GET", "/tasks", Action.TASKS, ("filters",)),
        ("POST", f"/services/{_SERVICE}/update", Action.UPDATE, ("version",)),
    )
)


def read_line(method: str, target: str) -> DockerRequest:
    """Read a method and a raw request target: nothing in the path is decoded, so there is one way to write each.

    Raises:
        Denied: it is none of those that may be asked for.
    """
    whole = _TARGET.fullmatch(target) if len(target) <= _MOST_TARGET else None
    if whole is None:
        raise Denied("path", "this is no path of the engine's API")
    for known, pattern, action, queries in _ROUTES:
        match = pattern.fullmatch(whole["path"]) if method == known else None
        if match is not None:
            subject = match.groupdict().get("subject", "")
            return DockerRequest(action, whole["api"] or "", subject, _queries(whole["query"] or "", queries))
    raise Denied("path", f"{method[:10]} {whole['path'][:80]} is not needed to scale a service")


def _queries(text: str, known: Collection[str]) -> dict[str, str]:
    try:
        found = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=_MOST_QUERIES)
    except ValueError:
        raise Denied("query", "the query cannot be read") from None
    names = [name for name, _ in found]
    if len(set(names)) != len(names) or not set(names) <= set(known):
        raise Denied("query", f"only these may be asked, and once: {', '.join(known) or 'nothing'}")
    return dict(found)
