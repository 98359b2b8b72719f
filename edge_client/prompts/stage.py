"""The stage where what is pointed at is outlined: what the pipeline asks of it, and a camera that has no network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_client.prompts.settings import PromptSettings
from narrows.contract.outputs.objects import Objects
from narrows.contract.records.prompts import PromptAnswers, PromptList, Unable
from narrows.contract.wire.frame_packet import Section, SectionLayout


@dataclass(frozen=True, slots=True)
class ObjectsSection:
    """What of a frame's packet says what was outlined."""

    layout: SectionLayout
    section: Section


@dataclass(frozen=True, slots=True)
class StagedObjects:
    """What became of a frame here.

    Attributes:
        objects: what is sent; ``None`` where nobody points at anything that can be outlined.
        newest: of each thing that is not lost the mask that was made last, of this frame or of one before.
    """

    objects: ObjectsSection | None = None
    prompt_s: float = 0.0
    newest: Objects | None = None


class PromptStage(Protocol):
    """What the pipeline asks of this stage."""

    @property
    def able(self) -> bool:
        """Whether this camera runs prompts at all."""
        ...

    def frame(
        self, picture: NDArray[np.uint8], packet_format: int, asked: PromptList, now_ms: float, period_s: float
    ) -> StagedObjects:
        """Look at some of what is asked for.

        Args:
            picture: the source ``(H, W, 3)`` uint8 RGB, before it was fitted.
            packet_format: that the frame will travel in.
            asked: the newest list.
            now_ms: the Redis server's clock, as well as it is known.
            period_s: of a frame.
        """
        ...

    def may_not_send(self, asked: PromptList) -> None:
        """No frame comes, for none may be sent in packet format 1: there is that to answer."""
        ...

    def answers(self) -> PromptAnswers:
        """What to say of the prompts now; any thread may ask."""
        ...


class NoPrompts:
    """A camera without a network: it says so."""

    able = False

    def __init__(self) -> None:
        self._answers = PromptAnswers(unable=Unable.NO_NETWORK.value)

    def frame(
        self, picture: NDArray[np.uint8], packet_format: int, asked: PromptList, now_ms: float, period_s: float
    ) -> StagedObjects:
        """Nothing is looked at."""
        del packet_format, now_ms, period_s
        height, width = picture.shape[:2]
        if (self._answers.width, self._answers.height, self._answers.version) != (width, height, asked.version):
            self._answers = PromptAnswers(Unable.NO_NETWORK.value, width, height, asked.version)
        return StagedObjects()

    def may_not_send(self, asked: PromptList) -> None:
        """There is no network either."""

    def answers(self) -> PromptAnswers:
        """That there is no network."""
        return self._answers


def open_prompts(settings: PromptSettings) -> PromptStage:
    """The stage of the settings.

    Raises:
        WeightsMismatch: the file is no network of ``narrows promptable export``.
    """
    if settings.network is None:
        return NoPrompts()
    from edge_client.prompts.tracker import PromptTracker  # noqa: PLC0415 -- Pillow, which few cameras need

    return PromptTracker.open(settings.network, settings.share, alone=settings.alone, on_site=settings.on_site)
