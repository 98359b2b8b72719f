"""What is pointed at on the camera's own site: kept here, looked for at once, told to the cloud with the next answer.

::

    list of the cloud ──┐ less what was removed here
                        ├─► what is looked for, 16 at most
    prompts of the site ┘ less what the cloud removed

What wins is said in :mod:`narrows.contract.records.prompts`: a removal, whichever side's. Nothing waits for the link.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock, Thread
from typing import Annotated, ClassVar

import structlog
from msgspec import Meta, structs

from edge_client.clock import unix_ms
from edge_client.state import write_durably
from narrows.contract.errors import PromptConflict, PromptInvalid, PromptsFull, RecordError
from narrows.contract.outputs.objects import MOST_PROMPTS
from narrows.contract.records.prompts import (
    FIRST_SITE_ID,
    MAX_PROMPTS_BYTES,
    MAX_VERSION,
    PromptAnswers,
    PromptList,
    PromptRef,
    SourcePrompt,
    Unable,
)
from narrows.contract.wire.record import Record
from narrows.runtime.prompting import Prompt
from narrows.runtime.prompting.states import in_words

_LOG = structlog.get_logger("edge.site")
_FILE = "site_prompts.json"
SAVING = "site-prompts"
"""The name of threads that write the file, so that a slow disk costs no frame."""
LIFETIME_S = 8 * 3600.0
"""As of the cloud's: a shift."""
_SET_MS = 60_000
"""A clock that is off by less from one look to the next runs a little fast."""
Size = tuple[int, int]


def steady_s() -> float:
    """Seconds since some moment, also while the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class _Kept(Record, frozen=True, omit_defaults=True, tag_field="v", tag=1):
    """What outlives the program: the site's prompts, those of the cloud that were taken away here, the last version."""

    what: ClassVar[str] = "a site's prompts"
    most_bytes: ClassVar[int] = 2 * MAX_PROMPTS_BYTES

    prompts: Annotated[tuple[SourcePrompt, ...], Meta(max_length=MOST_PROMPTS)] = ()
    removed: Annotated[tuple[SourcePrompt, ...], Meta(max_length=MOST_PROMPTS)] = ()
    version: Annotated[int, Meta(ge=0, le=MAX_VERSION)] = 0


@dataclass(frozen=True, slots=True)
class SiteList:
    """All prompts as the site's page shows them.

    Attributes:
        version: another after each change, whoever's.
        looked_for: of both sides.
        waiting: that have no room beside these.
    """

    version: int
    looked_for: tuple[SourcePrompt, ...]
    waiting: tuple[SourcePrompt, ...]

    @property
    def prompts(self) -> tuple[SourcePrompt, ...]:
        """All of them."""
        return (*self.looked_for, *self.waiting)


class SitePrompts:
    """The site's own prompts. The frame loop asks for :meth:`merged`, the page's threads change them.

    Attributes:
        now_ms: the Redis server's clock, as well as it is known; prompts expire by it.
    """

    def __init__(
        self, folder: Path, now_ms: Callable[[], float] = unix_ms, steady_s: Callable[[], float] = steady_s
    ) -> None:
        """Take up what the run before kept; a file that cannot be read is none. ``steady_s``: a clock nobody sets."""
        self._path, self.now_ms, self._steady_s = folder / _FILE, now_ms, steady_s
        self._lock, self._disk = RLock(), Lock()
        self._wall_less_steady_ms = self._difference_ms()
        self._cloud = PromptList()
        self._version = int(now_ms()) // 1000
        self._kept = _Kept()
        try:
            self._kept = _Kept.parse(self._path.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, RecordError) as error:
            _LOG.warning("site_prompts_forgotten", file=str(self._path), cause=str(error))

    def merged(self, cloud: PromptList) -> PromptList:
        """What is looked for: the cloud's list, as it was last heard, and the site's own behind it."""
        if cloud is not self._cloud:
            with self._lock:
                self._hear(cloud)
        kept = self._by_the_clock()
        if not kept.prompts and not kept.removed:
            return cloud
        removed = {_key(each) for each in kept.removed}
        wanted = self._alive(tuple(each for each in cloud.prompts if _key(each) not in removed))
        taken = {each.id for each in wanted}  # whoever writes the list: an id is there once
        own = tuple(each for each in _oldest_first(self._alive(kept.prompts)) if each.id not in taken)
        return PromptList(cloud.version, (*wanted, *own)[:MOST_PROMPTS], cloud.removed)

    def told(self, answers: PromptAnswers) -> PromptAnswers:
        """The camera's answer with what the cloud does not know."""
        kept = self._by_the_clock()
        if not kept.prompts and not kept.removed:
            return answers
        removed = tuple(PromptRef(each.id, each.version) for each in self._alive(kept.removed))
        return structs.replace(answers, site=self._alive(kept.prompts), removed=removed)

    def look(self) -> SiteList:
        """All that is pointed at, by either side."""
        with self._lock:
            merged = self._alive(self.merged(self._cloud).prompts)
            waiting = tuple(each for each in self._alive(self._kept.prompts) if each not in merged)
            return SiteList(self._version, merged, waiting)

    def add(
        self, prompt: Prompt, source: Size, *, who: str, if_version: int, replaced: int | None = None
    ) -> SourcePrompt:
        """Point at a thing; it is looked for in the next frame.

        Args:
            prompt: what points at it, in pixels of the source.
            source: the width and height of the camera's picture.
            who: for the log: the site's page has one token for all.
            if_version: of the list that was seen.
            replaced: the id of the prompt that it takes the place of; one of the cloud's is removed, as seen from here.

        Raises:
            PromptInvalid: it points at nothing in the picture.
            PromptsFull: there are 16.
            PromptConflict: the list was changed meanwhile, or ``replaced`` is not in it.
        """
        width, height = source
        box, points = prompt.within(width, height).recorded()
        with self._lock:
            self._check(if_version)
            self._drop_expired()
            if replaced is not None:
                self._take_away(replaced)
            kept = self._kept
            merged = self.merged(self._cloud).prompts
            if len(self._alive(merged)) >= MOST_PROMPTS or len(kept.prompts) >= MOST_PROMPTS:
                raise PromptsFull(f"this camera has {MOST_PROMPTS} prompts, and these are the most: remove one first")
            now_ms = int(self.now_ms())
            taken = {each.id for each in kept.prompts}
            number = next(n for n in range(FIRST_SITE_ID, FIRST_SITE_ID + MOST_PROMPTS) if n not in taken)
            version = max(now_ms // 1000, kept.version + 1) & MAX_VERSION  # an id that is free again is another prompt
            expires_ms = now_ms + round(LIFETIME_S * 1000)
            made = SourcePrompt(number, version, width, height, expires_ms, "on site", box, points)
            self._change(structs.replace(kept, prompts=(*kept.prompts, made), version=version))
        self._save()
        _LOG.info("site_prompt_added", prompt=made.id, version=made.version, who=who)
        return made

    def remove(self, number: int, *, who: str, if_version: int) -> None:
        """Have a thing left alone, whichever side pointed at it.

        Raises:
            PromptConflict: it is not there, or the list was changed meanwhile.
        """
        with self._lock:
            self._check(if_version)
            self._drop_expired()
            gone = self._take_away(number)
        self._save()
        _LOG.info("site_prompt_removed", prompt=gone.id, version=gone.version, who=who)

    def _take_away(self, number: int) -> SourcePrompt:
        kept = self._kept
        for each in kept.prompts:
            if each.id == number:
                self._change(structs.replace(kept, prompts=tuple(other for other in kept.prompts if other is not each)))
                return each
        for each in self.merged(self._cloud).prompts:
            if each.id == number:
                self._change(structs.replace(kept, removed=(*kept.removed, each)[-MOST_PROMPTS:]))
                return each
        raise PromptConflict(f"this camera has no prompt {number}")

    def _check(self, if_version: int) -> None:
        if if_version != self._version:
            raise PromptConflict(
                f"the prompts were changed meanwhile: version {self._version}, not {if_version}; look again"
            )

    def _hear(self, cloud: PromptList) -> None:
        """The cloud's list is another: leave what it removed, and forget what was removed here and is gone there.

        A list of version 0 is none: it was not heard yet, or is not there.
        """
        if cloud.prompts != self._cloud.prompts or cloud.removed != self._cloud.removed:
            self._version += 1
        self._cloud = cloud
        if cloud.version == 0:
            return
        unwanted = {(each.id, each.version) for each in cloud.removed}
        there = {_key(each) for each in cloud.prompts}
        kept = self._kept
        self._kept = structs.replace(
            kept,
            prompts=tuple(each for each in kept.prompts if _key(each) not in unwanted),
            removed=tuple(each for each in kept.removed if _key(each) in there),
        )
        if self._kept != kept:  # the cloud forgets what it took away once it hears that it is gone here
            self._save_aside()

    def _by_the_clock(self) -> _Kept:
        """What is kept, by the clock as it is now: all that looks at expiries begins here."""
        self._mind_the_clock()
        return self._kept

    def _mind_the_clock(self) -> None:
        """A clock that was set takes no prompt of the site away, nor keeps one: each lives as long as it was to.

        A camera that boots without a link may think that it is 1970 until the server tells the time.
        """
        if abs(self._difference_ms() - self._wall_less_steady_ms) < _SET_MS:
            return
        with self._lock:
            now_ms = self.now_ms()
            set_by_ms = round(self._difference_ms() - self._wall_less_steady_ms)
            self._wall_less_steady_ms += set_by_ms
            kept = self._kept
            moved = tuple(_moved(each, now_ms - set_by_ms, set_by_ms) for each in kept.prompts)
            self._kept = structs.replace(kept, prompts=moved)
        if moved != kept.prompts:
            _LOG.info("site_prompts_moved", clock_set_by_s=round(set_by_ms / 1000))
            self._save_aside()

    def _difference_ms(self) -> float:
        return self.now_ms() - self._steady_s() * 1000

    def _drop_expired(self) -> None:
        kept = self._by_the_clock()
        self._kept = structs.replace(kept, prompts=self._alive(kept.prompts), removed=self._alive(kept.removed))

    def _alive(self, prompts: tuple[SourcePrompt, ...]) -> tuple[SourcePrompt, ...]:
        now_ms = self.now_ms()
        return tuple(each for each in prompts if now_ms < each.expires_ms)

    def _change(self, kept: _Kept) -> None:
        self._kept, self._version = kept, self._version + 1

    def _save_aside(self) -> None:
        Thread(target=self._save, name=SAVING, daemon=True).start()

    def _save(self) -> None:
        """For the next start; a disk that does not take it costs no prompt, one that is slow no frame."""
        with self._disk:
            try:
                write_durably(self._path, self._kept.to_json())
            except OSError as error:
                _LOG.warning("site_prompts_not_kept", file=str(self._path), cause=str(error))


def _moved(prompt: SourcePrompt, before_ms: float, set_by_ms: int) -> SourcePrompt:
    """A prompt that was made by the clock as it was; one of the run before, by a better clock, stays."""
    if not 0 < prompt.expires_ms - before_ms <= LIFETIME_S * 1000:
        return prompt
    return structs.replace(prompt, expires_ms=max(0, prompt.expires_ms + set_by_ms))


def _key(prompt: SourcePrompt) -> tuple[int, int]:
    return prompt.id, prompt.version


def _oldest_first(prompts: tuple[SourcePrompt, ...]) -> tuple[SourcePrompt, ...]:
    return tuple(sorted(prompts, key=lambda each: each.version))


def source_of(answers: PromptAnswers) -> Size:
    """The size of the camera's picture.

    Raises:
        PromptInvalid: there was none yet, or one in which nothing can be outlined.
    """
    if answers.unable not in ("", Unable.PACKET_FORMAT):  # in which things are outlined for this site alone
        raise PromptInvalid(in_words(answers.unable))
    if not (answers.width and answers.height):
        raise PromptInvalid("the camera has no picture yet: wait for one")
    return answers.width, answers.height
