"""What passes the proxy, whatever is asked: watched at the engine behind it, which answers as a real one did."""

import asyncio
import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.containers.clone import NUMBER, creation_of, endpoint_of
from orchestrator.engine_proxy.asked import Denied, read_line
from orchestrator.engine_proxy.gate import Allowed, Gate
from orchestrator.engine_proxy.upstream import Answer
from orchestrator.scaling.engines.swarm import scaled
from tests.unit.scaling.recorded_docker import SWARM, TEMPLATE, RecordedDocker

SERVICE = SWARM["service"]["Spec"]["Name"]
ALLOWED = Allowed("narrows", "triton", SERVICE, ("0", "1"))
SECOND = TEMPLATE["NetworkSettings"]["Networks"]["narrows_second"]["NetworkID"]
Change = Callable[[dict[str, Any]], object]


class Behind:
    """The engine behind the gate: ours are 1 and 2 of narrows/triton; the others are somebody's."""

    def __init__(self) -> None:
        self.docker = RecordedDocker()
        self.ours = [self.docker.add("narrows", "triton", 1), self.docker.add("narrows", "triton", 2, running=False)]
        self.theirs = [self.docker.add("narrows", "redis", 1), self.docker.add("other", "triton", 1)]
        one_off = self.docker.add("narrows", "triton", 7)
        self.docker.containers[one_off]["Config"]["Labels"]["com.docker.compose.oneoff"] = "True"
        self.theirs.append(one_off)

    async def ask(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Answer:
        status, value = self.docker.answer(method, path, query, body)
        return Answer(status, b"" if value is None else json.dumps(value).encode())

    def changed(self) -> list[tuple[str, str, dict[str, str], Any]]:
        return [each for each in self.docker.asked if each[0] != "GET"]


def ask(behind: Behind, method: str, target: str, body: Any = None, allowed: Allowed = ALLOWED) -> Answer:
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()

    async def asked() -> Answer:
        return await Gate(behind, allowed).answer(read_line(method, target), data)

    return asyncio.run(asked())


def clone_of(behind: Behind, number: int, gpu: str | None = None) -> dict[str, Any]:
    return creation_of(behind.docker.containers[behind.ours[0]], number, gpu)


def test_the_list_is_of_the_service_whatever_was_filtered() -> None:
    behind = Behind()
    filters = "%7B%22label%22%3A%5B%22com.docker.compose.project%3Dother%22%5D%7D"
    listed = json.loads(ask(behind, "GET", f"/v1.41/containers/json?all=1&filters={filters}").body)
    assert {each["Id"] for each in listed} == set(behind.ours)


@pytest.mark.parametrize(
    ("method", "verb"), [("GET", "/json"), ("POST", "/start"), ("POST", "/stop"), ("DELETE", ""), ("DELETE", "?v=1")]
)
def test_only_replicas_of_the_service_are_touched(method: str, verb: str) -> None:
    behind = Behind()
    for identity in behind.theirs:
        with pytest.raises(Denied, match="no replica") as denied:
            ask(behind, method, f"/containers/{identity}{verb}")
        assert (denied.value.status, denied.value.reason) == (403, "not_ours")
    assert behind.changed() == []
    assert ask(behind, method, f"/containers/{behind.ours[1]}{verb}").status in (200, 204)


def test_a_replica_like_the_others_is_made_and_attached() -> None:
    behind = Behind()
    made = json.loads(ask(behind, "POST", "/v1.41/containers/create?name=narrows-triton-3", clone_of(behind, 3)).body)
    replica = behind.docker.containers[behind.ours[0]]
    wish = {"Container": made["Id"], "EndpointConfig": endpoint_of(replica, "narrows_second", 3)}
    assert ask(behind, "POST", f"/networks/{SECOND}/connect", wish).status == 200
    assert ask(behind, "POST", f"/containers/{made['Id']}/start").status == 204
    assert "narrows-triton-3" in behind.docker.running()


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["HostConfig"].update(Binds=["/:/host"]),
        lambda body: body["HostConfig"].update(Privileged=True),
        lambda body: body["HostConfig"].update(Mounts=[]),
        lambda body: body["HostConfig"].update(NetworkMode="host"),
        lambda body: body["HostConfig"].update(CapAdd=["SYS_ADMIN"]),
        lambda body: body["HostConfig"].update(PidMode="host"),
        lambda body: body["HostConfig"].update(Memory=0),
        lambda body: body["HostConfig"].update(
            DeviceRequests=[{"Driver": "nvidia", "DeviceIDs": ["0"], "Capabilities": [["gpu"]]}]
        ),
        lambda body: body["HostConfig"].update(privileged=True),
        lambda body: body.update(hostconfig={"Privileged": True}),
        lambda body: body.update(Image="busybox"),
        lambda body: body.update(Cmd=["sh"]),
        lambda body: body.update(Entrypoint=["sh"]),
        lambda body: body.update(Env=["A=c"]),
        lambda body: body.update(User="root"),
        lambda body: body["Labels"].update({"com.docker.compose.service": "redis"}),
        lambda body: body["Labels"].update({NUMBER: "4"}),
        lambda body: body["Labels"].update(more="1"),
        lambda body: body["NetworkingConfig"]["EndpointsConfig"].update(other_default={}),
        lambda body: body["NetworkingConfig"]["EndpointsConfig"]["narrows_default"]["Aliases"].append("redis"),
        lambda body: body.pop("HostConfig"),
        lambda body: body.clear(),
    ],
)
def test_a_container_unlike_the_others_is_not_made(change: Change) -> None:
    behind = Behind()
    body = clone_of(behind, 3)
    change(body)
    with pytest.raises(Denied, match="unlike every replica") as denied:
        ask(behind, "POST", "/containers/create?name=narrows-triton-3", body)
    assert (denied.value.status, denied.value.reason) == (403, "body")
    assert behind.changed() == []


def test_what_differs_is_said() -> None:
    behind = Behind()
    body = clone_of(behind, 3)
    body["HostConfig"]["Binds"] = ["/:/host"]
    with pytest.raises(Denied, match=r"in HostConfig\.Binds$"):
        ask(behind, "POST", "/containers/create?name=narrows-triton-3", body)


def test_of_doubled_names_none_reaches_the_engine() -> None:
    behind = Behind()
    text = json.dumps(clone_of(behind, 3))
    doubled = text[:-1] + ', "HostConfig": ' + json.dumps(TEMPLATE["HostConfig"]) + "}"
    hidden = doubled.replace('"HostConfig": {', '"HostConfig": {"Privileged": true, ', 1)
    with pytest.raises(Denied, match="stands twice"):
        ask(behind, "POST", "/containers/create?name=narrows-triton-3", hidden.encode())
    assert behind.changed() == []


@pytest.mark.parametrize(
    "said", [b"", b"{", b"[]", b"{}", b"3", b'{"Config":3}', b'{"Config":{"Labels":[1]}}', b"[" * 5000, b"9" * 5000]
)
def test_an_engine_that_answers_anything_is_named_and_stops_nothing(said: bytes) -> None:
    class Strange(Behind):
        async def ask(self, method: str, path: str, query: Mapping[str, str], body: Any = None) -> Answer:
            return Answer(200, said)

    swarm = replace(ALLOWED, swarm_service="triton")
    update = "/services/triton/update?version=1"
    with pytest.raises(Denied) as denied:
        ask(Strange(), "GET", f"/containers/{'a' * 64}/json")
    assert (denied.value.reason, denied.value.status) in {("answer", 502), ("not_ours", 403)}
    with pytest.raises(Denied, match="engine's answer"):
        ask(Strange(), "POST", update, {"Mode": {"Replicated": {"Replicas": 2}}}, swarm)


@pytest.mark.parametrize(
    "name", ["", "narrows-redis-3", "other-triton-3", "narrows-triton-0", "narrows-triton-03", "narrows-triton-1000",
             "narrows-triton-%D9%A3", "narrows-triton-3%00", "narrows-triton-3/x"],
)  # fmt: skip
def test_a_name_is_that_of_a_replica(name: str) -> None:
    behind = Behind()
    with pytest.raises(Denied):
        ask(behind, "POST", f"/containers/create?name={name}", clone_of(behind, 3))
    assert behind.changed() == []


def test_only_the_given_gpus_are_given() -> None:
    behind = Behind()
    request = {"Driver": "nvidia", "Count": 0, "DeviceIDs": ["0"], "Capabilities": [["gpu"]], "Options": {}}
    for each in behind.ours:
        behind.docker.containers[each]["HostConfig"] |= {"DeviceRequests": [request]}
    assert ask(behind, "POST", "/containers/create?name=narrows-triton-3", clone_of(behind, 3, "1")).status == 201
    with pytest.raises(Denied, match="DeviceRequests"):
        ask(behind, "POST", "/containers/create?name=narrows-triton-4", clone_of(behind, 4, "2"))


@pytest.mark.parametrize(
    "change",
    [
        lambda wish, behind: wish.update(Container=behind.theirs[0]),
        lambda wish, behind: wish["EndpointConfig"]["Aliases"].append("redis"),
        lambda wish, behind: wish["EndpointConfig"].update(IPAMConfig={"IPv4Address": "172.21.0.99"}),
        lambda wish, behind: wish.update(Container="../x"),
        lambda wish, behind: wish.pop("EndpointConfig"),
    ],
)
def test_nothing_else_is_attached_and_not_otherwise(change: Callable[[dict[str, Any], Behind], object]) -> None:
    behind = Behind()
    replica = behind.docker.containers[behind.ours[0]]
    wish = {"Container": behind.ours[1], "EndpointConfig": endpoint_of(replica, "narrows_second", 2)}
    change(wish, behind)
    with pytest.raises(Denied):
        ask(behind, "POST", f"/networks/{SECOND}/connect", wish)
    with pytest.raises(Denied):
        ask(behind, "POST", f"/networks/{'e' * 64}/connect", wish)
    assert behind.changed() == []


@pytest.mark.parametrize("query", ["?force=1", "?force=true", "?link=1", "?force=yes"])
def test_nothing_is_removed_by_force(query: str) -> None:
    behind = Behind()
    with pytest.raises(Denied):
        ask(behind, "DELETE", f"/containers/{behind.ours[1]}{query}")
    assert behind.changed() == []


@pytest.mark.parametrize("verb", ["start", "stop"])
def test_no_body_goes_where_none_belongs(verb: str) -> None:
    behind = Behind()
    with pytest.raises(Denied, match="no body"):
        ask(behind, "POST", f"/v1.41/containers/{behind.ours[0]}/{verb}", {"Binds": ["/:/host"]})


def _update(spec: dict[str, Any], replicas: Any) -> dict[str, Any]:
    wire = {key: "".join(word.title() for word in key.split("_")) for key in scaled(spec, replicas)}
    return {wire[key]: value for key, value in scaled(spec, replicas).items()}


def test_the_number_of_a_swarm_service_changes_and_only_that() -> None:
    behind = Behind()
    before = copy.deepcopy(behind.docker.service)
    target = f"/services/{SERVICE}/update?version={before['Version']['Index']}"
    assert ask(behind, "POST", target, _update(before["Spec"], 4)).status == 200
    after = copy.deepcopy(behind.docker.service["Spec"])
    assert after.pop("Mode") == {"Replicated": {"Replicas": 4}}
    before["Spec"].pop("Mode")
    assert after == before["Spec"]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["TaskTemplate"]["ContainerSpec"].update(Image="busybox"),
        lambda body: body["TaskTemplate"]["ContainerSpec"].update(Mounts=[{"Type": "bind", "Source": "/"}]),
        lambda body: body["TaskTemplate"].update(ForceUpdate=1),
        lambda body: body.update(Name="other"),
        lambda body: body.update(tasktemplate={}),
        lambda body: body.update(Mode={"Global": {}}),
        lambda body: body.update(Mode={"Replicated": {"Replicas": -1}}),
        lambda body: body.update(Mode={"Replicated": {"Replicas": True}}),
        lambda body: body.update(Mode={"Replicated": {"Replicas": 2}, "Global": {}}),
        lambda body: body.pop("Mode"),
    ],
)
def test_nothing_else_of_it_does(change: Change) -> None:
    behind = Behind()
    body = copy.deepcopy(_update(behind.docker.service["Spec"], 4))
    change(body)
    with pytest.raises(Denied):
        ask(behind, "POST", f"/services/{SERVICE}/update?version={behind.docker.service['Version']['Index']}", body)
    assert behind.changed() == []


def test_other_services_versions_and_programs_are_turned_away() -> None:
    behind = Behind()
    body = _update(behind.docker.service["Spec"], 4)
    with pytest.raises(Denied, match="out of sequence"):
        ask(behind, "POST", f"/services/{SERVICE}/update?version=1", body)
    for method, target in (("GET", "/services/other"), ("POST", "/services/other/update?version=1")):
        with pytest.raises(Denied, match="only the service"):
            ask(behind, method, target, body if method == "POST" else None)
    for target in ("/tasks", f"/services/{SERVICE}"):
        with pytest.raises(Denied):
            ask(behind, "GET", target, allowed=Allowed("narrows", "triton"))
    for target in ("/containers/json", f"/containers/{behind.ours[0]}/json"):
        with pytest.raises(Denied):
            ask(behind, "GET", target, allowed=Allowed(swarm_service=SERVICE))
    assert behind.changed() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)


def _wishes(behind: Behind) -> dict[str, list[Any]]:
    """Bodies that may be sent, by what they are sent to."""
    replica = behind.docker.containers[behind.ours[0]]
    return {
        "create": [clone_of(behind, 3), clone_of(behind, 3, "1")],
        "connect": [{"Container": behind.ours[1], "EndpointConfig": endpoint_of(replica, "narrows_second", 2)}],
        "update": [_update(behind.docker.service["Spec"], 4)],
    }


@st.composite
def changed(draw: st.DrawFn, wish: dict[str, Any]) -> bytes:
    """A body as it may be sent, or changed somewhere, or any bytes."""
    at = whole = copy.deepcopy(wish)
    for _ in range(draw(st.integers(0, 3))):
        inner = [each for each in at.values() if isinstance(each, dict)]
        at = draw(st.sampled_from(inner)) if inner else at
    for key in draw(st.lists(st.sampled_from([*at, "Privileged", "Binds", "x"]), max_size=1)):
        at[key] = draw(JSON)
    return draw(st.sampled_from([json.dumps(whole).encode()] * 5 + [b"", b"null", b"{}"]))


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes]:
    """Mostly well-formed requests about anything on the engine, ours or not."""
    behind = Behind()
    container = draw(st.sampled_from([*behind.ours, *behind.theirs]))
    network = draw(st.sampled_from([SECOND, "e" * 64]))
    service = draw(st.sampled_from([SERVICE, "other"]))
    version = behind.docker.service["Version"]["Index"]
    method, path, queries = draw(
        st.sampled_from([
            ("GET", f"/containers/{container}/json", [""]),
            ("POST", f"/containers/{container}/start", [""]),
            ("POST", f"/containers/{container}/stop", ["", "?t=3", "?t=x"]),
            ("DELETE", f"/containers/{container}", ["", "?v=1", "?force=1", "?v=True&link=False&force=False"]),
            ("POST", "/containers/create", ["?name=narrows-triton-3", "?name=narrows-redis-3", ""]),
            ("POST", f"/networks/{network}/connect", [""]),
            ("POST", f"/services/{service}/update", [f"?version={version}", "?version=1"]),
            ("POST", f"/containers/{container}/exec", [""]),
            ("POST", f"/containers/{container}/kill", [""]),
            ("POST", f"/containers/{container}/update", [""]),
            ("PUT", f"/containers/{container}/archive", ["?path=/"]),
            ("POST", "/images/create", ["?fromImage=x"]),
            ("POST", "/networks/create", [""]),
            ("DELETE", f"/services/{service}", [""]),
        ])
    )  # fmt: skip
    wishes = _wishes(behind).get(path.rpartition("/")[2])
    body = draw(st.sampled_from(wishes).flatmap(changed)) if wishes else draw(st.sampled_from([b""] * 9 + [b"{}"]))
    api = draw(st.sampled_from(["", "/v1.41", "/v1.24"]))
    return draw(st.sampled_from([method] * 9 + ["PUT"])), api + path + draw(st.sampled_from(queries)), body


@settings(max_examples=600, deadline=None)
@given(requests())
def test_no_request_outside_the_allowed_set_passes(request: tuple[str, str, bytes]) -> None:
    behind = Behind()
    clones = [clone_of(behind, 3, gpu) for gpu in (None, "0", "1")]
    (attachment,) = _wishes(behind)["connect"]
    spec = copy.deepcopy(behind.docker.service["Spec"])
    try:
        ask(behind, *request)
    except Denied:
        assert behind.changed() == []
        return
    for verb_sent, path, query_sent, sent in behind.changed():
        match verb_sent, re.sub(r"^/v1\.\d+", "", path).split("/")[1:]:
            case "POST", ["containers", "create"]:
                assert query_sent == {"name": "narrows-triton-3"}
                assert sent in clones
            case "POST", ["containers", identity, "start" | "stop"]:
                assert identity in behind.ours
                assert sent is None
            case "DELETE", ["containers", identity]:
                assert identity in behind.ours
                assert query_sent.keys() == {"v"}
            case "POST", ["networks", network, "connect"]:
                assert (network, sent) == (SECOND, attachment)
            case "POST", ["services", name, "update"]:
                assert name == SERVICE
                assert sent | {"Mode": None} == spec | {"Mode": None}
            case _:
                pytest.fail(f"{verb_sent} {path} reached the engine")
