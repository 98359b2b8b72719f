"""Asking a camera for a still picture to point at things in, where its site allows it; the audit says who and when."""

from __future__ import annotations

import io
from dataclasses import dataclass

import redis
from msgspec import structs
from PIL import Image

from narrows.client.registry.audit import StillEvent, write_still_audit
from narrows.client.registry.camera_entry import newest_entry
from narrows.client.registry.prompts import PromptRegistry, PromptsSeen, ends_ms, now_ms_of, parsed
from narrows.contract.errors import RecordError, StillRefused
from narrows.contract.records.still import (
    JPEG_FIELD,
    MAX_STILL_BYTES,
    MAX_WHO_CHARACTERS,
    REQUEST_MS,
    STILL_MS,
    STILL_SIDE,
    Still,
    StillAnswer,
    StillRequest,
    StillState,
    is_ahead,
)
from narrows.contract.wire import Install, StreamKeys
from narrows.contract.wire.keys import PACKET_FIELD

WAITING, EXPIRED = "waiting", "expired"
_JOINED_MS = 10_000
"""Who asks while another's request is so young waits for the same picture: a second would take the first's place."""
_WORDS = {
    EXPIRED: "none came in time, or its minute is over: ask for another",
    StillState.NOT_ALLOWED.value: "its site lets no picture leave; who runs the camera allows it with "
    "`narrows edge --stills`",
    StillState.TOO_MANY.value: "its site lets no more out for now",
    StillState.NOT_PERMITTED.value: "its Redis user may not add one: make Redis's users anew (`narrows keys acl`)",
}


@dataclass(frozen=True, slots=True)
class StillSeen:
    """What became of a request.

    Attributes:
        state: ``waiting``; a :class:`StillState`; ``expired``: no picture came in time, or it had its time.
        wait_s: of ``too_many``, until the site lets the next one out.
        left_s: so long a picture that was sent can be looked at.
    """

    state: str
    wait_s: int = 0
    left_s: float = 0.0

    @property
    def over(self) -> bool:
        """Whether there is no picture, and will be none."""
        return self.state not in (WAITING, StillState.SENT)

    def in_words(self, camera: str) -> str:
        """For people: why there is none."""
        later = f"; ask again in {self.wait_s // 60 + 1} min" if self.wait_s else ""
        return f"no still of {camera}: {_WORDS.get(self.state, self.state)}{later}"


@dataclass(frozen=True, slots=True)
class StillPicture:
    """A still: its JPEG, and what the camera says of it."""

    jpeg: bytes
    still: Still


@dataclass(frozen=True, slots=True)
class StillRegistry:
    """The operator's side of stills; its Redis user is that of prompts. The audit event is written before the deed."""

    client: redis.Redis
    install: Install

    def ask(self, camera: str, *, who: str) -> StillRequest:
        """Ask for one; a request that another made just now and that waits yet is joined.

        Raises:
            StillRefused: the camera's site allows none, or it does not answer.
            StreamIdInvalid, RecordError: the id, or what is stored.
        """
        seen = PromptRegistry(self.client, self.install).look(camera)
        _check(camera, seen)
        key = StreamKeys.of(camera, self.install.shards).prompts
        made: list[StillRequest] = []

        def attempt(pipe: redis.client.Pipeline) -> None:
            before, now_ms = parsed(pipe.get(key)), now_ms_of(self.client)
            request = _joined(before.still, seen, now_ms) or _another(before.still, now_ms, who)
            write_still_audit(self.client, StillEvent(who, "still-ask", camera, request.asked_ms))
            pipe.multi()
            after = structs.replace(before, still=request)
            pipe.set(key, after.to_json(), pxat=ends_ms(after, now_ms))
            made.append(request)

        self.client.transaction(attempt, key)
        return made[-1]

    def look(self, camera: str, asked_ms: int) -> StillSeen:
        """What became of a request.

        Raises:
            StreamIdInvalid, RecordError: the id, or what is stored.
        """
        seen = PromptRegistry(self.client, self.install).look(camera)
        answered, age_ms = _answered(seen, seen.now_ms), seen.now_ms - asked_ms
        if answered is None or answered.asked_ms < asked_ms:
            return StillSeen(WAITING if 0 <= age_ms < REQUEST_MS else EXPIRED)
        if answered.asked_ms > asked_ms or not 0 <= age_ms < STILL_MS:
            return StillSeen(EXPIRED)
        return StillSeen(answered.state, answered.wait_s, (STILL_MS - age_ms) / 1000)

    def picture(self, camera: str, asked_ms: int, *, who: str) -> StillPicture | None:
        """The picture of a request, if it can be looked at; the audit says who did.

        Raises:
            StreamIdInvalid: the id.
            RecordError: what the camera sent is no still.
        """
        sent = newest_entry(self.client, StreamKeys.of(camera, self.install.shards).still)
        if sent is None or not 0 <= now_ms_of(self.client) - asked_ms < STILL_MS:
            return None
        _, fields = sent
        still, jpeg = Still.parse(fields.get(PACKET_FIELD, b"")), fields.get(JPEG_FIELD, b"")
        if still.asked_ms != asked_ms:
            return None
        _check_jpeg(camera, jpeg)
        write_still_audit(self.client, StillEvent(who, "still-view", camera, asked_ms))
        return StillPicture(jpeg, still)


def _check(camera: str, seen: PromptsSeen) -> None:
    if seen.answers is None or seen.asleep:
        raise StillRefused(f"no still of {camera}: it does not answer; is it running, and its link up?")
    if not seen.answers.stills_per_hour:
        raise StillRefused(StillSeen(StillState.NOT_ALLOWED.value).in_words(camera))


def _answered(seen: PromptsSeen, now_ms: int) -> StillAnswer | None:
    """What the camera said of a request last; of one by a clock that was set back since it has said nothing."""
    answered = None if seen.answers is None else seen.answers.still
    return None if answered is None or is_ahead(answered.asked_ms, now_ms) else answered


def _joined(last: StillRequest | None, seen: PromptsSeen, now_ms: int) -> StillRequest | None:
    answered = _answered(seen, now_ms)
    if last is None or (answered is not None and answered.asked_ms >= last.asked_ms):
        return None
    return last if 0 <= now_ms - last.asked_ms < _JOINED_MS else None


def _another(last: StillRequest | None, now_ms: int, who: str) -> StillRequest:
    """By the clock, so that its age is known; of two in one millisecond the second is the next one's."""
    after_last = 0 if last is None or is_ahead(last.asked_ms, now_ms) else last.asked_ms + 1
    return StillRequest(max(now_ms, after_last), who[:MAX_WHO_CHARACTERS])


def _check_jpeg(camera: str, jpeg: bytes) -> None:
    """What a camera sent is opened by browsers: refuse what no camera of ours writes.

    Raises:
        RecordError: it is no JPEG, or larger than a still is, in bytes or pixels.
    """
    if (fault := _fault_of(jpeg)) is not None:
        raise RecordError(f"what {camera} sent is no still picture: {fault}")


def _fault_of(jpeg: bytes) -> str | None:
    if len(jpeg) > MAX_STILL_BYTES:
        return f"{len(jpeg)} bytes, {MAX_STILL_BYTES} are the most"
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:  # noqa: TID251 -- its header alone is read
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"it cannot be read ({type(error).__name__})"
    return None if max(width, height) <= STILL_SIDE else f"{width} x {height} pixels, {STILL_SIDE} are the most"
