"""Stills in a real Redis: asked for where the site allows it, for a while, with an audit; and what a camera forges."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from PIL import Image

from narrows.client.registry import PromptRegistry, StillRegistry, read_prompt_audit, read_still_audit
from narrows.contract.errors import RecordError, StillRefused
from narrows.contract.records.prompts import PromptAnswers, PromptList
from narrows.contract.records.still import MAX_STILL_BYTES, REQUEST_MS, Still, StillAnswer
from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import AUDIT_KEY, INSTALL_KEY
from narrows.runtime.prompting import Box, Prompt
from orchestrator.servers import LocalRedis

KEYS = StreamKeys.of("cam-1", 4)
ABLE = PromptAnswers(width=640, height=480, stills_per_hour=6)


def jpeg(width: int = 64, height: int = 48, kind: str = "JPEG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(data, kind)
    return data.getvalue()


@pytest.fixture
def registry(client: redis.Redis) -> StillRegistry:
    return StillRegistry(client, Install(4))


def answer(client: redis.Redis, answers: PromptAnswers, entry: str = "*") -> None:
    client.xadd(KEYS.prompt_state, {"p": answers.to_json()}, id=entry, maxlen=1)


def send(client: redis.Redis, asked_ms: int, picture: bytes | None = None, **changed: bytes) -> None:
    still = Still(asked_ms, 640, 480, asked_ms)
    fields: dict[Any, Any] = {"p": still.to_json(), "b": jpeg() if picture is None else picture} | changed
    client.xadd(KEYS.still, fields, maxlen=1)
    answer(client, PromptAnswers(width=640, height=480, stills_per_hour=6, still=StillAnswer(asked_ms, "sent")))


def test_a_request_stays_as_long_as_it_counts_though_every_prompt_expires_before(
    registry: StillRegistry, client: redis.Redis
) -> None:
    answer(client, ABLE)
    PromptRegistry(client, Install(4)).add("cam-1", Prompt(Box(1, 2, 30, 40)), who="grace", lifetime_s=1)
    registry.ask("cam-1", who="ada")
    assert int(client.pttl(KEYS.prompts)) > REQUEST_MS - 5000


def test_a_request_is_in_the_list_is_no_change_of_it_and_the_audit_says_who(
    registry: StillRegistry, client: redis.Redis
) -> None:
    answer(client, ABLE)
    prompts = PromptRegistry(client, Install(4))
    prompt = prompts.add("cam-1", Prompt(Box(1, 2, 30, 40)), who="grace")
    request = registry.ask("cam-1", who="ada")
    stored: Any = client.get(KEYS.prompts)
    assert PromptList.parse(stored) == PromptList(prompt.version, (prompt,), still=request)
    assert registry.look("cam-1", request.asked_ms).state == "waiting"
    prompts.remove("cam-1", prompt.id, who="grace", if_version=prompt.version)
    kept: Any = client.get(KEYS.prompts)
    assert PromptList.parse(kept).still == request
    (event,) = read_still_audit(client)
    assert (event.who, event.action, event.camera, event.asked_ms) == ("ada", "still-ask", "cam-1", request.asked_ms)
    assert abs(event.at_ms - request.asked_ms) < 60_000
    assert [each.action for each in read_prompt_audit(client)] == ["prompt-remove", "prompt-add"]


def test_a_still_is_seen_for_its_minute_by_whom_the_audit_says(
    registry: StillRegistry, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(client, ABLE)
    asked_ms = registry.ask("cam-1", who="ada").asked_ms
    assert registry.picture("cam-1", asked_ms, who="ada") is None
    send(client, asked_ms)
    seen = registry.look("cam-1", asked_ms)
    assert (seen.state, seen.over) == ("sent", False)
    assert 0 < seen.left_s <= 60
    found = registry.picture("cam-1", asked_ms, who="grace")
    assert found is not None
    assert (found.jpeg, found.still) == (jpeg(), Still(asked_ms, 640, 480, asked_ms))
    assert [(each.who, each.action) for each in read_still_audit(client)] == [
        ("grace", "still-view"),
        ("ada", "still-ask"),
    ]
    assert registry.picture("cam-1", asked_ms - 1, who="grace") is None
    monkeypatch.setattr("narrows.client.registry.stills.now_ms_of", lambda _: asked_ms + 60_001)
    assert registry.picture("cam-1", asked_ms, who="grace") is None
    assert len(read_still_audit(client)) == 2


@pytest.mark.parametrize(
    ("answers", "entry", "said"),
    [
        (None, "*", "it does not answer"),
        (ABLE, "1-1", "it does not answer"),
        (PromptAnswers(width=640, height=480), "*", "its site lets no picture leave.*narrows edge --stills"),
    ],
    ids=["never answered", "asleep", "not allowed"],
)
def test_a_camera_that_sends_none_is_named_and_not_asked(
    registry: StillRegistry, client: redis.Redis, answers: PromptAnswers | None, entry: str, said: str
) -> None:
    if answers is not None:
        answer(client, answers, entry)
    with pytest.raises(StillRefused, match=f"no still of cam-1: {said}"):
        registry.ask("cam-1", who="ada")
    assert client.get(KEYS.prompts) is None
    assert client.xlen(AUDIT_KEY) == 0


def test_who_asks_while_another_waits_waits_for_the_same_and_both_are_in_the_audit(
    registry: StillRegistry, client: redis.Redis
) -> None:
    answer(client, ABLE)
    first = registry.ask("cam-1", who="ada")
    assert registry.ask("cam-1", who="grace") == first
    assert [each.who for each in read_still_audit(client)] == ["grace", "ada"]
    send(client, first.asked_ms)
    assert registry.ask("cam-1", who="grace").asked_ms > first.asked_ms


def test_a_refusal_is_told_with_how_long_it_lasts(registry: StillRegistry, client: redis.Redis) -> None:
    answer(client, ABLE)
    asked_ms = registry.ask("cam-1", who="ada").asked_ms
    refused = StillAnswer(asked_ms, "too_many", 125)
    answer(client, PromptAnswers(width=640, height=480, stills_per_hour=6, still=refused))
    seen = registry.look("cam-1", asked_ms)
    assert seen.over
    assert seen.in_words("cam-1") == "no still of cam-1: its site lets no more out for now; ask again in 3 min"
    later = StillAnswer(asked_ms + 1, "sent")
    answer(client, PromptAnswers(width=640, height=480, stills_per_hour=6, still=later))
    assert registry.look("cam-1", asked_ms).state == "expired"


FORGED: dict[str, dict[str, bytes]] = {
    "no record": {"p": b"\xff" * 100},
    "another version": {"p": b'{"v":2,"asked_ms":1,"width":1,"height":1,"capture_ms":1}'},
    "deep": {"p": b"[" * 250},
    "no picture": {"b": b""},
    "a page": {"b": b"<script>alert(1)</script>"},
    "a PNG": {"b": jpeg(kind="PNG")},
    "half a header": {"b": jpeg()[:20]},
    "larger than allowed": {"b": jpeg() + bytes(MAX_STILL_BYTES)},
    "a bomb": {"b": jpeg(8000, 8000)[:MAX_STILL_BYTES]},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_what_a_camera_forges_is_refused_by_name_and_no_visit_of_it_is_audited(
    registry: StillRegistry, client: redis.Redis, forged: dict[str, bytes]
) -> None:
    answer(client, ABLE)
    asked_ms = registry.ask("cam-1", who="ada").asked_ms
    send(client, asked_ms, **forged)
    with pytest.raises(RecordError):
        registry.picture("cam-1", asked_ms, who="ada")
    assert [each.action for each in read_still_audit(client)] == ["still-ask"]


def test_the_command_writes_the_picture(server: LocalRedis, client: redis.Redis, tmp_path: Path) -> None:
    client.set(INSTALL_KEY, Install(4).to_json())
    answer(client, ABLE)

    def camera() -> None:
        while (stored := client.get(KEYS.prompts)) is None:
            time.sleep(0.05)
        request = PromptList.parse(stored).still  # type: ignore[arg-type]
        assert request is not None
        send(client, request.asked_ms)

    thread = threading.Thread(target=camera, daemon=True)
    thread.start()
    command = [sys.executable, "-m", "narrows.cli", "prompts", "still", "cam-1", "--redis-url", server.url]
    done = subprocess.run(
        [*command, "--by", "ada"], check=False, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    thread.join(30)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "cam-1.jpg").read_bytes() == jpeg()
    assert [each.who for each in read_still_audit(client)] == ["ada", "ada"]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path.cwd())}


def test_what_was_answered_before_the_clock_was_set_back_is_no_answer_to_a_request_of_now(
    registry: StillRegistry, client: redis.Redis
) -> None:
    ahead_ms = round(time.time() * 1000) + 3_600_000
    answer(client, PromptAnswers(width=640, height=480, stills_per_hour=6, still=StillAnswer(ahead_ms, "sent")))
    asked_ms = registry.ask("cam-1", who="ada").asked_ms
    assert registry.look("cam-1", asked_ms).state == "waiting"
    answer(client, PromptAnswers(width=640, height=480, stills_per_hour=6, still=StillAnswer(asked_ms + 1, "sent")))
    assert registry.look("cam-1", asked_ms).state == "expired"  # another's, a moment later
