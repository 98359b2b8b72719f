"""Which source a ``--source`` value means: the kinds are the files of ``kinds/``."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from threading import Event

from edge_client.capture.sources import kinds
from edge_client.capture.sources.base import CameraSource
from edge_client.capture.sources.kind import LiveKind, SourceKind, StoredKind
from edge_client.capture.sources.live import LiveCamera
from edge_client.clock import unix_ms
from narrows.contract.errors import SourceError
from narrows.runtime.redact import redact

FRAMES_PER_S = 10.0


def _found() -> tuple[SourceKind, ...]:
    """Every kind, by the names of their files; those that match what no other does come last."""
    names = sorted(each.name for each in pkgutil.iter_modules(kinds.__path__, f"{kinds.__name__}."))
    found: list[SourceKind] = [import_module(name).KIND for name in names]
    return tuple(sorted(found, key=lambda kind: kind.is_fallback))


KINDS = _found()


def kind_of(text: str) -> SourceKind | None:
    """The kind that a ``--source`` value means, if any."""
    return next((kind for kind in KINDS if kind.matches(text)), None)


def is_live(text: str) -> bool:
    """Whether a ``--source`` value means a camera, not something stored."""
    return isinstance(kind_of(text), LiveKind)


def examples() -> str:
    """A value of each kind, for people."""
    *before, last = (kind.example for kind in KINDS)
    return f"{', '.join(before)}, or {last}"


def table() -> str:
    """The kinds as a table in Markdown: that of ``docs/edge.md``."""
    rows = (f"| {kind.documented} | {kind.taken} |" for kind in KINDS)
    return "\n".join(("| `--source` | what is taken |", "|---|---|", *rows, ""))


def open_source(
    text: str,
    *,
    loop: bool,
    stop: Event,
    waiting: Callable[[], None] | None = None,
    frames_per_s: float = FRAMES_PER_S,
) -> CameraSource:
    """Open what a ``--source`` value means, such as a folder of pictures, ``/dev/video0`` or ``rtsp://...``.

    Args:
        text: the value.
        loop: begins stored sources anew at their end.
        stop: ends the wait for a live frame.
        waiting: called meanwhile.
        frames_per_s: how often what must be asked for its pictures is asked.

    Raises:
        SourceError: there is no such source, or it cannot be read; the message says what is.
    """
    match kind_of(text):
        case LiveKind(feed=feed):
            return LiveCamera(feed(text, frames_per_s), stop, unix_ms, waiting)
        case StoredKind(opened=opened):
            return opened(text, loop)
    raise SourceError(f"--source {redact(text)!r} is not there: give {examples()}")
