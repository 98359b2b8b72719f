"""What a camera is asked to outline, and what it answers: two records a stream.

::

    operator ── narrows:{S}:prompts:STREAM ──────► camera      a list with a version, changed by compare-and-set
    operator ◄── narrows:{S}:prompt_state:STREAM ── camera      one entry: what became of each prompt
    operator ◄── narrows:{S}:still:STREAM ───────── camera      one entry: a picture to point at, see :mod:`.still`

Coordinates are pixels of the source picture, as the camera filmed it before it was fitted to its network.

Things are pointed at on the camera's own site as well (``narrows edge --site-page``), also while the link is away. Such
prompts are the camera's: its answer tells of them, no list holds them. So neither side ever overwrites the other, and
both see the same in the end, in whichever order they hear of each other:

- both sides' prompts are looked for; the ids of one are never the other's;
- a prompt that either side took away is gone: each names those of the other that it took away, by id and version;
- where both have more than 16 together, the list's have their places, then the camera's, oldest first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from narrows.contract.outputs.objects import MAX_SOURCE_SIDE, MOST_PROMPTS
from narrows.contract.records.still import MAX_WHO_CHARACTERS, MOST_STILLS_PER_HOUR, StillAnswer, StillRequest
from narrows.contract.wire.record import PerSecond, Record, UnixMs

MOST_POINTS = 16
"""Of one prompt. People place a handful; a bound keeps a record small."""
MAX_PROMPTS_BYTES = 1 << 15
MAX_VERSION = (1 << 32) - 1
_Coordinate = Annotated[float, Meta(ge=-1e6, le=1e6)]
_Side = Annotated[int, Meta(ge=1, le=MAX_SOURCE_SIDE)]
_Version = Annotated[int, Meta(ge=0, le=MAX_VERSION)]
_Name = Annotated[str, Meta(pattern=r"^[a-z_]{0,32}\Z")]
PromptId = Annotated[int, Meta(ge=1, le=0xFFFF)]


FIRST_SITE_ID = MOST_PROMPTS + 1
"""Prompts of the list have the ids below, those that were made on the camera's site this one and those behind it."""


class PromptRef(Struct, frozen=True, array_like=True):
    """Which prompt, and which of those that had its id."""

    id: PromptId
    version: _Version


class SourceBox(Struct, frozen=True, array_like=True):
    """A rectangle: its top left corner and its sides."""

    x: _Coordinate
    y: _Coordinate
    width: _Coordinate
    height: _Coordinate


class SourcePoint(Struct, frozen=True, array_like=True):
    """A place on the thing, or beside it."""

    x: _Coordinate
    y: _Coordinate
    positive: bool = True


class SourcePrompt(Struct, frozen=True, omit_defaults=True):
    """One thing to outline.

    Attributes:
        id: which it is, unique in its list; the smallest that was free.
        version: the list's when the prompt was set: an id that is used again is another prompt.
        width, height: the source picture that it was made for.
        expires_ms: the Redis server's clock; from then on it is no prompt.
        who: who set it.
        box, points: what points at the thing; at least one of them.
    """

    id: PromptId
    version: _Version
    width: _Side
    height: _Side
    expires_ms: UnixMs
    who: Annotated[str, Meta(max_length=MAX_WHO_CHARACTERS)] = ""
    box: SourceBox | None = None
    points: Annotated[tuple[SourcePoint, ...], Meta(max_length=MOST_POINTS)] = ()


class PromptList(Record, frozen=True, omit_defaults=True, tag_field="v", tag=1):
    """All prompts of a camera, each with an id of its own.

    ``version`` grows with each change, also over a list that was gone meanwhile. ``removed``: of those that were made
    on the camera's site, the ones that are not wanted. ``still``: the still picture that an operator asked for last,
    which is no change of the list.
    """

    what: ClassVar[str] = "a list of prompts"
    most_bytes: ClassVar[int] = MAX_PROMPTS_BYTES

    version: _Version = 0
    prompts: Annotated[tuple[SourcePrompt, ...], Meta(max_length=MOST_PROMPTS)] = ()
    removed: Annotated[tuple[PromptRef, ...], Meta(max_length=MOST_PROMPTS)] = ()
    still: StillRequest | None = None

    def __post_init__(self) -> None:
        """Refuse an id that is there twice, which the objects of a frame cannot have.

        Raises:
            ValueError: one is; of bytes that are parsed a ``RecordError``.
        """
        ids = [prompt.id for prompt in self.prompts]
        for each in ids:
            if ids.count(each) > 1:
                raise ValueError(f"prompt {each} is there twice")

    def at(self, now_ms: float) -> tuple[SourcePrompt, ...]:
        """Those that have not expired."""
        return tuple(prompt for prompt in self.prompts if now_ms < prompt.expires_ms)


class PromptState(StrEnum):
    """What became of a prompt at its camera."""

    WAITING = "waiting"
    """It was not looked at yet."""
    TRACKING = "tracking"
    LOST = "lost"
    """The mask is gone, or became another thing's; it is looked for where it was last."""
    SOURCE_CHANGED = "source_changed"
    """The camera's picture has another size than the one that the prompt was made for."""
    INVALID = "invalid"
    """It points at nothing in the camera's picture."""


REMOVED_ON_SITE, NO_ROOM = "removed_on_site", "no_room"
"""What readers conclude: somebody on the camera's site took a prompt of the list away; a prompt that was made there has
no place, for there are 16 with those of the list."""


class Unable(StrEnum):
    """Why a camera runs no prompt at all."""

    NO_NETWORK = "no_network"
    """It was started without ``--prompts``."""
    PACKET_FORMAT = "packet_format"
    """It may not send packet format 2, which alone carries object masks."""
    SOURCE_TOO_LARGE = "source_too_large"
    """A side of its picture is beyond :data:`MAX_SOURCE_SIDE`."""


class PromptAnswer(Struct, frozen=True, omit_defaults=True):
    """What a camera says of one prompt.

    Attributes:
        state: a :class:`PromptState`; later releases may know others.
        frames_per_s: how often it was looked at lately.
    """

    id: PromptId
    version: _Version
    state: _Name
    frames_per_s: PerSecond = 0.0


class PromptAnswers(Record, frozen=True, omit_defaults=True, tag_field="v", tag=1):
    """What a camera says of its prompts, when something changed and every few seconds.

    Attributes:
        unable: why it runs none, an :class:`Unable`; empty: it runs them.
        width, height: of its source picture; 0: it has seen none.
        version: of the list that it answers.
        site: prompts that were made on its site.
        removed: prompts of the list that were taken away there.
        stills_per_hour: how many still pictures its site lets out; 0: none.
        still: what became of the one that was asked for last.
    """

    what: ClassVar[str] = "a camera's answer to its prompts"
    most_bytes: ClassVar[int] = MAX_PROMPTS_BYTES

    unable: _Name = ""
    width: Annotated[int, Meta(ge=0, le=1 << 20)] = 0
    height: Annotated[int, Meta(ge=0, le=1 << 20)] = 0
    version: _Version = 0
    prompts: Annotated[tuple[PromptAnswer, ...], Meta(max_length=MOST_PROMPTS)] = ()
    site: Annotated[tuple[SourcePrompt, ...], Meta(max_length=MOST_PROMPTS)] = ()
    removed: Annotated[tuple[PromptRef, ...], Meta(max_length=MOST_PROMPTS)] = ()
    stills_per_hour: Annotated[int, Meta(ge=0, le=MOST_STILLS_PER_HOUR)] = 0
    still: StillAnswer | None = None
