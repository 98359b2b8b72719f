"""Pointing at things from the page: the prompts of a stream as JSON, and an operator's changes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from narrows.client.registry import PromptRegistry, PromptsSeen, StillRegistry, StillSeen
from narrows.client.registry.stills import EXPIRED
from narrows.contract.errors import ServiceError, StillRefused
from narrows.runtime.page.prompts import prompt_json, prompt_of, whole_number
from narrows.runtime.redis import connect, named_errors, read_install

WHO = "page operator"
"""In the audit, with the address: the token is one for all operators, so the page cannot tell them apart otherwise."""
T = TypeVar("T")
_THREADS, _MOST_WAITING = 4, 64
"""Of visits and of changes: a browser asks every two seconds while a stream's prompts are on its screen."""


class Prompting:
    """The page's prompt registry, over connections of its own: its user writes prompts, the page's may not.

    Its threads are its own, too: masks and figures go on while this Redis is slow.
    """

    def __init__(self, url: str) -> None:
        self._url, self._waiting = url, 0
        self._client = connect(url)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="prompts")

    def close(self) -> None:
        """Close the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def run(self, work: Callable[[], T]) -> T:
        """Do what blocks in a thread, if not too many wait for one.

        Raises:
            ServiceError: too many do: Redis is slow.
        """
        if self._waiting >= _MOST_WAITING:
            raise ServiceError(f"{self._waiting} visitors wait for prompts: Redis is slow, try again later")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def look(self, stream: str) -> dict[str, Any]:
        """A stream's prompts. Blocks, as the two below.

        Raises:
            ServiceError: Redis is away or refuses.
            RecordError: what is stored cannot be read.
        """
        with named_errors(self._url):
            return _seen_json(self._registry().look(stream))

    def add(self, stream: str, asked: Mapping[str, Any], who: str) -> dict[str, Any]:
        """A prompt in shares of the picture's sides; in the place of ``replaces``, if that is given.

        Raises:
            PromptInvalid: it is none, or the camera cannot, or has not said how large its pictures are.
            PromptConflict: the list is another than ``if_version``.
            ServiceError, RecordError: as :meth:`look`.
        """
        with named_errors(self._url):
            registry = self._registry()
            source = registry.look(stream).source_or_fault(stream)
            version, replaced = whole_number(asked.get("if_version"), "if_version"), asked.get("replaces")
            made = registry.add(
                stream,
                prompt_of(asked, *source),
                who=who,
                source=source,
                replaced=None if replaced is None else whole_number(replaced, "replaces"),
                if_version=version,
            )
            return _seen_json(registry.look(stream)) | {"made": made.id}

    def remove(self, stream: str, number: int, if_version: str | None, who: str) -> dict[str, Any]:
        """Take a prompt away.

        Raises:
            PromptConflict: it is not there, or the list is another than ``if_version``.
            ServiceError, RecordError: as :meth:`look`.
        """
        version = None if if_version is None else whole_number(if_version, "if_version")
        with named_errors(self._url):
            registry = self._registry()
            registry.remove(stream, number, who=who, if_version=version)
            return _seen_json(registry.look(stream))

    def ask_still(self, stream: str, who: str) -> dict[str, Any]:
        """Ask for a still picture.

        Raises:
            StillRefused: the camera's site allows none, or it does not answer.
            ServiceError, RecordError: as :meth:`look`.
        """
        with named_errors(self._url):
            return {"asked": self._stills().ask(stream, who=who).asked_ms}

    def look_still(self, stream: str, asked_ms: int) -> dict[str, Any]:
        """What became of it.

        Raises:
            StillRefused: there is none, and will be none.
            ServiceError, RecordError: as :meth:`look`.
        """
        with named_errors(self._url):
            seen = self._stills().look(stream, asked_ms)
        if seen.over:
            raise StillRefused(seen.in_words(stream))
        return {"asked": asked_ms, "state": seen.state, "left_s": round(seen.left_s)}

    def still(self, stream: str, asked_ms: int, who: str) -> bytes:
        """The picture; the audit says who looked.

        Raises:
            StillRefused: it is gone, or another's.
            ServiceError, RecordError: as :meth:`look`.
        """
        with named_errors(self._url):
            found = self._stills().picture(stream, asked_ms, who=who)
        if found is None:
            raise StillRefused(StillSeen(EXPIRED).in_words(stream))
        return found.jpeg

    def _stills(self) -> StillRegistry:
        return StillRegistry(self._client, read_install(self._client))

    def _registry(self) -> PromptRegistry:
        return PromptRegistry(self._client, read_install(self._client))


def _seen_json(seen: PromptsSeen) -> dict[str, Any]:
    return {
        "version": seen.version,
        "source": seen.source,
        "stills_per_hour": seen.answers.stills_per_hour if seen.answers else 0,
        "prompts": [
            prompt_json(prompt, seen.state_of(prompt), seen.rate_of(prompt), seen.now_ms) for prompt in seen.prompts
        ],
    }
