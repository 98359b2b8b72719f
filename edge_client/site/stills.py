"""Lets a still picture leave the site, where the site's setting allows it: one for a request, so many an hour.

::

    uplink ─ heard ─► wanted ◄─ show ─ frame loop        uplink ─ command ─► one JPEG, small ─► withdrawn a minute later

The setting is this camera's alone: whatever Redis holds, no more leaves, none larger, none for a request twice.
"""

from __future__ import annotations

import io
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image

from edge_client.stats import Tally
from narrows.contract.records.prompts import PromptAnswers
from narrows.contract.records.still import (
    JPEG_FIELD,
    MAX_STILL_BYTES,
    REQUEST_MS,
    STILL_MS,
    STILL_SIDE,
    Still,
    StillAnswer,
    StillRequest,
    StillState,
    is_ahead,
)
from narrows.contract.wire.keys import PACKET_FIELD

_LOG = structlog.get_logger("edge.site")
_HOUR_S = 3600.0
_AHEAD_MS = 5_000
"""How far this machine's idea of the server's clock may be behind it."""
_LADDER = tuple((side, quality) for side in (STILL_SIDE, 480, 320, 160) for quality in (75, 50, 25))
"""Sides and JPEG qualities, until a picture is small enough."""
Command = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class _Taken:
    asked_ms: int
    picture: NDArray[np.uint8]
    capture_ms: int


class SiteStills:
    """One camera's. The frame loop calls :meth:`show`, the uplink's thread the rest."""

    def __init__(
        self, per_hour: int, tally: Tally | None = None, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        """``per_hour``: what the site allows, 0: none. ``tally`` counts what became of requests."""
        self._per_hour, self._tally, self._monotonic_s = per_hour, tally or Tally(), monotonic_s
        self._heard_ms = 0
        self._wanted: StillRequest | None = None
        self._taken: _Taken | None = None  # of the request that it names, so that two threads need no lock
        self._answer: StillAnswer | None = None
        self._last: StillRequest | None = None
        self._sent_s: deque[float] = deque(maxlen=max(1, per_hour))
        # what the run before left in Redis is withdrawn at the first chance
        self._withdraw_s: float | None = monotonic_s() if per_hour else None

    @property
    def wanted(self) -> bool:
        """Whether the next frame is to be shown here."""
        wanted = self._wanted
        return wanted is not None and not self._answers(wanted)

    def to_tell(self) -> dict[str, Any]:
        """For people on site: how many an hour may leave, and who had the last one when."""
        last = self._last
        return {
            "per_hour": self._per_hour,
            "last": last and {"who": last.who, "asked_ms": last.asked_ms},
        }

    def show(self, picture: NDArray[np.uint8], capture_ms: int) -> None:
        """A frame ``(H, W, 3)`` uint8 RGB, which nobody changes from now on."""
        wanted = self._wanted
        if wanted is not None and not self._answers(wanted):
            self._taken = _Taken(wanted.asked_ms, picture, capture_ms)

    def told(self, answers: PromptAnswers) -> PromptAnswers:
        """The camera's answer with what the site allows, and what became of the request."""
        if not self._per_hour and self._answer is None:
            return answers
        return structs.replace(answers, stills_per_hour=self._per_hour, still=self._answer)

    def heard(self, request: StillRequest | None, now_ms: float) -> None:
        """What is asked for, by the server's clock ``now_ms``. A request counts once, and while it is fresh."""
        if is_ahead(self._heard_ms, now_ms):
            self._heard_ms = 0
        if request is None or request.asked_ms <= self._heard_ms:
            return
        if not now_ms - REQUEST_MS < request.asked_ms <= now_ms + _AHEAD_MS:
            return
        self._heard_ms = request.asked_ms
        if not self._per_hour:
            self._refuse(request, StillState.NOT_ALLOWED)
        elif (wait_s := self._wait_s()) > 0:
            self._refuse(request, StillState.TOO_MANY, math.ceil(wait_s))
        else:
            self._wanted = request

    def due(self, now_ms: float) -> bool:
        """Whether there is something to send: a still, or nothing in the place of one that had its time."""
        request = self._wanted
        if request is not None and now_ms - request.asked_ms > REQUEST_MS:
            request = self._wanted = None  # no frame came in time
        if request is None:
            self._taken = None
        elif self._answers(request):
            return True
        return self._withdraw_s is not None and self._monotonic_s() >= self._withdraw_s

    def command(self, key: str) -> Command:
        """What is due, as Redis takes it. It is tried once: a link that broke under a still is not to break again."""
        request, taken, self._withdraw_s = self._wanted, self._taken, None
        if request is None or taken is None or not self._answers(request):
            return "XADD", key, "MAXLEN", 0, "*", PACKET_FIELD, b""
        self._wanted = self._taken = None
        now_s = self._monotonic_s()
        self._sent_s.append(now_s)
        self._withdraw_s = now_s + STILL_MS / 1000
        height, width = taken.picture.shape[:2]
        jpeg = encoded(taken.picture)
        still = Still(request.asked_ms, width, height, taken.capture_ms)
        self._answer, self._last = StillAnswer(request.asked_ms, StillState.SENT.value), request
        self._tally.still(StillState.SENT.value)
        _LOG.info("still_sent", who=request.who, asked_ms=request.asked_ms, bytes=len(jpeg), width=width)
        return "XADD", key, "MAXLEN", 1, "*", PACKET_FIELD, still.to_json(), JPEG_FIELD, jpeg

    def refused(self) -> None:
        """Redis does not let this camera's user add stills: none is tried until the next start."""
        self._withdraw_s = None
        if self._answer is not None and self._answer.state == StillState.SENT:
            self._refuse(StillRequest(self._answer.asked_ms), StillState.NOT_PERMITTED)

    def _answers(self, request: StillRequest) -> bool:
        """Whether a frame was taken for it."""
        return self._taken is not None and self._taken.asked_ms == request.asked_ms

    def _wait_s(self) -> float:
        """Until the site lets the next one out."""
        if len(self._sent_s) < self._per_hour:
            return 0.0
        return self._sent_s[0] + _HOUR_S - self._monotonic_s()

    def _refuse(self, request: StillRequest, state: StillState, wait_s: int = 0) -> None:
        self._answer = StillAnswer(request.asked_ms, state.value, wait_s)
        self._tally.still(state.value)
        _LOG.warning("still_refused", who=request.who, asked_ms=request.asked_ms, reason=state.value)


def encoded(picture: NDArray[np.uint8]) -> bytes:
    """A picture ``(H, W, 3)`` uint8 RGB as a JPEG of :data:`MAX_STILL_BYTES` at most."""
    image = Image.fromarray(picture)
    for side, quality in _LADDER:
        image.thumbnail((side, side), Image.Resampling.BILINEAR)
        data = io.BytesIO()
        image.save(data, "JPEG", quality=quality)
        if data.tell() <= MAX_STILL_BYTES:
            break
    return data.getvalue()
