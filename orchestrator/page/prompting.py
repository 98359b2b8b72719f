"""Pointing at things from the page: the prompts of a stream as JSON, and an operator's changes of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from narrows.client.registry import PromptRegistry, PromptsSeen
from narrows.contract.errors import PromptInvalid
from narrows.contract.records.prompts import SourcePrompt
from narrows.runtime.prompting import Box, Point, Prompt
from narrows.runtime.redis import connect, named_errors, read_install

WHO = "page operator"
"""In the audit: the token is one for all operators, so the page cannot tell them apart."""


class Prompting:
    """The page's prompt registry, over a connection of its own: its user writes prompts, the page's may not. Blocks."""

    def __init__(self, url: str) -> None:
        self._url, self._lock = url, threading.Lock()
        self._client = connect(url)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def look(self, stream: str) -> dict[str, Any]:
        """A stream's prompts.

        Raises:
            ServiceError: Redis is away or refuses.
            RecordError: what is stored cannot be read.
        """
        with self._lock, named_errors(self._url):
            return _seen_json(self._registry().look(stream))

    def add(self, stream: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A prompt of ``box`` (left, top, width, height) or ``points`` (x, y), in shares of the picture's sides.

        Raises:
            PromptInvalid: it is none, or the camera has not said how large its pictures are.
            PromptConflict: the list is another than ``if_version``.
            ServiceError, RecordError: as :meth:`look`.
        """
        with self._lock, named_errors(self._url):
            registry = self._registry()
            source = registry.look(stream).source
            if source is None:
                raise PromptInvalid(f"{stream} has not said how large its pictures are: is its camera started?")
            version = _whole(asked.get("if_version"))
            registry.add(stream, _prompt(asked, *source), who=WHO, source=source, if_version=version)
            return _seen_json(registry.look(stream))

    def remove(self, stream: str, number: int, if_version: str | None) -> dict[str, Any]:
        """Take a prompt away.

        Raises:
            PromptConflict: it is not there, or the list is another than ``if_version``.
            ServiceError, RecordError: as :meth:`look`.
        """
        version = None if if_version is None else _whole(if_version)
        with self._lock, named_errors(self._url):
            registry = self._registry()
            registry.remove(stream, number, who=WHO, if_version=version)
            return _seen_json(registry.look(stream))

    def _registry(self) -> PromptRegistry:
        return PromptRegistry(self._client, read_install(self._client))


def _prompt(asked: Mapping[str, Any], width: int, height: int) -> Prompt:
    try:
        if "box" in asked:
            x, y, wide, high = map(float, asked["box"])
            return Prompt(Box(x * width, y * height, wide * width, high * height))
        return Prompt(points=tuple(Point(float(x) * width, float(y) * height) for x, y in asked["points"]))
    except (KeyError, TypeError, ValueError):
        raise PromptInvalid("a prompt is a box of four shares of the picture's sides, or points of two") from None


def _whole(given: object) -> int:
    try:
        return int(str(given))
    except ValueError:
        raise PromptInvalid("if_version is the version of the list that was seen") from None


def _seen_json(seen: PromptsSeen) -> dict[str, Any]:
    return {
        "version": seen.version,
        "source": seen.source,
        "prompts": [_prompt_json(prompt, seen) for prompt in seen.prompts],
    }


def _prompt_json(prompt: SourcePrompt, seen: PromptsSeen) -> dict[str, Any]:
    return {
        "id": prompt.id,
        "state": seen.state_of(prompt),
        "frames_per_s": seen.rate_of(prompt),
        "who": prompt.who,
        "expires_s": max(0, (prompt.expires_ms - seen.now_ms) // 1000),
    }
