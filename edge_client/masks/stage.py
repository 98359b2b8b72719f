"""The stage between encoder and packet where masks are made: whether this frame's is, who gets it, what is sent.

::

    latent ─┬─ choose ── features ──────────────────────────► None: the symbol coder goes on with it
            │     └───── masks ─┐
            └─ make the mask ◄──┴── or it is wanted on site, or is looked at for its size and time
                  ├─► local masks
                  └─► sections of a packet, every so many with the latent (audited)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from edge_client.encode.frame_kind import FrameKind
from edge_client.encode.sections import SectionedFrame
from edge_client.masks.coding import CameraMask, MaskCoder
from edge_client.masks.local import LocalMasks
from edge_client.masks.mode import MaskSettings, SendMode
from edge_client.masks.rule import Reason, SendChooser, Situation, Verdict
from edge_client.rate.governor import Governor
from narrows.contract.wire import Control, FrameIdentity, Sends

_LOG = structlog.get_logger("edge.masks")
LOOK_S = 30.0
"""How often an automatic camera that sends features makes a mask, to know its size and time."""
_GAIN = 0.1


@dataclass(frozen=True, slots=True)
class StagedFrame:
    """What became of a frame here: its sections, if a mask is sent, what it travels as, and the time it took."""

    sections: SectionedFrame | None
    kind: FrameKind = FrameKind.FEATURES
    mask_s: float = 0.0


NO_MASK = StagedFrame(None)


class MaskStage:
    """One camera's masks. Called for each frame, in order."""

    def __init__(
        self,
        settings: MaskSettings,
        coder: MaskCoder,
        governor: Governor,
        outputs: int,
        local: LocalMasks | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        stopwatch_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``outputs``: that the bundle answers with. ``stopwatch_s`` measures what a mask takes this device."""
        self._settings, self._coder, self._governor, self._outputs = settings, coder, governor, outputs
        self._local, self._monotonic_s, self._stopwatch_s = local, monotonic_s, stopwatch_s
        self._chooser = SendChooser()
        self._verdict = Verdict(Sends.FEATURES, Reason.CLOUD)
        self._mask_s = 0.0
        self._looked_s = -math.inf
        self._masks = 0
        self._waits_told = False

    @property
    def verdict(self) -> Verdict:
        """What is sent now, and why."""
        return self._verdict

    @property
    def able(self) -> bool:
        """Whether the cloud may ask this camera for masks: it decides by itself, and its device keeps up."""
        automatic = self._settings.send is SendMode.AUTO
        return automatic and self._verdict.reason not in {Reason.PACKET_FORMAT, Reason.DEVICE}

    @property
    def shows_on_site(self) -> bool:
        """Whether somebody on site is given masks."""
        return self._local is not None

    def show_on_site(self, latent: NDArray[np.float32], identity: FrameIdentity, capture_ms: int) -> None:
        """Make the mask of a frame that is not sent, for those on site alone."""
        if self._local is not None:
            self._local.put(self._make(latent).labels, identity, capture_ms)

    def frame(
        self,
        latent: NDArray[np.float32],
        identity: FrameIdentity,
        capture_ms: int,
        encoder_s: float,
        packet_format: int,
        control: Control | None,
    ) -> StagedFrame:
        """Choose, and make the frame's mask where it is wanted.

        Args:
            latent: the frame's ``(C, h, w)`` float32.
            identity: the frame's.
            capture_ms: when it was taken, Unix milliseconds.
            encoder_s: what the encoder took.
            packet_format: that it will travel in.
            control: the newest control record.
        """
        begun_s = self._stopwatch_s()
        mask = self._make(latent) if self._look_is_due() else None
        self._choose(encoder_s, packet_format, control)
        sent = self._verdict.sends is Sends.MASKS
        if mask is None and (sent or self._local is not None):
            mask = self._make(latent)
        if mask is not None and self._local is not None:
            self._local.put(mask.labels, identity, capture_ms)
        sections, kind = None, FrameKind.FEATURES
        if mask is not None and sent:
            kind = self._next_kind()
            sections = self._coder.frame(mask, identity, capture_ms, audited=kind is FrameKind.AUDIT)
        return StagedFrame(sections, kind, self._stopwatch_s() - begun_s)

    def _next_kind(self) -> FrameKind:
        share = self._settings.audit_share
        self._masks += 1
        return FrameKind.AUDIT if share and self._masks % share == 0 else FrameKind.MASKS

    def _make(self, latent: NDArray[np.float32]) -> CameraMask:
        begun_s = self._stopwatch_s()
        mask = self._coder.make(latent)
        took_s = self._stopwatch_s() - begun_s
        self._mask_s += (_GAIN if self._mask_s else 1.0) * (took_s - self._mask_s)
        self._governor.mask_made(len(mask.payload))
        self._looked_s = self._monotonic_s()
        return mask

    def _look_is_due(self) -> bool:
        return self._settings.send is SendMode.AUTO and self._monotonic_s() - self._looked_s >= LOOK_S

    def _choose(self, encoder_s: float, packet_format: int, control: Control | None) -> None:
        before = self._verdict
        match self._settings.send:
            case SendMode.FEATURES | SendMode.OBJECTS:
                return
            case SendMode.MASKS:
                self._verdict = self._as_told(packet_format)
            case SendMode.AUTO:
                needs = self._governor.needs(control)
                situation = Situation(
                    packet_format=packet_format,
                    asked=None if control is None else control.send,
                    outputs=self._outputs,
                    frames_per_s=needs.frames_per_s,
                    device_s=encoder_s + self._mask_s,
                    link_bytes_per_s=needs.carries_bytes_per_s,
                    features_bytes=needs.features_bytes,
                    mask_bytes=needs.mask_bytes,
                )
                self._verdict = self._chooser.choose(situation, self._monotonic_s())
        if self._verdict.sends is not before.sends:
            _LOG.info("send_changed", sends=self._verdict.sends.value, reason=self._verdict.reason.value)

    def _as_told(self, packet_format: int) -> Verdict:
        if packet_format >= 2:
            return Verdict(Sends.MASKS, Reason.TOLD)
        if not self._waits_told:
            self._waits_told = True
            _LOG.warning(
                "masks_wait_for_packet_format",
                consequence="features are sent until then",
                remedy="say `narrows streams packet-format 2` once every dispatcher reads it",
            )
        return Verdict(Sends.FEATURES, Reason.PACKET_FORMAT)
