"""What the demo is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from narrows.contract.records.frame_journal import FEATURES

REALTIME_STALE_MS = 2000
"""Two shared cores do encoding, serving and showing at once: an endless demo is patient with them."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """How to run the demo.

    Attributes:
        frames: frames each stream sends before the demo ends by itself; ``None`` plays until Ctrl-C.
        streams: how many cameras to play.
        frames_per_s: each camera's frame rate.
        headless: no live table, plain lines instead.
        report: where to write the report.
        bundle, samples: a bundle's folder, and a labelled folder (see :mod:`narrows.models.dataset`) to play.
        out: overlays, and while it runs the logs and data of the stack.
        send: what cameras send, as ``narrows edge --send``.
        drain_s: once the cameras have stopped, frames that wait are given up when none has ended for so long.
    """

    frames: int | None = None
    streams: int = 2
    frames_per_s: float = 5.0
    headless: bool = False
    report: Path | None = None
    bundle: Path = Path("bundles/demo")
    samples: Path = Path("samples")
    out: Path = Path("runs/demo")
    drain_s: float = 30.0
    send: str = FEATURES

    @property
    def stream_ids(self) -> tuple[str, ...]:
        """``cam-1``, ``cam-2``, ..."""
        return tuple(f"cam-{number}" for number in range(1, self.streams + 1))

    @property
    def frames_in_all(self) -> int | None:
        """What all streams send together; ``None`` until Ctrl-C."""
        return None if self.frames is None else self.frames * self.streams
