"""What an automatic camera sends: the rule, and the hysteresis around it. ``docs/what-to-send.md`` tells why.

The first of these that holds decides:

==================  ============  ================================================================================
reason              sends         when
==================  ============  ================================================================================
``packet_format``   features      a dispatcher of the install may not read packet format 2
``device``          features      encoder and camera decoder together take most of a frame's period
``asked``           as asked      the control record says so: an overloaded cloud asks for masks
``outputs``         features      the bundle answers with more than the label map, which is all that a camera makes
``link``            masks         the link does not carry features at the camera's own level, and masks are smaller
``cloud``           features      else: a question more is answered without touching the camera
==================  ============  ================================================================================

What the link carries and what this device can do waver, so ``device`` and ``link`` have a margin in which what was sent
before goes on, and ``link`` and ``cloud`` must hold for :data:`HOLD_S` before they change anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from narrows.contract.wire import Sends

BUSY_SHARE, IDLE_SHARE = 0.9, 0.75
"""Of a frame's period: above the first masks are given up, below the second they may begin."""
LINK_MARGIN = 1.25
"""Features begin again on a link that carries so many times what they take."""
HOLD_S = 5.0
LONGEST_HOLD_S = 80.0
_SOON_S = 30.0


class Reason(StrEnum):
    """Why; see the table above."""

    TOLD = "told"
    """By the operator: no rule was asked."""
    PACKET_FORMAT = "packet_format"
    DEVICE = "device"
    ASKED = "asked"
    OUTPUTS = "outputs"
    LINK = "link"
    CLOUD = "cloud"


class Verdict(NamedTuple):
    """What to send, and why."""

    sends: Sends
    reason: Reason


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the rule looks at.

    Attributes:
        packet_format: the newest that may be sent.
        asked: by the control record.
        outputs: that the bundle answers with.
        frames_per_s: to be sent.
        device_s: encoder, camera decoder and coders, a frame.
        link_bytes_per_s: what the link carries; infinite before it is known.
        features_bytes, mask_bytes: of a frame on the link: at the camera's own level, and as a mask.
    """

    packet_format: int
    asked: Sends | None
    outputs: int
    frames_per_s: float
    device_s: float
    link_bytes_per_s: float
    features_bytes: float
    mask_bytes: float


def decide(situation: Situation, now: Sends) -> Verdict:
    """What the rule says, where ``now`` is sent."""
    masks_now = now is Sends.MASKS
    if situation.packet_format < 2:
        return Verdict(Sends.FEATURES, Reason.PACKET_FORMAT)
    if situation.device_s * situation.frames_per_s > (BUSY_SHARE if masks_now else IDLE_SHARE):
        return Verdict(Sends.FEATURES, Reason.DEVICE)
    if situation.asked is not None:
        return Verdict(situation.asked, Reason.ASKED)
    if situation.outputs > 1:
        return Verdict(Sends.FEATURES, Reason.OUTPUTS)
    needed = situation.frames_per_s * situation.features_bytes * (LINK_MARGIN if masks_now else 1.0)
    if needed > situation.link_bytes_per_s and situation.mask_bytes < situation.features_bytes:
        return Verdict(Sends.MASKS, Reason.LINK)
    return Verdict(Sends.FEATURES, Reason.CLOUD)


class SendChooser:
    """The rule with its memory: what the link says must hold for a while, longer where it was soon taken back."""

    def __init__(self) -> None:
        self.now = Verdict(Sends.FEATURES, Reason.CLOUD)
        self._hold_s = HOLD_S
        self._other_since_s: float | None = None
        self._changed_s = -math.inf

    def choose(self, situation: Situation, now_s: float) -> Verdict:
        """What to send, by a clock that does not jump. Ask before each frame."""
        verdict = decide(situation, self.now.sends)
        if verdict.sends is self.now.sends:
            self.now, self._other_since_s = verdict, None
        elif verdict.reason not in {Reason.LINK, Reason.CLOUD}:
            self._change(verdict, now_s)
        elif self._other_since_s is None:
            self._other_since_s = now_s
        elif now_s - self._other_since_s >= self._hold_s:
            soon = now_s - self._changed_s < _SOON_S + self._hold_s
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S) if soon else HOLD_S
            self._change(verdict, now_s)
        return self.now

    def _change(self, verdict: Verdict, now_s: float) -> None:
        self.now, self._other_since_s, self._changed_s = verdict, None, now_s
