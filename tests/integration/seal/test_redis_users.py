"""On a real Redis with TLS: what each user may do, command by command, and that the programs need no more."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image

import narrows
from narrows.client.registry import PromptRegistry, StillRegistry, read_prompt_audit, read_still_audit
from narrows.contract.bundle import Bundle
from narrows.contract.errors import ServiceError
from narrows.contract.records.prompts import PromptAnswers, PromptList
from narrows.contract.records.still import Still
from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import AUDIT_KEY, INSTALL_KEY, LABEL_TABLES_KEY, ShardKeys
from narrows.runtime.prompting import Box, Prompt
from narrows.runtime.redis.users import camera_user
from orchestrator.dispatch import Store
from orchestrator.scaling.unowned import UnownedBacklog
from tests.integration.seal import tls_redis
from tests.integration.seal.programs import ROOT, program, until
from tests.integration.seal.tls_redis import TlsRedis

OWN, OTHER = StreamKeys.of("cam-1", 4), StreamKeys.of("cam-2", 4)
Command = tuple[object, ...]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    server, process = tls_redis.start(tmp_path_factory.mktemp("tls"), [camera_user(f"cam-{n}", 4) for n in (1, 2)])
    with server.client("admin") as admin:
        admin.set(INSTALL_KEY, Install(4).to_json())
    yield server
    process.terminate()
    process.wait(30)


MAY: list[Command] = [
    ("PING",),
    ("GET", INSTALL_KEY),
    ("GET", OWN.control),
    ("GET", OWN.prompts),
    ("XADD", OWN.prompt_state, "MAXLEN", 1, "*", "p", b"{}"),
    ("XADD", OWN.still, "MAXLEN", 1, "*", "p", b"{}", "b", b"x"),
    ("XADD", OWN.still, "MAXLEN", 0, "*", "p", b""),
    ("XADD", OWN.plan, "MAXLEN", 1, "*", "p", b"{}"),
    ("XADD", OWN.features, "MAXLEN", "~", 256, "*", "p", b"x"),
    ("XADD", OWN.features, "MAXLEN", 1, "*", "p", b"x"),
    ("XLEN", OWN.features),
    ("TIME",),
]
MAY_NOT: list[Command] = [
    ("XADD", OTHER.features, "*", "p", b"x"),
    ("XADD", OTHER.features, "MAXLEN", 1, "*", "p", b"x"),
    ("GET", OTHER.control),
    ("GET", OTHER.prompts),
    ("SET", OWN.prompts, b"{}"),
    ("XADD", OTHER.prompt_state, "*", "p", b"{}"),
    ("XADD", OTHER.still, "*", "p", b"{}"),
    ("XADD", OTHER.plan, "*", "p", b"{}"),
    ("XADD", OWN.control, "*", "p", b"x"),
    ("XADD", OWN.outcomes, "*", "k", b"mask"),
    ("XADD", ShardKeys(OWN.shard).dead, "*", "p", b"x"),
    ("GET", ShardKeys(OWN.shard).lease),
    ("GET", "narrows:{scale}:status"),
    ("SET", OWN.control, b"{}"),
    ("SET", INSTALL_KEY, b"{}"),
    ("DEL", OWN.features),
    ("UNLINK", OWN.features),
    ("RENAME", OWN.features, OTHER.features),
    ("COPY", OWN.features, OTHER.features),
    ("EXPIRE", OWN.features, 1),
    ("XTRIM", OWN.features, "MAXLEN", 0),
    ("XDEL", OWN.features, "0-1"),
    ("XLEN", OTHER.features),
    ("XLEN", OWN.outcomes),
    ("XRANGE", OWN.features, "-", "+"),
    ("XREAD", "STREAMS", OWN.features, 0),
    ("XREAD", "STREAMS", OWN.outcomes, 0),
    ("XGROUP", "CREATE", OWN.features, "narrows", "$"),
    ("XGROUP", "DESTROY", OWN.features, "narrows"),
    ("XSETID", OWN.features, "9-9"),
    ("HGETALL", OWN.ledger),
    ("HSET", ShardKeys(OWN.shard).streams, "cam-1", b"{}"),
    ("MULTI",),
    ("EVAL", "return 1", 0),
    ("EVAL", "return redis.call('DEL', KEYS[1])", 1, OWN.features),
    ("FUNCTION", "LIST"),
    ("SCAN", 0),
    ("KEYS", "*"),
    ("DBSIZE",),
    ("RANDOMKEY",),
    ("PUBLISH", "a", "b"),
    ("SUBSCRIBE", "a"),
    ("SELECT", 1),
    ("INFO",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", 1),
    ("ACL", "LIST"),
    ("ACL", "SETUSER", "camera-cam-1", "+@all"),
    ("ACL", "WHOAMI"),
    ("CLIENT", "LIST"),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("MONITOR",),
    ("REPLICAOF", "NO", "ONE"),
    ("SHUTDOWN",),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("SWAPDB", 0, 1),
    ("MIGRATE", "h", 1, OWN.features, 0, 1),
    ("RESTORE", OWN.features, 0, b""),
    ("DUMP", OWN.features),
    ("OBJECT", "ENCODING", OWN.features),
    ("MODULE", "LIST"),
    ("WAIT", 0, 0),
    ("BGSAVE",),
]


def ask(client: redis.Redis, command: Command) -> Any:
    run: Any = client.execute_command
    return run(*command)


@pytest.mark.parametrize("command", MAY, ids=lambda words: " ".join(map(str, words[:3])))
def test_a_camera_may(tls: TlsRedis, command: Command) -> None:
    with tls.client("camera-cam-1") as client:
        ask(client, command)


@pytest.mark.parametrize("command", MAY_NOT, ids=lambda words: " ".join(map(str, words[:3])))
def test_a_camera_may_not(tls: TlsRedis, command: Command) -> None:
    with tls.client("camera-cam-1") as client, pytest.raises(redis.exceptions.NoPermissionError):
        ask(client, command)


def test_a_trim_to_one_reaches_the_cameras_own_key_alone(tls: TlsRedis) -> None:
    with tls.client("admin") as admin, tls.client("camera-cam-1") as one, tls.client("camera-cam-2") as two:
        admin.delete(OWN.features, OTHER.features)
        for _ in range(5):
            ask(two, ("XADD", OTHER.features, "*", "p", b"x"))
            ask(one, ("XADD", OWN.features, "MAXLEN", 1, "*", "p", b"x"))
        assert (admin.xlen(OWN.features), admin.xlen(OTHER.features)) == (1, 5)


ROLE_MAY_NOT: list[tuple[str, Command]] = [
    ("viewer", ("XRANGE", OWN.features, "-", "+")),
    ("viewer", ("XADD", OWN.outcomes, "*", "k", b"mask")),
    ("viewer", ("SET", INSTALL_KEY, b"{}")),
    ("viewer", ("HGET", ShardKeys(0).streams, "cam-1")),
    ("viewer", ("HSET", LABEL_TABLES_KEY, "ab", b"x")),
    ("viewer", ("SET", OWN.prompts, b"{}")),
    ("viewer", ("XREVRANGE", OWN.still, "+", "-")),
    ("prompter", ("XADD", OWN.still, "*", "p", b"{}")),
    ("page", ("SET", OWN.prompts, b"{}")),
    ("prompter", ("SET", INSTALL_KEY, b"{}")),
    ("prompter", ("SET", OWN.control, b"{}")),
    ("prompter", ("XADD", OWN.features, "*", "p", b"x")),
    ("prompter", ("XADD", OWN.prompt_state, "*", "p", b"{}")),
    ("prompter", ("XREAD", "STREAMS", OWN.outcomes, 0)),
    ("prompter", ("XREVRANGE", AUDIT_KEY, "+", "-")),
    ("exporter", ("GET", INSTALL_KEY)),
    ("exporter", ("CONFIG", "GET", "*")),
    ("page", ("EVAL", "return redis.call('DEL', KEYS[1])", 1, OWN.features)),
    ("page", ("XADD", OWN.features, "*", "p", b"x")),
    ("autoscaler", ("XADD", OWN.features, "*", "p", b"x")),
    ("autoscaler", ("EVAL", "return redis.call('SET', KEYS[1], '1')", 1, ShardKeys(0).lease)),
    ("supervisor", ("XRANGE", OWN.features, "-", "+")),
    ("dispatcher", ("FLUSHALL",)),
    ("dispatcher", ("CONFIG", "SET", "maxmemory", 1)),
    ("dispatcher", ("SET", "another", 1)),
    ("operator", ("ACL", "LIST")),
]


@pytest.mark.parametrize(("user", "command"), ROLE_MAY_NOT, ids=lambda value: str(value)[:40])
def test_a_role_may_not(tls: TlsRedis, user: str, command: Command) -> None:
    with (
        tls.client(user) as client,
        pytest.raises(redis.exceptions.ResponseError, match=r"(?i)permission|can't run this command"),
    ):
        ask(client, command)


def test_a_viewer_may_ask_for_the_label_tables_of_small_masks(tls: TlsRedis) -> None:
    with tls.client("viewer") as client:
        assert client.hget(LABEL_TABLES_KEY, "0" * 16) is None


def test_a_prompter_points_at_things_and_the_camera_reads_it(tls: TlsRedis) -> None:
    with tls.client("prompter") as client, tls.client("camera-cam-1") as camera, tls.client("admin") as admin:
        desk = PromptRegistry(client, Install(4))
        made = desk.add("cam-1", Prompt(Box(1, 2, 30, 40)), who="ada", source=(64, 48))
        stored: Any = camera.get(OWN.prompts)
        assert PromptList.parse(stored).prompts == (made,)
        assert desk.look("cam-1").prompts == (made,)
        desk.remove("cam-1", made.id, who="ada")
        assert [event.action for event in read_prompt_audit(admin)] == ["prompt-remove", "prompt-add"]


def test_a_prompter_asks_for_a_still_the_camera_sends_it_and_the_prompter_sees_it(tls: TlsRedis) -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (64, 48)).save(jpeg, "JPEG")
    with tls.client("prompter") as client, tls.client("camera-cam-1") as camera, tls.client("admin") as admin:
        camera.xadd(OWN.prompt_state, {"p": PromptAnswers(stills_per_hour=1).to_json()}, maxlen=1)
        desk = StillRegistry(client, Install(4))
        asked_ms = desk.ask("cam-1", who="ada").asked_ms
        still = Still(asked_ms, 64, 48, asked_ms)
        camera.xadd(OWN.still, {"p": still.to_json(), "b": jpeg.getvalue()}, maxlen=1)
        found = desk.picture("cam-1", asked_ms, who="ada")
        assert found is not None
        assert found.jpeg == jpeg.getvalue()
        assert [event.action for event in read_still_audit(admin)] == ["still-view", "still-ask"]
        assert client.memory_usage(OWN.still, samples=0)
        admin.delete(OWN.prompt_state, OWN.still, OWN.prompts)


def test_nobody_without_a_password_or_without_the_authority_comes_in(tls: TlsRedis) -> None:
    with redis.Redis.from_url(tls.address) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    bare = tls.url("viewer").partition("?")[0]
    with redis.Redis.from_url(bare) as client, pytest.raises(redis.ConnectionError, match="certificate"):
        client.ping()
    with pytest.raises(ServiceError, match="certificate"):
        narrows.subscribe("cam-1", redis_url=bare)


async def test_the_autoscaler_counts_what_waits_where_no_dispatcher_is(tls: TlsRedis) -> None:
    with tls.client("admin") as admin:
        admin.flushall()
        admin.set(INSTALL_KEY, Install(4).to_json())
        admin.xadd(OWN.features, {"p": b"x"})
        ask(admin, ("ACL", "LOG", "RESET"))
        store = Store.connect(tls.url("autoscaler"))
        assert (await UnownedBacklog(store).count(())).frames == 1
        await store.close()
        assert ask(admin, ("ACL", "LOG")) == []


def test_the_programs_work_over_tls_with_their_own_users_and_ask_for_no_more(
    tls: TlsRedis, demo_bundle: Bundle, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    with tls.client("admin") as admin, ExitStack() as running:
        admin.flushall()
        ask(admin, ("ACL", "LOG", "RESET"))
        for arguments in _programs(tls, demo_bundle, tmp_path):
            running.enter_context(program(log, *arguments))
        subscriber = _Subscriber(tls)
        until(lambda: subscriber.outcomes, log)
        for name in ("page_started", "autoscaler_started", "supervisor_started"):
            until(lambda name=name: name in log.read_text(), log)  # type: ignore[misc]
        until(lambda: admin.exists("narrows:{scale}:status"), log)
        for words in (["streams", "list"], ["streams", "set", "cam-1", "--weight", "2"], ["scale", "status"]):
            _operate(tls, words)
        denied: Any = ask(admin, ("ACL", "LOG"))
        assert denied == [], denied
        assert set(_users(admin)) >= {"dispatcher", "camera-cam-1", "page", "autoscaler", "supervisor"}


def _programs(tls: TlsRedis, bundle: Bundle, folder: Path) -> Iterator[list[str]]:
    at = ["--bundle", str(bundle.folder)]
    yield ["orchestrate", *at, "--triton", "redis:", "--http", "127.0.0.1:0", "--redis-url", tls.file("dispatcher")]
    yield ["autoscale", "--engine", "local", "--http", "127.0.0.1:0", "--redis-url", tls.file("autoscaler")]
    yield ["supervise", *at, "--max-servers-per-host", "1", "--redis-url", tls.file("supervisor")]
    yield ["page", *at, "--listen", "127.0.0.1:0", "--redis-url", tls.file("page")]
    camera = ["edge", *at, "--source", str(ROOT / "samples" / "images" / "val"), "--stream-id", "cam-1", "--loop"]
    yield [*camera, "--fps", "2", "--state-dir", str(folder / "state"), "--redis-url", tls.file("camera-cam-1")]


def _operate(tls: TlsRedis, words: list[str]) -> None:
    command = [sys.executable, "-m", "narrows.cli", *words, "--redis-url", tls.file("operator")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def _users(admin: redis.Redis) -> list[str]:
    clients: Any = admin.client_list()
    return [client["user"] for client in clients]


class _Subscriber:
    """Follows the camera with the viewer's user."""

    def __init__(self, tls: TlsRedis) -> None:
        self.outcomes: list[object] = []
        self._url = tls.url("viewer")
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while not self.outcomes:
            try:
                with narrows.subscribe("cam-1", redis_url=self._url, from_id="0", timeout_s=5) as found:
                    self.outcomes += [next(iter(found))]
            except (ServiceError, StopIteration, TimeoutError):
                continue
