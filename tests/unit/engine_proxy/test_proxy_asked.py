"""Request lines: exactly those of the table pass, each written in one way."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.engine_proxy.asked import Action, Denied, read_line

ID = "0123456789abcdef" * 4
GOOD = {
    ("GET", "/_ping"): Action.PING,
    ("GET", "/version"): Action.VERSION,
    ("GET", "/v1.41/version"): Action.VERSION,
    ("GET", "/v1.41/containers/json?limit=-1&all=1&size=0&trunc_cmd=0&filters=%7B%7D"): Action.LIST,
    ("GET", f"/v1.41/containers/{ID}/json"): Action.INSPECT,
    ("POST", "/v1.41/containers/create?name=narrows-triton-2"): Action.CREATE,
    ("POST", f"/v1.41/containers/{ID}/start"): Action.START,
    ("POST", f"/v1.41/containers/{ID}/stop?t=5"): Action.STOP,
    ("DELETE", f"/v1.41/containers/{ID}?v=True&link=False&force=False"): Action.REMOVE,
    ("POST", f"/v1.41/networks/{ID}/connect"): Action.CONNECT,
    ("GET", "/v1.41/services/narrows_triton"): Action.SERVICE,
    ("GET", "/v1.41/tasks?filters=%7B%7D"): Action.TASKS,
    ("POST", "/v1.41/services/narrows_triton/update?version=7"): Action.UPDATE,
}
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "get", "TRACE"])


@pytest.mark.parametrize(("line", "action"), GOOD.items())
def test_what_the_sdk_asks_is_read(line: tuple[str, str], action: Action) -> None:
    assert read_line(*line).action is action


@pytest.mark.parametrize(
    "target",
    [
        "/containers/json/../../images/json",
        f"/containers/%30{ID[1:]}/json",
        f"/containers/{ID}/json%2f..%2farchive",
        f"/containers/{ID}%00/json",
        f"/containers/{ID}/archive?path=/",
        f"/containers/{ID}/export",
        f"/containers/{ID}/logs",
        f"/containers/{ID[:12]}/json",
        f"/containers/{ID.upper()}/json",
        "/containers/narrows-redis-1/json",
        f"//containers/{ID}/json",
        f"/v1.41//containers/{ID}/json",
        f"/containers/{ID}/json/",
        f"/v1.41/v1.41/containers/{ID}/json",
        f"/v2.0/containers/{ID}/json",
        f"/v1.410/containers/{ID}/json",
        f"http://docker/containers/{ID}/json",
        f"/containers/{ID}/json#x",
        f"/containers/{ID}/json?size=1",
        f"/containers/{ID}/json\n",
        f"/containers/{ID}/json?\u0661",
        "/containers/json?all=1&all=0",
        "/containers/json?before=x",
        "/containers/json?" + "&".join(["all=1"] * 20),
        "/containers/json?filters=" + "x" * 5000,
        "/images/json",
        "/secrets",
        "/info",
        "/events",
        "/services/a/logs",
        "/services/a%2fb",
        "/tasks/abc",
        "/metrics/",
        "*",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD"])
def test_nothing_else_is(method: str, target: str) -> None:
    with pytest.raises(Denied):
        read_line(method, target)


@pytest.mark.parametrize("line", GOOD)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", "OPTIONS"])
def test_other_methods_are_not(line: tuple[str, str], method: str) -> None:
    with pytest.raises(Denied):
        read_line(method, line[1])


@given(METHODS, st.text(max_size=200) | st.from_regex(r"/(v1\.\d+/)?[a-z]+(/[^ ]*)?(\?[ -~]*)?", fullmatch=True))
@example("GET", "/containers/json?filters=\udcff")
def test_whatever_the_line_it_is_read_or_denied_and_a_read_one_is_written_in_one_way(method: str, target: str) -> None:
    try:
        asked = read_line(method, target)
    except Denied:
        return
    path = target.partition("?")[0]
    tail = {
        Action.PING: "/_ping", Action.VERSION: "/version", Action.LIST: "/containers/json", Action.TASKS: "/tasks",
        Action.CREATE: "/containers/create", Action.INSPECT: f"/containers/{asked.subject}/json",
        Action.START: f"/containers/{asked.subject}/start", Action.STOP: f"/containers/{asked.subject}/stop",
        Action.REMOVE: f"/containers/{asked.subject}", Action.CONNECT: f"/networks/{asked.subject}/connect",
        Action.SERVICE: f"/services/{asked.subject}", Action.UPDATE: f"/services/{asked.subject}/update",
    }[asked.action]  # fmt: skip
    assert path == asked.api + tail
