"""What to send, of ways that were measured: the rule of automatic cameras, then the best way that fits the link.

Where that rule would send features although link and device carry the camera's own mask, they must have been measured
to be worth it (:mod:`narrows.ops.advise.frontier`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_client.masks.rule import BUSY_SHARE, Reason, Situation, decide
from narrows.contract.wire import Sends
from narrows.ops.advise.measure import Way

FORMAT = 2
"""Advice assumes that dispatchers read it: `narrows streams packet-format 2`."""


class Margin(StrEnum):
    """What the frontier says where features and masks would both do."""

    MASK_UNBEATEN = "mask_unbeaten"
    FEATURES_AHEAD = "features_ahead"


@dataclass(frozen=True, slots=True)
class Need:
    """What is wanted of a camera.

    Attributes:
        frames_per_s: that it should send.
        link_bytes_per_s: that its uplink carries; infinite where that does not matter.
        outputs: that the cloud answers with, the label map included.
    """

    frames_per_s: float
    link_bytes_per_s: float
    outputs: int

    def fits(self, way: Way) -> bool:
        """Whether device and link keep up with it."""
        return self.keeps_up(way) and way.frame_bytes * self.frames_per_s <= self.link_bytes_per_s

    def keeps_up(self, way: Way) -> bool:
        """Whether the device does."""
        return way.device_s * self.frames_per_s <= BUSY_SHARE


@dataclass(frozen=True, slots=True)
class Advice:
    """The way to choose, why, and whether it fits: where nothing does, it is the one that takes least of what lacks."""

    way: Way
    reason: Reason | Margin
    fits: bool


def advise(ways: Sequence[Way], need: Need, measured: Sends = Sends.MASKS) -> Advice:
    """The advice for a need.

    Args:
        ways: in the order of their quality, features first, as they are measured.
        need: what is wanted.
        measured: what the frontier says of this camera's budget; masks where it says nothing.

    Example:
        A link that does not carry features at the finest level, one output: masks, at the finest size that fits.

    Raises:
        ValueError: no ways.
    """
    if not ways:
        raise ValueError("no way was measured")
    features = [way for way in ways if way.sends is Sends.FEATURES]
    masks = [way for way in ways if way.sends is Sends.MASKS]
    if not masks:
        return _best(features, need, Reason.CLOUD)
    situation = Situation(
        packet_format=FORMAT,
        asked=None,
        outputs=need.outputs,
        frames_per_s=need.frames_per_s,
        device_s=masks[0].device_s,
        link_bytes_per_s=need.link_bytes_per_s,
        features_bytes=features[0].frame_bytes,
        mask_bytes=masks[0].frame_bytes,
    )
    verdict = decide(situation, Sends.MASKS)
    if verdict.reason is Reason.CLOUD:
        if measured is Sends.FEATURES:
            return _best(features, need, Margin.FEATURES_AHEAD)
        return _best(masks, need, Margin.MASK_UNBEATEN)
    return _best(masks if verdict.sends is Sends.MASKS else features, need, verdict.reason)


def _best(ways: Sequence[Way], need: Need, reason: Reason | Margin) -> Advice:
    for way in ways:
        if need.fits(way):
            return Advice(way, reason, fits=True)
    keeping_up = [way for way in ways if need.keeps_up(way)]
    least = min(keeping_up, key=lambda way: way.frame_bytes) if keeping_up else min(ways, key=lambda way: way.device_s)
    return Advice(least, reason, fits=False)
