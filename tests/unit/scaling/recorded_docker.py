"""A Docker engine in this process: its answers have the shapes that were recorded from a real one (``recorded/``).

What it does between answers (a started container runs, a name is taken once, an old version is refused) is written
after what the real one did; tests/integration/engines runs the same actuators against a real engine where there is one.
"""

import copy
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from orchestrator.containers.clone import NUMBER, PROJECT, SERVICE, name_of

RECORDED = Path(__file__).parent / "recorded"
COMPOSE = json.loads((RECORDED / "docker_compose.json").read_text())
SWARM = json.loads((RECORDED / "docker_swarm.json").read_text())
TEMPLATE: dict[str, Any] = COMPOSE["container"]
Reply = tuple[int, Any]


class RecordedDocker:
    """Containers by id, one Swarm service, and everything that was asked: (method, path, query, body)."""

    def __init__(self) -> None:
        self.containers: dict[str, dict[str, Any]] = {}
        self.service: dict[str, Any] = copy.deepcopy(SWARM["service"])
        self.tasks: list[dict[str, Any]] = copy.deepcopy(SWARM["tasks"])
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.refuse_start = False
        self._ids = (f"{each:064x}" for each in count(0xABC000000000))
        self._hosts = count(2)

    def add(self, project: str, service: str, number: int, *, running: bool = True) -> str:
        """A container as compose makes it; answers its id."""
        made = copy.deepcopy(TEMPLATE)
        made["Config"]["Labels"] |= {PROJECT: project, SERVICE: service, NUMBER: str(number)}
        identity = self._keep(name_of(project, service, number), made)
        made["Config"]["Hostname"] = identity[:12]
        for endpoint in made["NetworkSettings"]["Networks"].values():
            endpoint["Aliases"] = [name_of(project, service, number), service, "decoders", identity[:12]]
        self._set(identity, running=running)
        return identity

    def running(self) -> list[str]:
        """Names of what runs."""
        return sorted(each["Name"][1:] for each in self.containers.values() if each["State"]["Running"])

    def answer(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Reply:  # noqa: PLR0911 - a table
        """One request."""
        self.asked.append((method, path, dict(query), copy.deepcopy(body)))
        parts = re.sub(r"^/v1\.\d+", "", path).strip("/").split("/")
        match method, parts:
            case "GET", ["version"]:
                return 200, COMPOSE["version"]
            case "GET", ["containers", "json"]:
                return 200, self._listed(json.loads(query["filters"])["label"], everything=query.get("all") == "1")
            case "POST", ["containers", "create"]:
                return self._create(query["name"], body)
            case "POST", ["networks", network, "connect"]:
                return self._connect(network, body)
            case _, ["containers", identity, *verb] if identity in self.containers:
                return self._container(method, identity, verb)
            case _, ["containers", identity, *_]:
                return 404, {"message": f"No such container: {identity}"}
            case _, ["services" | "tasks", *rest]:
                return self._swarm(method, rest, query, body)
        return 404, {"message": "page not found"}

    def _container(self, method: str, identity: str, verb: list[str]) -> Reply:  # noqa: PLR0911 - a table
        container = self.containers[identity]
        match method, verb:
            case "GET", ["json"]:
                return 200, container
            case "POST", ["start"]:
                if self.refuse_start:
                    return 500, {"message": 'could not select device driver "nvidia" with capabilities: [[gpu]]'}
                self._set(identity, running=True)
                return 204, None
            case "POST", ["stop"]:
                self._set(identity, running=False)
                return 204, None
            case "DELETE", []:
                if container["State"]["Running"]:
                    return COMPOSE["errors"]["running"]["status"], COMPOSE["errors"]["running"]
                del self.containers[identity]
                return 204, None
        return 404, {"message": "page not found"}

    def _create(self, name: str, body: dict[str, Any]) -> Reply:
        if any(each["Name"] == f"/{name}" for each in self.containers.values()):
            return 409, {"message": f'Conflict. The container name "/{name}" is already in use'}
        made = copy.deepcopy(TEMPLATE)
        made["HostConfig"], made["Image"] = body["HostConfig"], body["Image"]
        made["Config"] = {key: each for key, each in body.items() if key not in ("HostConfig", "NetworkingConfig")}
        attached = body["NetworkingConfig"]["EndpointsConfig"]
        ids = {name: each["NetworkID"] for name, each in TEMPLATE["NetworkSettings"]["Networks"].items()}
        made["NetworkSettings"]["Networks"] = {
            name: each | {"NetworkID": ids[name], "IPAddress": ""} for name, each in attached.items()
        }
        identity = self._keep(name, made)
        self._set(identity, running=False)
        return 201, {"Id": identity, "Warnings": []}

    def _connect(self, network: str, body: dict[str, Any]) -> Reply:
        for name, each in TEMPLATE["NetworkSettings"]["Networks"].items():
            if each["NetworkID"] == network:
                networks = self.containers[body["Container"]]["NetworkSettings"]["Networks"]
                networks[name] = body["EndpointConfig"] | {"NetworkID": network, "IPAddress": ""}
                return 200, None
        return 404, {"message": f"network {network} not found"}

    def _swarm(self, method: str, rest: list[str], query: Mapping[str, str], body: Any) -> Reply:
        match method, rest:
            case "GET", []:
                return 200, self.tasks
            case "GET", [name] if name == self.service["Spec"]["Name"]:
                return 200, self.service
            case "POST", [name, "update"] if name == self.service["Spec"]["Name"]:
                if query["version"] != str(self.service["Version"]["Index"]):
                    return SWARM["stale"]["status"], {"message": SWARM["stale"]["message"]}
                self.service["Spec"] = {key: each for key, each in body.items() if each is not None}
                self.service["Version"]["Index"] += 1
                return 200, {"Warnings": None}
        return 404, {"message": f"service {rest[0]} not found"}

    def _keep(self, name: str, made: dict[str, Any]) -> str:
        identity = next(self._ids)
        identity = identity[::-1]  # so that the first twelve differ
        made |= {"Id": identity, "Name": f"/{name}"}
        self.containers[identity] = made
        return identity

    def _set(self, identity: str, *, running: bool) -> None:
        made = self.containers[identity]
        made["State"] |= {"Running": running, "Status": "running" if running else "exited"}
        host = next(self._hosts)
        for third, endpoint in enumerate(made["NetworkSettings"]["Networks"].values(), 21):
            endpoint["IPAddress"] = f"172.{third}.0.{host}" if running else ""

    def _listed(self, labels: list[str], *, everything: bool) -> list[dict[str, Any]]:
        wanted = dict(each.split("=", 1) for each in labels)
        entries = []
        for made in self.containers.values():
            if wanted.items() <= made["Config"]["Labels"].items() and (everything or made["State"]["Running"]):
                entry = copy.deepcopy(COMPOSE["containers"][0])
                entry |= {"Id": made["Id"], "Names": [made["Name"]], "Image": made["Image"]}
                entry |= {"Labels": made["Config"]["Labels"], "State": made["State"]["Status"]}
                entry["Status"] = (
                    "Up About a minute (healthy)" if made["State"]["Running"] else "Exited (0) 1 second ago"
                )
                entry["NetworkSettings"] = {"Networks": made["NetworkSettings"]["Networks"]}
                entries.append(entry)
        return entries


@asynccontextmanager
async def served(docker: RecordedDocker) -> AsyncIterator[str]:
    """The engine at a port of this machine; yields its URL."""

    async def handle(request: web.BaseRequest) -> web.Response:
        text = await request.text()
        query = {key: unquote(value) for key, value in request.query.items()}
        status, value = docker.answer(request.method, request.path, query, json.loads(text) if text else None)
        return web.Response(status=status) if value is None else web.json_response(value, status=status)

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"tcp://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
