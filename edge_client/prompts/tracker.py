"""Runs the small network on prompts in turn, as many a frame as their share of it allows.

::

    list of prompts ─► tracks ─ in turn ─► small network on each one's window ─► objects section of the packet
                          └──────────────────────────────────────────────────► answers: state and rate of each
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from edge_client.prompts.stage import ObjectsSection, StagedObjects
from edge_client.prompts.tracking import Seen, follow, next_prompt
from narrows.contract.errors import PromptInvalid, WeightsMismatch
from narrows.contract.outputs.objects import MAX_MASK_SIDE, MAX_SOURCE_SIDE, ObjectMask
from narrows.contract.outputs.objects import Objects as Outlined
from narrows.contract.records.prompts import (
    PromptAnswer,
    PromptAnswers,
    PromptList,
    PromptState,
    SourcePrompt,
    Unable,
)
from narrows.contract.wire.frame_packet import Objects, Section, SectionLayout
from narrows.contract.wire.frame_packet.section import DIGEST_BITS
from narrows.runtime.prompting import Prompt
from narrows.runtime.prompting.segmenter import PromptSegmenter

_GAIN = 0.2
_RATE_LOOKS, _RATE_S = 16, 10.0
"""A prompt's rate is of its last looks, and 0 if the last was longer ago."""


@dataclass
class _Track:
    """One prompt, as far as it was followed."""

    record: SourcePrompt
    prompt: Prompt
    state: PromptState = PromptState.WAITING
    seen: Seen | None = None
    newest: ObjectMask | None = None
    looks_s: deque[float] = field(default_factory=lambda: deque(maxlen=_RATE_LOOKS))

    def rate(self, now_s: float) -> float:
        """Looks a second."""
        if len(self.looks_s) < 2 or now_s - self.looks_s[-1] > _RATE_S:
            return 0.0
        return (len(self.looks_s) - 1) / max(1e-3, self.looks_s[-1] - self.looks_s[0])


class PromptTracker:
    """Runs the small network on what is pointed at. Called for each frame, in order."""

    able = True

    def __init__(
        self,
        segmenter: PromptSegmenter,
        network: int,
        share: float,
        monotonic_s: Callable[[], float] = time.monotonic,
        *,
        alone: bool = False,
        on_site: bool = False,
    ) -> None:
        """``network``: the id of its file; ``share``: of a frame's period, for all prompts together.

        ``alone``: nothing else is sent, so a frame in which nothing is looked at has objects too: none. ``on_site``:
        somebody on site looks on, also while no objects may be sent.

        Raises:
            WeightsMismatch: the network's crop is larger than a packet's masks.
        """
        if segmenter.size > MAX_MASK_SIDE:
            raise WeightsMismatch(f"a network of {segmenter.size} pixels: an object's mask has at most {MAX_MASK_SIDE}")
        self._segmenter, self._share, self._monotonic_s = segmenter, share, monotonic_s
        self._alone, self._on_site = alone, on_site
        self._layout = SectionLayout(Objects(network))
        self._tracks: dict[tuple[int, int], _Track] = {}
        self._turn: deque[tuple[int, int]] = deque()
        self._look_s = 0.0
        self._answers = PromptAnswers()

    @classmethod
    def open(cls, network: Path, share: float, *, alone: bool = False, on_site: bool = False) -> Self:
        """Of a network's file.

        Raises:
            WeightsMismatch: it is no network of ``narrows promptable export``.
        """
        segmenter = PromptSegmenter.open(network)
        digest = hashlib.sha256(network.read_bytes()).digest()
        return cls(segmenter, int.from_bytes(digest[:8], "big"), share, alone=alone, on_site=on_site)

    def answers(self) -> PromptAnswers:
        """What became of each prompt."""
        return self._answers

    def may_not_send(self, asked: PromptList) -> None:
        """No frame comes, for none may be sent in packet format 1; how large pictures are stays as it was seen."""
        said = self._answers
        if (said.unable, said.version) != (Unable.PACKET_FORMAT, asked.version):
            self._answers = structs.replace(said, unable=Unable.PACKET_FORMAT.value, version=asked.version)

    def frame(
        self, picture: NDArray[np.uint8], packet_format: int, asked: PromptList, now_ms: float, period_s: float
    ) -> StagedObjects:
        """Look at what is next, until the prompts' share of the frame is used up; at one at least."""
        begun_s = self._monotonic_s()
        height, width = picture.shape[:2]
        unable = _unable(packet_format, width, height)
        self._take_up(asked.at(now_ms), width, height)
        looks = not unable or (self._on_site and unable == Unable.PACKET_FORMAT)
        masks = self._look_in_turn(picture, begun_s, self._share * period_s) if looks else []
        objects = self._coded(masks, width, height) if not unable and (masks or self._alone) else None
        self._tell(unable, width, height, asked.version)
        return StagedObjects(objects, self._monotonic_s() - begun_s, self._newest(width, height) if looks else None)

    def _coded(self, masks: Sequence[ObjectMask], width: int, height: int) -> ObjectsSection:
        outlined = Outlined(width, height, self._segmenter.size, tuple(masks))
        digest = outlined.digest() & ((1 << DIGEST_BITS) - 1)
        return ObjectsSection(self._layout, Section(digest, outlined.to_bytes()))

    def _newest(self, width: int, height: int) -> Outlined:
        masks = (self._tracks[key].newest for key in self._turn)
        found = tuple(mask for mask in masks if mask is not None and mask.mask is not None)
        return Outlined(width, height, self._segmenter.size, found)

    def _take_up(self, prompts: tuple[SourcePrompt, ...], width: int, height: int) -> None:
        """Follow what is new, and leave what is no longer asked for."""
        wanted = {(prompt.id, prompt.version): prompt for prompt in prompts}
        for gone in self._tracks.keys() - wanted.keys():
            del self._tracks[gone]
        for key, record in wanted.items():
            track = self._tracks.setdefault(key, _Track(record, Prompt.of_record(record)))
            state = _impossible(track, width, height)
            if state is not None:
                track.state, track.seen, track.newest = state, None, None
            elif track.state in (PromptState.SOURCE_CHANGED, PromptState.INVALID):
                track.state = PromptState.WAITING
        runnable = {key for key, track in self._tracks.items() if _runs(track)}
        kept = [key for key in self._turn if key in runnable]
        self._turn = deque([*kept, *(key for key in self._tracks if key in runnable - set(kept))])

    def _look_in_turn(self, picture: NDArray[np.uint8], begun_s: float, budget_s: float) -> list[ObjectMask]:
        masks: list[ObjectMask] = []
        for _ in range(len(self._turn)):
            look_begun_s = self._monotonic_s()
            if masks and look_begun_s - begun_s + self._look_s > budget_s:
                break
            masks.append(self._look(picture, self._tracks[self._turn[0]]))
            self._turn.rotate(-1)
            took_s = self._monotonic_s() - look_begun_s
            self._look_s += (_GAIN if self._look_s else 1.0) * (took_s - self._look_s)
        return masks

    def _look(self, picture: NDArray[np.uint8], track: _Track) -> ObjectMask:
        height, width = picture.shape[:2]
        look = self._segmenter.look(picture, next_prompt(track.prompt, track.seen), whole_pixels=True)
        outline = follow(track.seen, look, width, height)
        track.seen = outline.seen
        track.state = PromptState.LOST if outline.mask is None else PromptState.TRACKING
        track.looks_s.append(self._monotonic_s())
        window = outline.window
        track.newest = ObjectMask(
            track.record.id, track.record.version, int(window.x), int(window.y), int(window.side), outline.mask
        )
        return track.newest

    def _tell(self, unable: str, width: int, height: int, version: int) -> None:
        now_s = self._monotonic_s()
        answers = tuple(
            PromptAnswer(number, made, track.state.value, round(track.rate(now_s), 1))
            for (number, made), track in sorted(self._tracks.items())
        )
        self._answers = PromptAnswers(unable, width, height, version, answers)


def _unable(packet_format: int, width: int, height: int) -> str:
    if max(width, height) > MAX_SOURCE_SIDE:
        return Unable.SOURCE_TOO_LARGE.value
    return Unable.PACKET_FORMAT.value if packet_format == 1 else ""


def _impossible(track: _Track, width: int, height: int) -> PromptState | None:
    """Why a prompt cannot be looked for in a picture of this size."""
    if (track.record.width, track.record.height) != (width, height):
        return PromptState.SOURCE_CHANGED
    try:
        track.prompt.check(width, height)
    except PromptInvalid:
        return PromptState.INVALID
    return None


def _runs(track: _Track) -> bool:
    return track.state not in (PromptState.SOURCE_CHANGED, PromptState.INVALID)
