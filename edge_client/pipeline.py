"""The life of a frame in the camera's program, top to bottom.

::

    source ──► pacer ──► fit ──► encoder.onnx ─┬► quantise, silence, code ─┬► write ─► outbox ──► uplink ──► Redis
        │        ▲                             └► masks: camera decoder ───┘    ▲         │          │
        └► prompts: the small network on what is pointed at ────────────────────┘         │          │
                 │                                       ▲      └─► local masks           │          │
                 └───────── governor ◄───────────────────┴─── acknowledgements, control record ──────┘
                                                                                          └─► old ones dropped, counted

The main thread encodes; the uplink's thread sends and reads the control record; a live camera has a thread of its own.
Nothing here waits for the cloud: a live frame that the link holds back still becomes a mask on site.
``program.py`` makes the stages, ``frame_loop.py`` calls :meth:`Pipeline.next_frame` until there is no more to send.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import Enum, auto

from edge_client.capture.paced_capture import PacedCapture
from edge_client.capture.sources import CameraFrame
from edge_client.clock import unix_ms
from edge_client.encode.frame_kind import FrameKind
from edge_client.encode.open import Coder, Encoder
from edge_client.encode.sections import SectionedFrame
from edge_client.encode.writing import PacketWriter
from edge_client.frame_numbers import FrameNumbers
from edge_client.masks.stage import NO_MASK, MaskStage
from edge_client.planning.stage import PlanningStage
from edge_client.prompts.stage import PromptStage, StagedObjects
from edge_client.rate.governor import Governor
from edge_client.site.open import Site
from edge_client.site.stills import SiteStills
from edge_client.stats import Tally
from edge_client.transport.outbox import FrameRecord, Outgoing
from edge_client.transport.sender import Sender
from narrows.contract.errors import FrameTooLarge
from narrows.contract.wire.frame_packet import FORMAT

FRAME_TOO_LARGE = "too_large"
"""Why such a frame was dropped, as cameras count it."""


class Step(Enum):
    """What became of the frame that was due."""

    QUEUED = auto()
    HELD_BACK = auto()
    """It was not taken: the link does not keep up."""
    TOO_LARGE = auto()
    """It was taken and no packet has room for it: it is lost, those behind it are not."""
    ENDED = auto()
    """There is none: the source has ended, or the program is to stop."""


@dataclass(frozen=True)
class Pipeline:
    """One camera's stages, in the order in which a frame passes them.

    Attributes:
        numbers: an identity for each frame.
        writer: makes packets of coded frames, which only the cloud can open if there is a key.
        tally: hears of each frame that was encoded.
        masks: where this camera makes masks itself; ``None``: it sends features alone.
        prompts: where it outlines what is pointed at; ``None``: it is not asked.
        site: who on site is shown the picture and what is outlined, and may point at things; ``None``: nobody.
        stills: what is shown a frame where a still picture was asked for, and may leave the site; ``None``: none may.
        objects_alone: what is outlined is all that is sent; encoder and coder then are ``encode/objects_alone.py``'s.
        planning: where it chooses among the designs of a split network; ``None``: there is one, or level is fixed.
    """

    capture: PacedCapture
    encoder: Encoder
    coder: Coder
    writer: PacketWriter
    sender: Sender
    governor: Governor
    numbers: FrameNumbers
    tally: Tally
    masks: MaskStage | None = None
    prompts: PromptStage | None = None
    site: Site | None = None
    stills: SiteStills | None = None
    objects_alone: bool = False
    planning: PlanningStage | None = None

    def next_frame(self) -> Step:
        """Bring one frame from the source to the outbox: when it is due, and if the link keeps up.

        Raises:
            SourceError: nothing of the source can be read.
        """
        if not self.capture.wait_until_due(lambda: self.governor.choose(self.sender.control).frames_per_s):
            return Step.ENDED
        self._plan()
        if not self.sender.keeps_up(self.governor.patience_s) or self._waits_for_format():
            self.governor.held_back()
            self._show_on_site()
            return Step.HELD_BACK
        frame = self.capture.read()
        if frame is None:
            return Step.ENDED
        level = self.governor.choose(self.sender.control).level  # by what was acknowledged meanwhile
        try:
            self.sender.put(self._encoded(frame, level))
        except FrameTooLarge:
            if self.planning is not None:
                self.planning.too_large()
            self.tally.taken(0.0, 0.0)
            self.tally.dropped(FRAME_TOO_LARGE)
            return Step.TOO_LARGE
        return Step.QUEUED

    def _waits_for_format(self) -> bool:
        """Whether there is nothing that may be sent: packet format 1 has no room for objects."""
        waits = self.objects_alone and self.writer.allowed_format < FORMAT
        if waits and self.prompts is not None:
            self.prompts.may_not_send(self.sender.prompts)
        return waits

    def _plan(self) -> None:
        """Choose the design of the next frame, also while frames are held back: the link may be the reason."""
        if self.planning is None:
            return
        reading, waits = self.governor.reading, self.sender.outbox.first_in_line
        planned = self.planning.plan(reading, waits, self.sender.control, self.numbers.upcoming)
        self.governor.plan(planned.cut, planned.level)

    def _show_on_site(self) -> None:
        """Make the mask of a frame that is not coded: those on site see it under the next coded frame's number.

        A folder or a file waits for the link instead.
        """
        masked = self.masks is not None and self.masks.shows_on_site
        if not (masked or self._is_watched()) or not self.capture.live:
            return
        frame = self.capture.read()
        if frame is None:
            return
        self.tally.only_shown()
        if self.masks is not None and masked:
            latent = self.encoder.latent(self.encoder.fit(frame.picture))
            self.masks.show_on_site(latent, self.numbers.upcoming, frame.capture_ms)
        self._outlined(frame)

    def _is_watched(self) -> bool:
        """Whether somebody waits for a picture: on site, or for a still."""
        return (self.site is not None and self.site.view.watched) or (self.stills is not None and self.stills.wanted)

    def _encoded(self, frame: CameraFrame, level: int) -> Outgoing:
        """From a picture to a packet, with what the journal says of it."""
        taken_s = time.monotonic() - max(0, unix_ms() - frame.capture_ms) * 1e-3
        if self.planning is not None:
            self.planning.begins()
        begun_s = time.perf_counter()
        latent = self.encoder.latent(self.encoder.fit(frame.picture))
        network_s = time.perf_counter() - begun_s
        outlined = self._outlined(frame)
        height, width = frame.picture.shape[:2]
        identity, now_s = self.numbers.take(), time.monotonic()
        renewed = self.writer.wants_key(identity, frame.capture_ms, width, height, outlined.objects)
        key_wanted = self.sender.keyframe_wanted(frame.session) or renewed
        if self.objects_alone and (outlined.objects is None or self.writer.packet_format < FORMAT):
            raise FrameTooLarge(f"a picture of {width} x {height}: objects have no room for such coordinates")
        staged = NO_MASK
        if self.masks is not None:
            staged = self.masks.frame(
                latent, identity, frame.capture_ms, network_s, self.writer.packet_format, self.sender.control
            )
        coded = staged.sections or self.coder.packet(
            latent, level, identity, frame.capture_ms, now_s, key_wanted=key_wanted
        )
        written = self.writer.write(coded, begin=key_wanted)
        coder_s = time.perf_counter() - begun_s - network_s - outlined.prompt_s - staged.mask_s
        self.tally.taken(network_s, coder_s, staged.mask_s, outlined.prompt_s)
        device_s = network_s + outlined.prompt_s + staged.mask_s + coder_s
        features = staged.sections is None and not self.objects_alone
        if features and isinstance(coded, SectionedFrame):
            level = coded.layouts[0].level  # a coarser one, where a packet had no room for what was asked for
        self.governor.coded(level, len(written.data), device_s, mask=not features)
        if self.planning is not None:
            self.planning.coded(level, network_s + coder_s, len(written.data), beside_s=outlined.prompt_s)
        record = FrameRecord(
            sequence=identity.sequence,
            epoch=identity.epoch,
            name=frame.name,
            capture_ms=frame.capture_ms,
            size_bytes=len(written.data),
            level=level,
            network_ms=(network_s + outlined.prompt_s + staged.mask_s) * 1e3,
            coder_ms=coder_s * 1e3,
            taken_s=taken_s,
            kind=FrameKind.OBJECTS if self.objects_alone else staged.kind,
        )
        able = self.masks is not None and self.masks.able
        return Outgoing(record, written.data, depends=written.depends, able=able)

    def _outlined(self, frame: CameraFrame) -> StagedObjects:
        """What is pointed at, in the source's pixels: their share of the frame's time is the prompts' own."""
        if self.prompts is None:
            return StagedObjects()
        period_s = 1 / self.governor.choose(self.sender.control).frames_per_s
        asked, now_ms = self.sender.prompts, self.sender.server_ms(unix_ms())
        if self.site is not None:
            asked = self.site.asked(asked)
        staged = self.prompts.frame(frame.picture, self.writer.allowed_format, asked, now_ms, period_s)
        if self.stills is not None:
            self.stills.show(frame.picture, frame.capture_ms)
        if self.site is not None:
            self.site.show(frame.picture, staged.newest, frame.capture_ms)
        return staged
