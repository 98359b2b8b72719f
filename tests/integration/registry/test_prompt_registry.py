"""Prompts in a real Redis: validated at the edge, versioned, expiring, with an audit; and the camera's answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from msgspec import structs

from narrows.client.registry import (
    PromptRegistry,
    read_audit,
    read_prompt_audit,
    read_scale_audit,
    read_still_audit,
)
from narrows.client.registry.camera_entry import MOST_ENTRY_BYTES, newest_entry
from narrows.client.registry.prompts import now_ms_of
from narrows.contract.errors import PromptConflict, PromptInvalid, PromptsFull, RecordError
from narrows.contract.outputs.objects import MOST_PROMPTS
from narrows.contract.records.prompts import (
    PromptAnswer,
    PromptAnswers,
    PromptList,
    PromptRef,
    SourceBox,
    SourcePoint,
    SourcePrompt,
)
from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import AUDIT_KEY
from narrows.runtime.prompting import Box, Point, Prompt
from orchestrator.servers import LocalRedis

KEYS = StreamKeys.of("cam-1", 4)
SOURCE = (640, 480)
BOX = Prompt(Box(120, 80, 200, 150))
POINTS = Prompt(points=(Point(200, 140), Point(90, 60, positive=False)))


@pytest.fixture
def registry(client: redis.Redis) -> PromptRegistry:
    return PromptRegistry(client, Install(4))


def answer(client: redis.Redis, answers: PromptAnswers, entry: str = "*") -> None:
    client.xadd(KEYS.prompt_state, {"p": answers.to_json()}, id=entry, maxlen=1)


def test_what_is_pointed_at_is_kept_in_the_sources_pixels(registry: PromptRegistry, client: redis.Redis) -> None:
    first = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    second = registry.add("cam-1", POINTS, who="grace", source=SOURCE)
    stored: Any = client.get(KEYS.prompts)
    assert PromptList.parse(stored).prompts == (first, second)
    assert [Prompt.of_record(each) for each in (first, second)] == [BOX, POINTS]
    assert (first.id, second.id, second.width, second.height, second.who) == (1, 2, *SOURCE, "grace")
    assert PromptList.parse(stored).version == second.version > first.version


def test_an_id_that_is_free_again_is_another_prompt(registry: PromptRegistry) -> None:
    before = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    registry.add("cam-1", POINTS, who="ada", source=SOURCE)
    registry.remove("cam-1", before.id, who="ada")
    after = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    assert after.id == before.id
    assert after.version > before.version


def test_a_prompt_takes_the_place_of_another(registry: PromptRegistry) -> None:
    before = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    after = registry.add("cam-1", POINTS, who="ada", source=SOURCE, replaced=before.id)
    assert registry.look("cam-1").prompts == (after,)
    with pytest.raises(PromptConflict, match="has no prompt 9"):
        registry.add("cam-1", POINTS, who="ada", source=SOURCE, replaced=9)


def test_of_two_operators_who_change_one_list_the_second_is_told(registry: PromptRegistry) -> None:
    seen = registry.look("cam-1").version
    mine = registry.add("cam-1", BOX, who="ada", source=SOURCE, if_version=seen)
    with pytest.raises(PromptConflict, match=f"version {mine.version}, not {seen}.*narrows prompts list cam-1"):
        registry.add("cam-1", POINTS, who="grace", source=SOURCE, if_version=seen)
    with pytest.raises(PromptConflict, match="changed meanwhile"):
        registry.remove("cam-1", mine.id, who="grace", if_version=seen)
    assert registry.look("cam-1").prompts == (mine,)
    assert [event.who for event in read_prompt_audit(registry.client)] == ["ada"]


def test_whoever_changes_the_list_between_look_and_write_is_not_overwritten(
    server: LocalRedis, registry: PromptRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with redis.Redis.from_url(server.url) as other:
        rival = PromptRegistry(other, Install(4))
        told: list[SourcePrompt] = []

        def meanwhile(client: redis.Redis) -> int:
            if client is registry.client and not told:
                told.append(rival.add("cam-1", POINTS, who="grace", source=SOURCE))
            return now_ms_of(client)

        monkeypatch.setattr("narrows.client.registry.prompts.now_ms_of", meanwhile)
        with pytest.raises(PromptConflict, match="changed meanwhile"):
            registry.add("cam-1", BOX, who="ada", source=SOURCE)
        assert list(registry.look("cam-1").prompts) == told


def test_of_operators_who_point_all_at_once_each_is_told_or_has_their_prompt_and_none_takes_anothers(
    server: LocalRedis, registry: PromptRegistry
) -> None:
    operators, at_once = 8, threading.Barrier(8)

    def point(n: int) -> SourcePrompt:
        with redis.Redis.from_url(server.url) as own:
            mine = PromptRegistry(own, Install(4))
            at_once.wait()
            while True:
                try:
                    return mine.add("cam-1", Prompt(Box(10 * n, 10, 40, 40)), who=f"operator {n}", source=SOURCE)
                except PromptConflict:
                    continue

    with ThreadPoolExecutor(operators) as threads:
        made = list(threads.map(point, range(operators)))
    kept = registry.look("cam-1").prompts
    assert sorted(kept, key=lambda each: each.who) == made
    assert len({each.version for each in kept}) == operators
    assert {each.id for each in kept} == set(range(1, operators + 1))


def test_a_box_beyond_the_picture_is_kept_as_what_of_it_lies_there(registry: PromptRegistry) -> None:
    registry.add("cam-1", Prompt(Box(-2e9, 10, 4e9, 20)), who="ada", source=SOURCE)
    assert registry.look("cam-1").prompts[0].box == SourceBox(0, 10, SOURCE[0], 20)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (Prompt(Box(640, 0, 10, 10)), "outside the picture of 640 x 480"),
        (Prompt(Box(10, 10, 0, 10)), "no area"),
        (Prompt(points=(Point(5, 5, positive=False),)), "neither a box nor a point on the thing"),
        (Prompt(points=(Point(641, 5),)), "outside the picture"),
        (Prompt(Box(float("nan"), 0, 1, 1)), "finite"),
        (Prompt(points=(Point(float("nan"), 5),)), "outside the picture"),
        (Prompt(points=(Point(5, 5),) * 300), "300 points; at most 16"),
        (Prompt(), "neither"),
    ],
)
def test_what_points_at_nothing_is_refused_by_name_and_leaves_no_trace(
    registry: PromptRegistry, client: redis.Redis, prompt: Prompt, message: str
) -> None:
    with pytest.raises(PromptInvalid, match=message):
        registry.add("cam-1", prompt, who="ada", source=SOURCE)
    assert client.get(KEYS.prompts) is None
    assert read_prompt_audit(client) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": (0, 480)}, "sides are 1 to 16384"),
        ({"source": (20_000, 480)}, "sides are 1 to 16384"),
        ({"lifetime_s": 1e-9}, "it lives 1 s to 30 days"),
        ({"lifetime_s": 0.0}, "it lives 1 s to 30 days"),
        ({"lifetime_s": float("nan")}, "it lives 1 s to 30 days"),
        ({"lifetime_s": 1e9}, "it lives 1 s to 30 days"),
    ],
)
def test_a_size_or_a_lifetime_that_is_none_is_refused(
    registry: PromptRegistry, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(PromptInvalid, match=message):
        registry.add("cam-1", BOX, who="ada", **({"source": SOURCE} | arguments))


def test_a_camera_has_sixteen_prompts_and_no_more(registry: PromptRegistry) -> None:
    for _ in range(MOST_PROMPTS):
        registry.add("cam-1", BOX, who="ada", source=SOURCE)
    with pytest.raises(PromptsFull, match="cam-1 has 16 prompts"):
        registry.add("cam-1", BOX, who="ada", source=SOURCE)
    registry.remove("cam-1", 7, who="ada")
    assert registry.add("cam-1", BOX, who="ada", source=SOURCE).id == 7


def test_a_prompt_expires_and_the_list_with_its_last_one(registry: PromptRegistry, client: redis.Redis) -> None:
    registry.add("cam-1", BOX, who="ada", source=SOURCE, lifetime_s=3600)
    long = registry.add("cam-1", POINTS, who="ada", source=SOURCE, lifetime_s=7200)
    assert 3_600_000 < int(client.pttl(KEYS.prompts)) <= 7_200_000
    stored: Any = client.get(KEYS.prompts)
    assert PromptList.parse(stored).at(long.expires_ms - 1) == (long,)
    assert PromptList.parse(stored).at(long.expires_ms) == ()


def test_a_version_never_comes_again_however_soon_a_list_of_many_changes_is_gone(
    registry: PromptRegistry, client: redis.Redis
) -> None:
    last = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    for _ in range(6):
        last = registry.add("cam-1", BOX, who="ada", source=SOURCE, replaced=1, lifetime_s=1)
    while client.exists(KEYS.prompts) and now_ms_of(client) < (last.version + 1) * 1000:
        time.sleep(0.1)
    assert registry.add("cam-1", BOX, who="ada", source=SOURCE).version > last.version


def test_a_list_that_cannot_be_read_is_named(registry: PromptRegistry, client: redis.Redis) -> None:
    client.set(KEYS.prompts, b'{"v":1,"version":-3}')
    with pytest.raises(RecordError, match="a list of prompts: version is -3"):
        registry.look("cam-1")


def test_who_pointed_at_what_and_when_is_on_record(registry: PromptRegistry, client: redis.Redis) -> None:
    before_ms = time.time() * 1000
    made = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    registry.remove("cam-1", made.id, who="grace")
    events = read_prompt_audit(client)
    assert [(each.who, each.action, each.camera, each.prompt) for each in events] == [
        ("grace", "prompt-remove", "cam-1", made),
        ("ada", "prompt-add", "cam-1", made),
    ]
    assert all(before_ms - 1000 <= each.at_ms <= time.time() * 1000 + 1000 for each in events)
    assert read_audit(client) == []


def test_the_cameras_answer_says_its_size_and_each_prompts_state(registry: PromptRegistry, client: redis.Redis) -> None:
    answer(client, PromptAnswers(width=640, height=480))
    made = registry.add("cam-1", BOX, who="ada")
    assert (made.width, made.height) == SOURCE
    seen = registry.look("cam-1")
    assert (seen.state_of(made), seen.rate_of(made)) == ("waiting", 0.0)
    answers = (
        PromptAnswer(made.id, made.version - 1, "lost", 9.0),
        PromptAnswer(made.id, made.version, "tracking", 2.5),
    )
    answer(client, PromptAnswers(width=640, height=480, version=made.version, prompts=answers))
    seen = registry.look("cam-1")
    assert (seen.state_of(made), seen.rate_of(made)) == ("tracking", 2.5)


def test_a_camera_that_never_answered_sleeps_or_cannot_is_told_apart(
    registry: PromptRegistry, client: redis.Redis
) -> None:
    made = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    assert registry.look("cam-1").state_of(made) == "not_answered"
    client.xadd(KEYS.prompt_state, {"p": b"{}"}, id="1-1", maxlen=1)  # an answer that cannot be read
    assert registry.look("cam-1").state_of(made) == "not_answered"
    hour_ago_ms = int(time.time() * 1000) - 3_600_000
    tracked = PromptAnswers(prompts=(PromptAnswer(made.id, made.version, "tracking", 2.5),))
    answer(client, tracked, f"{hour_ago_ms}-0")
    seen = registry.look("cam-1")
    assert (seen.state_of(made), seen.rate_of(made)) == ("asleep", 0.0)
    answer(client, PromptAnswers(unable="no_network"))
    assert registry.look("cam-1").state_of(made) == "no_network"


def test_the_commands_add_list_and_remove(server: LocalRedis, registry: PromptRegistry) -> None:
    def prompts(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "narrows.cli", "prompts", *arguments],
            env=os.environ | {"NARROWS_REDIS_URL": server.url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    added = prompts("add", "cam-1", "--box", "120,80,200,150", "--size", "640x480", "--by", "ada")
    assert added.stdout.startswith("cam-1: prompt 1, version ")
    assert "no answer yet" in added.stderr
    shown = prompts("list", "cam-1").stdout
    assert "box 120,80,200,150" in shown
    assert "640x480" in shown
    refused = prompts("remove", "cam-1", "1", "--if-version", "0")
    assert refused.returncode == 1
    assert "changed meanwhile" in refused.stderr
    assert prompts("remove", "cam-1", "1").stdout == "cam-1: prompt 1 removed\n"
    assert registry.look("cam-1").prompts == ()


ON_SITE = SourcePrompt(17, 500, *SOURCE, 10**13, "\x1b[31mroot", points=(SourcePoint(9.0, 8.0),))


def test_what_was_pointed_at_on_site_is_listed_and_can_be_taken_away_with_an_audit(
    registry: PromptRegistry, client: redis.Redis
) -> None:
    own = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    told = PromptAnswers("", *SOURCE, own.version, (PromptAnswer(17, 500, "tracking", 3.0),), site=(ON_SITE,))
    answer(client, told)
    listed = registry.look("cam-1")
    assert [each.id for each in listed.prompts] == [own.id, 17]
    assert (listed.prompts[1].who, listed.state_of(listed.prompts[1])) == ("on site", "tracking")  # no terminal's codes
    registry.remove("cam-1", 17, who="ada")
    assert [each.id for each in registry.look("cam-1").prompts] == [own.id]
    stored = PromptList.parse(client.get(KEYS.prompts))  # type: ignore[arg-type]
    assert (stored.prompts, stored.removed) == ((own,), (PromptRef(17, 500),))
    assert next((each.action, each.prompt.id) for each in read_prompt_audit(client)) == ("prompt-remove", 17)
    another = registry.add("cam-1", POINTS, who="ada", source=SOURCE)
    assert another.id == 2
    assert PromptList.parse(client.get(KEYS.prompts)).removed == (PromptRef(17, 500),)  # type: ignore[arg-type]
    with pytest.raises(PromptConflict, match="no prompt 17"):
        registry.remove("cam-1", 17, who="ada")


def test_the_list_outlives_what_it_removed_on_site(registry: PromptRegistry, client: redis.Redis) -> None:
    """Gone sooner, a camera that had no link meanwhile would go on with it."""
    answer(client, PromptAnswers("", *SOURCE, 1, site=(ON_SITE,)))
    registry.remove("cam-1", 17, who="ada")
    registry.add("cam-1", BOX, who="ada", source=SOURCE, lifetime_s=60)
    left_ms: Any = client.pttl(KEYS.prompts)
    assert 7 * 3_600_000 < left_ms <= 8 * 3_600_000


def test_a_removal_on_site_is_shown_and_one_without_room_too(registry: PromptRegistry, client: redis.Redis) -> None:
    own = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    gone = (PromptRef(own.id, own.version),)
    answer(client, PromptAnswers("", *SOURCE, own.version, site=(ON_SITE,), removed=gone))
    seen = registry.look("cam-1")
    assert [seen.state_of(each) for each in seen.prompts] == ["removed_on_site", "no_room"]
    registry.remove("cam-1", own.id, who="ada")
    assert [each.id for each in registry.look("cam-1").prompts] == [17]


def test_what_a_camera_says_of_its_site_takes_no_id_of_the_list(registry: PromptRegistry, client: redis.Redis) -> None:
    own = registry.add("cam-1", BOX, who="ada", source=SOURCE)
    forged = SourcePrompt(own.id, own.version, *SOURCE, 10**13, points=(SourcePoint(1.0, 1.0),))
    late = SourcePrompt(18, 1, *SOURCE, 5, points=(SourcePoint(1.0, 1.0),))
    answer(client, PromptAnswers("", *SOURCE, 1, site=(forged, late)))
    assert registry.look("cam-1").prompts == (own,)
    with pytest.raises(PromptConflict, match="made on the site"):
        registry.add("cam-1", BOX, who="ada", source=SOURCE, replaced=17)


CANNOT = [
    (None, "*", "no answer yet: is the camera running, with --prompts"),
    (PromptAnswers(unable="no_network"), "*", "the camera cannot: start it with `narrows edge --prompts"),
    (PromptAnswers(unable="no_network"), "1-1", "the camera cannot: start it with `narrows edge --prompts"),
    (PromptAnswers("source_too_large", 20_000, 480), "*", "the camera cannot: its picture is too large"),
    (PromptAnswers(), "*", "has not said how large its pictures are: is it filming?"),
]


@pytest.mark.parametrize(("answers", "entry", "said"), CANNOT, ids=lambda value: str(value)[-30:])
def test_a_prompt_for_a_camera_that_cannot_run_it_is_refused_by_name_unless_its_size_is_given(
    registry: PromptRegistry, client: redis.Redis, answers: PromptAnswers | None, entry: str, said: str
) -> None:
    if answers is not None:
        answer(client, answers, entry)
    with pytest.raises(PromptInvalid, match=f"cam-1:? {re.escape(said)}"):
        registry.add("cam-1", BOX, who="ada")
    assert client.get(KEYS.prompts) is None
    assert read_prompt_audit(client) == []
    registry.add("cam-1", BOX, who="ada", source=SOURCE)


@pytest.mark.parametrize(("unable", "entry"), [("packet_format", "*"), ("source_too_large", "1-1")])
def test_what_may_have_passed_refuses_no_prompt(
    registry: PromptRegistry, client: redis.Redis, unable: str, entry: str
) -> None:
    answer(client, PromptAnswers(unable, *SOURCE), entry)
    assert registry.add("cam-1", BOX, who="ada").width == SOURCE[0]


def test_junk_in_the_audit_hides_nothing(registry: PromptRegistry, client: redis.Redis) -> None:
    registry.add("cam-1", BOX, who="ada", source=SOURCE)
    for junk in (b"{", b"[" * 10_000, b'{"id":0}'):
        client.xadd(AUDIT_KEY, {"who": b"\xff", "action": "prompt-add", "camera": "cam-1", "prompt": junk})
        client.xadd(AUDIT_KEY, {"stream": "cam-1", "after": junk})
        client.xadd(AUDIT_KEY, {"order": junk})
        client.xadd(AUDIT_KEY, {"still": junk})
    assert [event.who for event in read_prompt_audit(client)] == ["ada"]
    assert (read_audit(client), read_scale_audit(client), read_still_audit(client)) == ([], [], [])


def test_an_answer_as_large_as_a_camera_likes_is_none_and_not_read(
    registry: PromptRegistry, client: redis.Redis
) -> None:
    said = PromptAnswers(width=640, height=480)
    answer(client, said)
    assert registry.look("cam-1").answers == said
    client.xadd(KEYS.prompt_state, {"p": said.to_json(), "more": bytes(MOST_ENTRY_BYTES)}, maxlen=1)
    assert registry.look("cam-1").answers is None
    with pytest.raises(RecordError, match="at most 262144 are read"):
        newest_entry(client, KEYS.prompt_state)
    answer(client, said)
    assert registry.look("cam-1").answers == said


def test_a_name_is_as_long_as_a_record_has_room_for(registry: PromptRegistry) -> None:
    made = registry.add("cam-1", BOX, who="a" * 500, source=SOURCE)
    assert made.who == "a" * 128
    assert registry.look("cam-1").prompts == (made,)


def test_of_several_things_of_a_site_that_are_taken_away_none_comes_back_while_its_camera_has_not_heard(
    registry: PromptRegistry, client: redis.Redis
) -> None:
    site = tuple(structs.replace(ON_SITE, id=number) for number in (17, 18, 19))
    answer(client, PromptAnswers("", *SOURCE, 1, site=site))
    for number in (17, 19):
        registry.remove("cam-1", number, who="ada")
    assert [each.id for each in registry.look("cam-1").prompts] == [18]
    answer(client, PromptAnswers("", *SOURCE, 1, site=site[1:]))  # it has heard of the first
    registry.remove("cam-1", 18, who="ada")
    stored: Any = client.get(KEYS.prompts)
    assert [each.id for each in PromptList.parse(stored).removed] == [19, 18]
