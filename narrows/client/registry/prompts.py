"""Pointing at things that a camera outlines: its list of prompts, changed by compare-and-set, with an audit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from msgspec import structs

from narrows.client.registry.audit import PromptEvent, write_prompt_audit
from narrows.client.registry.camera_entry import newest_entry
from narrows.contract.errors import PromptConflict, PromptInvalid, PromptsFull, RecordError
from narrows.contract.outputs.objects import MAX_SOURCE_SIDE, MOST_PROMPTS
from narrows.contract.records.prompts import (
    FIRST_SITE_ID,
    MAX_VERSION,
    NO_ROOM,
    REMOVED_ON_SITE,
    PromptAnswers,
    PromptList,
    PromptRef,
    PromptState,
    SourcePrompt,
    Unable,
)
from narrows.contract.records.still import MAX_WHO_CHARACTERS, REQUEST_MS
from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import PACKET_FIELD
from narrows.runtime.prompting import Prompt
from narrows.runtime.prompting.states import in_words

ASLEEP_MS = 45_000
"""A camera that runs prompts answers every few seconds."""
NOT_ANSWERED, ASLEEP, ON_SITE = "not_answered", "asleep", "on site"
DEFAULT_LIFETIME_S = 8 * 3600.0
LONGEST_LIFETIME_S = 30 * 86_400.0
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PromptsSeen:
    """A camera's prompts, and what it says of them.

    Attributes:
        version: of the list; name it to change this list and no other.
        prompts: that have not expired: of the list, then those that were made on the camera's site.
        answers: the camera's; ``None``: it never answered.
        answered_ms: when that was, by the Redis server's clock.
        now_ms: by the same clock.
    """

    version: int
    prompts: tuple[SourcePrompt, ...]
    answers: PromptAnswers | None
    answered_ms: int
    now_ms: int

    @property
    def asleep(self) -> bool:
        """Whether the camera answered, but not of late: it sleeps, or has no link."""
        return self.answers is not None and self.now_ms - self.answered_ms > ASLEEP_MS

    @property
    def source(self) -> Size | None:
        """Width and height of the camera's picture; ``None``: it has not said."""
        answers = self.answers
        return (answers.width, answers.height) if answers is not None and answers.width and answers.height else None

    @property
    def fault(self) -> str:
        """Why pointing is of no use now, in words; empty: it is, as far as the camera has said."""
        if self.answers is None:
            return in_words(NOT_ANSWERED)
        stale = self.asleep and self.answers.unable != Unable.NO_NETWORK  # which alone is said once a connection
        return in_words(self.answers.unable) if self.answers.unable and not stale else ""

    def source_or_fault(self, camera: str) -> Size:
        """Width and height of the camera's picture.

        Raises:
            PromptInvalid: it has not said, or cannot outline anything; the message says why, and what to do.
        """
        passing = self.answers is not None and self.answers.unable == Unable.PACKET_FORMAT  # an operator permits it
        if self.fault and not (passing and self.source):
            raise PromptInvalid(f"{camera}: {self.fault}")
        if self.source is None:
            raise PromptInvalid(f"{camera} has not said how large its pictures are: is it filming?")
        return self.source

    def state_of(self, prompt: SourcePrompt) -> str:
        """What became of one: a :class:`PromptState`, an ``Unable``, ``not_answered`` or ``asleep``."""
        if self.answers is None:
            return NOT_ANSWERED
        if self.asleep:
            return ASLEEP
        if self.answers.unable:
            return self.answers.unable
        if PromptRef(prompt.id, prompt.version) in self.answers.removed:
            return REMOVED_ON_SITE
        unanswered = NO_ROOM if prompt.id >= FIRST_SITE_ID else PromptState.WAITING.value
        return next((each.state for each in self._answers_to(prompt)), unanswered)

    def rate_of(self, prompt: SourcePrompt) -> float:
        """How often it is looked at, frames a second."""
        return 0.0 if self.asleep else next((each.frames_per_s for each in self._answers_to(prompt)), 0.0)

    def _answers_to(self, prompt: SourcePrompt) -> list[Any]:
        answers = () if self.answers is None else self.answers.prompts
        return [each for each in answers if (each.id, each.version) == (prompt.id, prompt.version)]


@dataclass(frozen=True, slots=True)
class PromptRegistry:
    """The operator's side of prompts. The audit event is written *before* the change, as for streams."""

    client: redis.Redis
    install: Install

    def look(self, camera: str) -> PromptsSeen:
        """What a camera is asked for, and what it answers; an answer that cannot be read is none.

        Raises:
            StreamIdInvalid: the id cannot be used.
            RecordError: what is stored cannot be read.
        """
        keys = StreamKeys.of(camera, self.install.shards)
        found = parsed(self.client.get(keys.prompts))
        answers: PromptAnswers | None = None
        answered_ms = 0
        with suppress(RecordError):  # what a camera writes costs its operators nothing
            if (said := newest_entry(self.client, keys.prompt_state)) is not None:
                answers = PromptAnswers.parse(said[1].get(PACKET_FIELD, b""))
                answered_ms = said[0]
        now_ms = now_ms_of(self.client)
        prompts = (*found.at(now_ms), *_of_site(answers, found, now_ms))
        return PromptsSeen(found.version, prompts, answers, answered_ms, now_ms)

    def add(
        self,
        camera: str,
        prompt: Prompt,
        *,
        who: str,
        source: Size | None = None,
        lifetime_s: float = DEFAULT_LIFETIME_S,
        replaced: int | None = None,
        if_version: int | None = None,
    ) -> SourcePrompt:
        """Have a camera outline a thing.

        Args:
            camera: its stream id.
            prompt: what points at the thing, in pixels of the camera's source picture.
            who: for the audit.
            source: the width and height that it was made for, whatever the camera says; ``None``: those that it said.
            lifetime_s: until it expires.
            replaced: the id of the prompt that it takes the place of.
            if_version: of the list that is meant; ``None``: whatever it is now.

        Raises:
            PromptInvalid: it points at nothing in such a picture; the size or lifetime is none; the camera cannot.
            PromptsFull: the camera has 16.
            PromptConflict: another operator changed the list meanwhile, or ``replaced`` is not in it.
            StreamIdInvalid, RecordError: the id, or what is stored.
        """
        width, height = source or self.look(camera).source_or_fault(camera)
        if not (0 < width <= MAX_SOURCE_SIDE and 0 < height <= MAX_SOURCE_SIDE):
            raise PromptInvalid(f"a source of {width} x {height}: sides are 1 to {MAX_SOURCE_SIDE} pixels")
        if not 1 <= lifetime_s <= LONGEST_LIFETIME_S:
            raise PromptInvalid(f"a prompt for {lifetime_s:g} s: it lives 1 s to {LONGEST_LIFETIME_S / 86400:g} days")
        box, points = prompt.within(width, height).recorded()

        def changed(before: PromptList, version: int, now_ms: int) -> tuple[PromptList, SourcePrompt]:
            left = before.at(now_ms)
            if replaced is not None:
                _only(camera, left, replaced)
                left = tuple(each for each in left if each.id != replaced)
            if len(left) >= MOST_PROMPTS:
                raise PromptsFull(
                    f"{camera} has {len(left)} prompts, and {MOST_PROMPTS} are the most: remove one first"
                )
            taken = {each.id for each in left}
            number = replaced or next(each for each in range(1, MOST_PROMPTS + 1) if each not in taken)
            expires_ms = now_ms + round(lifetime_s * 1000)
            made = SourcePrompt(number, version, width, height, expires_ms, who[:MAX_WHO_CHARACTERS], box, points)
            kept = sorted((*left, made), key=lambda each: each.id)
            after = structs.replace(before, version=version, prompts=tuple(kept))
            return PromptList.parse(after.to_json()), made

        if replaced is not None and replaced >= FIRST_SITE_ID:
            raise PromptConflict(f"prompt {replaced} was made on the site of {camera}: remove it, and point anew")
        return self._change(camera, changed, "prompt-add", who, if_version)

    def remove(self, camera: str, prompt_id: int, *, who: str, if_version: int | None = None) -> SourcePrompt:
        """Have a camera leave a thing alone, also one that was pointed at on its site; answers the prompt that was.

        Raises:
            PromptConflict: it is not there, or another operator changed the list meanwhile.
            StreamIdInvalid, RecordError: the id, or what is stored.
        """
        of_site = self.look(camera).answers if prompt_id >= FIRST_SITE_ID else None

        def changed(before: PromptList, version: int, now_ms: int) -> tuple[PromptList, SourcePrompt]:
            left, there = before.at(now_ms), _of_site(of_site, before, now_ms)
            gone = _only(camera, (*left, *there), prompt_id)
            if gone in there:
                known = tuple(each for each in before.removed if each in _refs(of_site))
                removed = (*known, PromptRef(gone.id, gone.version))[-MOST_PROMPTS:]
                return structs.replace(before, version=version, prompts=left, removed=removed), gone
            left = tuple(each for each in left if each is not gone)
            return structs.replace(before, version=version, prompts=left), gone

        return self._change(camera, changed, "prompt-remove", who, if_version)

    def _change(
        self,
        camera: str,
        changed: Callable[[PromptList, int, int], tuple[PromptList, SourcePrompt]],
        action: str,
        who: str,
        if_version: int | None,
    ) -> SourcePrompt:
        key = StreamKeys.of(camera, self.install.shards).prompts
        expected = parsed(self.client.get(key)).version if if_version is None else if_version
        done: list[SourcePrompt] = []

        def attempt(pipe: redis.client.Pipeline) -> None:
            before, now_ms = parsed(pipe.get(key)), now_ms_of(self.client)
            if before.version != expected:
                raise PromptConflict(
                    f"the prompts of {camera} were changed meanwhile: version {before.version}, not {expected}; "
                    f"look at `narrows prompts list {camera}` and try again"
                )
            # by the clock too, so that a list which expired and came back has no version twice
            version = max(before.version + 1, now_ms // 1000) & MAX_VERSION
            after, prompt = changed(before, version, now_ms)
            write_prompt_audit(self.client, PromptEvent(who, action, camera, prompt))
            pipe.multi()
            pipe.set(key, after.to_json(), pxat=ends_ms(after, now_ms))
            done.append(prompt)

        self.client.transaction(attempt, key)
        return done[-1]


def _only(camera: str, prompts: tuple[SourcePrompt, ...], prompt_id: int) -> SourcePrompt:
    for each in prompts:
        if each.id == prompt_id:
            return each
    raise PromptConflict(f"{camera} has no prompt {prompt_id}: it has {[each.id for each in prompts] or 'none'}")


def _of_site(answers: PromptAnswers | None, known: PromptList, now_ms: int) -> tuple[SourcePrompt, ...]:
    """What a camera says was pointed at on its site. Who did it is for the site to know; ids are those of sites."""
    found = () if answers is None else answers.site
    return tuple(
        structs.replace(each, who=ON_SITE)
        for each in found
        if each.id >= FIRST_SITE_ID
        and now_ms < each.expires_ms
        and PromptRef(each.id, each.version) not in known.removed
    )


def _refs(answers: PromptAnswers | None) -> set[PromptRef]:
    return {PromptRef(each.id, each.version) for each in (() if answers is None else answers.site)}


def ends_ms(prompts: PromptList, now_ms: int) -> int:
    """When Redis may forget a list: its version is to outlive what it names, and a request for a still counts so long.

    Lists begin with the clock's version, so none is forgotten before the clock is past its own.
    """
    ends = [each.expires_ms for each in prompts.prompts]
    if prompts.removed or not ends:  # a site's prompts live as long, and some may not know yet
        ends.append(now_ms + round(DEFAULT_LIFETIME_S * 1000))
    if prompts.still is not None:
        ends.append(prompts.still.asked_ms + REQUEST_MS)
    ends.append(min(1000 * (prompts.version + 1), now_ms + round(LONGEST_LIFETIME_S * 1000)))
    return max(ends)


def now_ms_of(client: redis.Redis) -> int:
    """The Redis server's clock."""
    answer: Any = client.time()
    return int(answer[0]) * 1000 + int(answer[1]) // 1000


def parsed(stored: Any) -> PromptList:  # noqa: ANN401 - as redis types its answers
    """The list that is stored; an empty one of version 0 where there is none.

    Raises:
        RecordError: it cannot be read.
    """
    return PromptList() if stored is None else PromptList.parse(stored)
