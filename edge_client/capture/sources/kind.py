"""What a kind of source declares of itself; how it is matched, shown and documented derives from that."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_client.capture.sources.base import CameraSource, Feed
from narrows.runtime.surroundings import expanded

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceKind:
    """One kind of source; a module of ``kinds/`` declares it as ``KIND``.

    Attributes:
        matches: whether a ``--source`` value means this kind. No value means two kinds.
        example: such a value, for ``--help`` and for the error that no kind matches.
        documented: the values in the words of ``docs/edge.md``, Markdown.
        taken: what is taken of it, in the same table.
        is_fallback: it is asked only where no other kind matches.
    """

    matches: Callable[[str], bool]
    example: str
    documented: str
    taken: str
    is_fallback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKind(SourceKind):
    """A camera: it gives pictures whether they are wanted or not, and the newest is taken.

    Attributes:
        feed: makes a feed of the value and of the frame rate that is wanted of it.
    """

    feed: Callable[[str, float], Feed]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKind(SourceKind):
    """Something stored: every picture is taken, and it has an end.

    Attributes:
        opened: opens the value; ``True`` begins anew at its end.
    """

    opened: Callable[[str, bool], CameraSource]


def scheme_of(text: str) -> str | None:
    """The scheme of a URL, in lower case; ``None``: the text is none."""
    found = _URL.match(text)
    return None if found is None else found[1].lower()


def path_of(text: str) -> Path:
    """The path that a value means: a ``file://`` URL's, or the value itself, ``~`` expanded."""
    if scheme_of(text) == "file":
        return Path(urllib.parse.unquote(urllib.parse.urlsplit(text).path))
    return expanded(text)
